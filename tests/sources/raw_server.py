"""A server that says exactly these bytes, for everything no well-behaved server says."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self


class RawServer:
    """Answers the n-th request with the n-th list of pieces, then closes; the last list is kept for the rest.

    A piece None keeps the connection open for the next request instead of closing it.
    """

    def __init__(self, *answers: list[bytes | None], tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._answers = list(answers)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.requests: list[bytes] = []
        self.connections = 0
        self.place = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.url = f"http://{self.place}/"
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connections += 1
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), self._wrap(connection) as wire:
            for request in _requests(wire):
                self.requests.append(request)
                pieces = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                for piece in pieces:
                    if piece:
                        wire.sendall(piece)
                if None not in pieces:
                    return

    def _wrap(self, connection: socket.socket) -> socket.socket:
        if self._tls is None:
            return connection
        return self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)


def _requests(connection: socket.socket) -> Iterator[bytes]:
    data = b""
    while piece := connection.recv(65536):
        data += piece
        if b"\r\n\r\n" in data:
            yield data
            data = b""
