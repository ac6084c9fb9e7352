"""A scripted HTTP server on 127.0.0.1 for sandboxes: real sockets, and every way an answer can go missing."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Answers that say what happens to the connection, whatever the service is.
WIRE_ANSWERS = frozenset({"outage", "lost-before", "lost-after", "garbage", "server-error", "stall"})

_GARBAGE = b"<html><body>Please sign in to the network</body></html>"
_SERVER_ERROR = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


@dataclass(frozen=True)
class Call:
    """One request, read whole. Header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


class ScriptedServer:
    """Serves `answer(call, name)`; the script may instead cut, delay or garble what goes back.

    `is_scripted(call)` says which calls use up a line of the script. An outage closes the listening socket
    before the next call, so that connecting is refused. A refused call cannot be seen from here: the outage
    lasts until `script` is called again.
    """

    def __init__(
        self,
        port: int,
        answer: Callable[[Call, str], Reply],
        is_scripted: Callable[[Call], bool] = lambda call: True,
    ) -> None:
        self.port = port
        self._answer = answer
        self._is_scripted = is_scripted
        self._script: deque[str] = deque()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server: _Server | None = None

    def start(self) -> None:
        self._stopping.clear()
        self._server = _Server(("127.0.0.1", self.port), self)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        self._close_door()

    def script(self, *answers: str) -> None:
        """What the next calls get, one each. Ends an outage that has begun."""
        with self._lock:
            is_down = self._is_outage_next()
            if is_down:
                self._script.popleft()
            self._script.extend(answers)
            goes_down = self._is_outage_next()
        if is_down and not goes_down and not self._stopping.is_set():
            self.start()
        elif goes_down and not is_down:
            self._close_door()

    def handle(self, call: Call, connection: socket.socket) -> Reply | None:
        """The reply to send, or None to cut the connection."""
        name = self._take_answer() if self._is_scripted(call) else "accept"
        if name == "lost-before":
            return None
        if name == "server-error":
            return Reply(502, _SERVER_ERROR, content_type="text/html")
        reply = self._answer(call, "accept" if name in WIRE_ANSWERS else name)
        if name == "lost-after":
            return None
        if name == "garbage":
            return Reply(200, _GARBAGE, content_type="text/html")
        if name == "stall":
            self._wait_for_hangup(connection)
        return reply

    def _take_answer(self) -> str:
        with self._lock:
            name = self._script.popleft() if self._script else "accept"
            goes_down = self._is_outage_next()
        if goes_down:
            self._close_door(keep=threading.get_ident())
        return name

    def _is_outage_next(self) -> bool:
        return bool(self._script) and self._script[0] == "outage"

    def _close_door(self, keep: int = 0) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        server.hang_up(keep)

    def _wait_for_hangup(self, connection: socket.socket) -> None:
        while not self._stopping.is_set():
            readable, _, _ = select.select([connection], [], [], 0.02)
            if readable:
                return


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], owner: ScriptedServer) -> None:
        super().__init__(address, _Connection)
        self.owner = owner
        self.is_closing = False
        self.connections: dict[int, socket.socket] = {}

    def hang_up(self, keep: int) -> None:
        """Close what is open, except the connection whose own thread asked: it still has to answer."""
        self.is_closing = True
        for thread, connection in list(self.connections.items()):
            if thread != keep:
                _cut(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is what half of the scripts are about."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections[threading.get_ident()] = self.connection

    def finish(self) -> None:
        self.server.connections.pop(threading.get_ident(), None)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Request lines and headers hold secrets, so nothing is logged."""

    def serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        reply = None
        if len(body) == length:
            path, _, query = self.path.partition("?")
            headers = {name.lower(): value for name, value in self.headers.items()}
            call = Call(self.command, path, query, headers, body)
            reply = self.server.owner.handle(call, self.connection)
        if reply is None:
            self.close_connection = True
            _cut(self.connection)
            return
        self._write(reply)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    def _write(self, reply: Reply) -> None:
        self.close_connection = self.close_connection or self.server.is_closing
        headers = {
            "Content-Type": reply.content_type,
            "Content-Length": str(len(reply.body)),
            "Connection": "close" if self.close_connection else "keep-alive",
            **reply.headers,
        }
        lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1") + reply.body)


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
