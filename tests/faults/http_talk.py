"""An HTTP conversation that can be told to go wrong at any byte."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from tests.faults.wire import end, reset, wait_for_hangup


@dataclass(frozen=True)
class HttpReply:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def raw(self) -> bytes:
        """As it goes over the wire, with its length unless `headers` say something about it."""
        given = {name.lower() for name in self.headers}
        length = {} if given & {"content-length", "transfer-encoding"} else {"Content-Length": str(len(self.body))}
        lines = [f"HTTP/1.1 {self.status} Said"]
        lines += [f"{name}: {value}" for name, value in {**self.headers, **length}.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body

    def but(self, body: bytes | None = None, status: int | None = None, **headers: str) -> HttpReply:
        """The same with another body or more headers (`retry_after` for Retry-After)."""
        more = {name.replace("_", "-").title(): value for name, value in headers.items()}
        return replace(
            self,
            body=self.body if body is None else body,
            status=status or self.status,
            headers={**self.headers, **more},
        )


@dataclass
class HttpTalk:
    """One conversation in which a shape acts. `reply` is what a service says that took the message: its own true
    answer when it has processed the request, else one that only looks like it."""

    connection: socket.socket
    stopping: threading.Event
    url: str
    #: The service's own no.
    refusal: HttpReply
    reply: HttpReply

    def say(self, reply: HttpReply | bytes) -> None:
        self.connection.sendall(reply.raw() if isinstance(reply, HttpReply) else reply)

    def end(self) -> None:
        end(self.connection)

    def reset(self) -> None:
        reset(self.connection)

    def stall(self) -> None:
        wait_for_hangup(self.connection, self.stopping)

    def drip(self, data: bytes, seconds: float) -> None:
        """A byte, a rest, a byte: no single wait is long."""
        for at in range(len(data)):
            self.connection.sendall(data[at : at + 1])
            if seconds:
                time.sleep(seconds)


def read_request(connection: socket.socket, held: bytes = b"") -> tuple[bytes, bytes]:
    """One whole request and what came behind it. Raises EOFError when the client hangs up."""
    data = held
    while b"\r\n\r\n" not in data:
        data += _receive(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = _read_length(head)
    while len(body) < length:
        body += _receive(connection)
    return head + b"\r\n\r\n" + body[:length], body[length:]


def read_reply(connection: socket.socket) -> HttpReply:
    """One whole answer of a sandbox, which always says its length."""
    raw, _ = read_request(connection)
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    headers = {
        name: value for name, value in headers.items() if name.lower() not in ("content-length", "connection")
    }
    return HttpReply(int(first.split()[1]), headers, body)


def pass_on(request: bytes, port: int) -> HttpReply:
    """Let the service process a request."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as upstream:
        upstream.sendall(request)
        return read_reply(upstream)


def _receive(connection: socket.socket) -> bytes:
    data = connection.recv(65_536)
    if not data:
        raise EOFError
    return data


def _read_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


Play = Callable[[HttpTalk], None]
