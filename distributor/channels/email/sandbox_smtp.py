"""A mail relay on 127.0.0.1 that is strict about the protocol and keeps every mail as its reader sees it."""

from __future__ import annotations

import contextlib
import select
import socket
import socketserver
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from distributor.channels.email.sandbox_mail import Kept, read_mail
from distributor.channels.email.sandbox_session import Hangup, Session
from distributor.core.sandbox import Sighting

# fmt: off
_ANSWERS = frozenset((
    "accept", "busy", "refuse", "gone", "closed", "outage", "lost-before", "lost-after", "garbage", "server-error",
    "stall", "half-reply", "lost-early",
))
# fmt: on
_STAGES = ("connect:", "sender:", "recipient:", "data:", "message:")


class SmtpSandbox:
    """Takes mail for everybody and delivers it to `seen`.

    Beside the answers that every sandbox knows, `script` takes "half-reply" (kept, then "250 2.0" and no more),
    "lost-early" (cut in the middle of the mail) and any reply at a stage: "recipient:452 4.2.2 mailbox full",
    with connect, sender, recipient, data and message. An answer is used up by the next mail; "outage" and
    "connect:" by the next connection, and a kept connection is told 421 meanwhile.

    `certificate` is a PEM file with key and certificate for `tls` starttls or tls. `per_connection` closes a
    connection without a word after so many mails, as some providers do.
    """

    kind = "email"

    def __init__(
        self,
        port: int = 0,
        *,
        tls: str = "none",
        certificate: Path | None = None,
        username: str = "",
        password: str = "",
        per_connection: int = 0,
        size: int = 30_000_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.port = port
        self.tls = tls
        self.certificate = certificate
        self.username = username
        self.password = password
        self.per_connection = per_connection
        self.size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._script: deque[str] = deque()
        self._kept: list[Kept] = []
        self._sightings: list[Sighting] = []
        self._stopping = threading.Event()
        self._server: _Server | None = None
        #: Connections opened so far, for tests.
        self.connections = 0

    def start(self) -> None:
        self._stopping.clear()
        self._server = _Server(("127.0.0.1", self.port), self)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.hang_up()

    def __enter__(self) -> SmtpSandbox:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def settings(self) -> dict[str, Any]:
        """A channel entry for the configuration, pointed here."""
        entry: dict[str, Any] = {
            "kind": self.kind,
            "transport": "smtp",
            "host": "127.0.0.1",
            "port": self.port,
            "tls": self.tls,
            "from": "The Daily Example <news@example.org>",
            "list": "readers",
        }
        if self.certificate is not None:
            entry["tls_ca"] = str(self.certificate)
        if self.username:
            entry |= {"username": self.username, "password": self.password}
        return entry

    def script(self, *answers: str) -> None:
        """What the next mails get, one each; then normal again."""
        for answer in answers:
            if answer not in _ANSWERS and not answer.startswith(_STAGES):
                raise ValueError(f"this sandbox has no answer called {answer!r}")
        with self._lock:
            self._script.extend(answers)

    @property
    def seen(self) -> list[Sighting]:
        """Every delivered mail, oldest first."""
        with self._lock:
            self._sightings += map(read_mail, self._kept[len(self._sightings) :])
            return list(self._sightings)

    @property
    def count(self) -> int:
        """How many mails were delivered, without reading them."""
        return len(self._kept)

    def take_answer(self, is_connecting: bool) -> str:
        """The answer for this mail or connection; what belongs to the other is left for it."""
        with self._lock:
            head = self._script[0] if self._script else "accept"
            is_for_connection = head == "outage" or head.startswith("connect:")
            if is_connecting and not is_for_connection:
                return "accept"
            if self._script and is_connecting == is_for_connection:
                self._script.popleft()
            return head

    def peek_closed(self) -> bool:
        """Whether a login is to fail now; uses the answer up."""
        with self._lock:
            if self._script and self._script[0] == "closed":
                self._script.popleft()
                return True
            return False

    def keep(self, recipient: str, raw: bytes) -> str:
        """Deliver a mail; its queue id."""
        with self._lock:
            receipt = f"SB{len(self._kept) + 1:010d}"
            self._kept.append(Kept(self._clock(), recipient, receipt, raw))
            return receipt

    def wait_for_hangup(self, connection: socket.socket) -> None:
        while not self._stopping.is_set():
            readable, _, _ = select.select([connection], [], [], 0.02)
            if readable:
                return

    def secure(self, connection: socket.socket) -> socket.socket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(self.certificate))
        return context.wrap_socket(connection, server_side=True)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], owner: SmtpSandbox) -> None:
        super().__init__(address, _Connection)
        self.owner = owner
        self.open: dict[int, socket.socket] = {}

    def hang_up(self) -> None:
        for connection in list(self.open.values()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is what half of the scripts are about."""


class _Connection(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        owner = self.server.owner
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        owner.connections += 1
        me = threading.get_ident()
        self.server.open[me] = self.request
        session: Session | None = None
        try:
            connection = owner.secure(self.request) if owner.tls == "tls" else self.request
            session = Session(owner, connection)
            session.serve()
        except (OSError, Hangup):
            pass
        finally:
            self.server.open.pop(me, None)
            if session is not None:
                session.close()
