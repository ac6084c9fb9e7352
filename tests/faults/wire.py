"""What stands between a channel and its sandbox: it passes on all but what it spoils on purpose."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType

#: Seconds after which a stalled conversation ends even if the client never gives up.
PATIENCE = 20.0


def reset(connection: socket.socket) -> None:
    """Close so that the other side gets RST, as from a machine that forgot the connection."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def end(connection: socket.socket) -> None:
    """Close politely: what was said arrives, then the end."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def wait_for_hangup(connection: socket.socket, stopping: threading.Event) -> None:
    """Say nothing until the client gives up."""
    for _ in range(int(PATIENCE / 0.02)):
        if stopping.is_set():
            return
        with contextlib.suppress(OSError, ValueError):
            readable, _, _ = select.select([connection], [], [], 0.02)
            if not readable:
                continue
            if connection.recv(65_536):
                continue
        return


class Wire:
    """A listening socket on 127.0.0.1 whose connections are each talked to by `talk(connection, stopping)`.

    `refuse` and `hang` change what connecting meets; `open` makes it normal again on the same port.
    """

    def __init__(self, talk: Callable[[socket.socket, threading.Event], None]) -> None:
        self._talk = talk
        self._stopping = threading.Event()
        self._fillers: list[socket.socket] = []
        self._connections: set[socket.socket] = set()
        self._listener = _bind(0)
        self.port = int(self._listener.getsockname()[1])
        #: Connections that were taken so far.
        self.taken = 0
        self._listen()

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._shut()
        self.hang_up()

    def refuse(self) -> None:
        """Connecting is refused: the port is taken, and nobody listens."""
        self._shut()
        self._listener = _bind(self.port)

    def hang(self) -> None:
        """Connecting is not answered: the queue is full and nobody takes from it."""
        self._shut()
        self._listener = _bind(self.port)
        self._listener.listen(0)
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)

    def hang_up(self) -> None:
        """Close what is connected now."""
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def open(self) -> None:
        self._shut()
        self._listener = _bind(self.port)
        self._listen()

    def _listen(self) -> None:
        self._listener.listen(64)
        threading.Thread(target=self._take, args=(self._listener,), daemon=True).start()

    def _take(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.taken += 1
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        self._connections.add(connection)
        try:
            with contextlib.suppress(OSError, EOFError):
                self._talk(connection, self._stopping)
        finally:
            self._connections.discard(connection)
            end(connection)

    def _shut(self) -> None:
        while self._fillers:
            self._fillers.pop().close()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _bind(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener
