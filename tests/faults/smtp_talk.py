"""An SMTP conversation passed on line by line, until it is told to go wrong."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.wire import end, reset, wait_for_hangup

#: What can be asked, in order. "dot" is the end of the mail.
STAGES = ("banner", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "dot")
_VERBS = {
    b"EHLO": "ehlo",
    b"STARTTLS": "starttls",
    b"AUTH": "auth",
    b"MAIL": "mail",
    b"RCPT": "rcpt",
    b"DATA": "data",
}
_LIKELY = {
    "banner": b"220 mx.example.org ESMTP\r\n",
    "ehlo": b"250-mx.example.org\r\n250-SIZE 1000000\r\n250 8BITMIME\r\n",
    "starttls": b"220 2.0.0 Ready to start TLS\r\n",
    "auth": b"235 2.7.0 Authentication successful\r\n",
    "data": b"354 End data with <CR><LF>.<CR><LF>\r\n",
    "dot": b"250 2.0.0 Ok: queued as NEVER1\r\n",
}


@dataclass
class SmtpTalk:
    """`reply` is the server's own true answer when the side is "after", else what a server would likely say."""

    connection: socket.socket
    stopping: threading.Event
    stage: str
    reply: bytes

    def say(self, data: bytes) -> None:
        self.connection.sendall(data)

    def end(self) -> None:
        end(self.connection)

    def reset(self) -> None:
        reset(self.connection)

    def stall(self) -> None:
        wait_for_hangup(self.connection, self.stopping)

    def drip(self, data: bytes, seconds: float) -> None:
        for at in range(len(data)):
            self.connection.sendall(data[at : at + 1])
            time.sleep(seconds)


class _Lines:
    """What comes in, line by line. Not `makefile`, which would keep a connection open that a shape has cut."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._held = b""

    def read(self) -> bytes:
        """The next line, at the end what is left; b"" behind that."""
        while b"\n" not in self._held:
            data = self._connection.recv(65_536)
            if not data:
                rest, self._held = self._held, b""
                return rest
            self._held += data
        line, mark, self._held = self._held.partition(b"\n")
        return line + mark


@dataclass
class Relay:
    """One connection between client and sandbox. `take_play(stage)`: what to do at this stage instead of passing
    on, and whether the sandbox is asked first."""

    client: socket.socket
    stopping: threading.Event
    port: int
    take_play: Callable[[str], tuple[Callable[[SmtpTalk], None], bool] | None]

    def run(self) -> None:
        self._asked = _Lines(self.client)
        self._connect()
        try:
            self._answer("banner", b"")
            while line := self._asked.read():
                stage = _VERBS.get(line.split()[0].upper() if line.split() else b"", "")
                reply = self._answer(stage, line)
                if stage == "data" and reply.startswith(b"354"):
                    self._answer("dot", self._read_mail())
                elif stage == "starttls" and reply.startswith(b"220"):
                    self._pump()
        finally:
            end(self._upstream)

    def _connect(self) -> None:
        self._upstream = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        self._said = _Lines(self._upstream)

    def _answer(self, stage: str, request: bytes) -> bytes:
        """Pass on, or let the play answer; the reply that a server gave (b"" when it was not asked)."""
        found = self.take_play(stage) if stage else None
        if found is None:
            reply = self._pass_on(request)
            self.client.sendall(reply)
            if not reply.endswith(b"\n"):
                raise EOFError
            return reply
        play, is_after = found
        reply = self._pass_on(request) if is_after else _LIKELY.get(stage, b"250 2.0.0 Ok\r\n")
        play(SmtpTalk(self.client, self.stopping, stage, reply))
        if stage == "dot" and not is_after:
            self._begin_anew()
        return reply if is_after else b""

    def _begin_anew(self) -> None:
        """The sandbox still waits for the mail that never came: it gets another connection."""
        end(self._upstream)
        self._connect()
        self._pass_on(b"")
        self._pass_on(b"EHLO relay.example.org\r\n")

    def _pass_on(self, request: bytes) -> bytes:
        if request:
            self._upstream.sendall(request)
        reply = b""
        while line := self._said.read():
            reply += line
            if line[3:4] != b"-":
                break
        return reply

    def _read_mail(self) -> bytes:
        mail = b""
        while line := self._asked.read():
            mail += line
            if line == b".\r\n":
                return mail
        raise EOFError

    def _pump(self) -> None:
        """From here on it is encrypted: pass bytes on both ways."""
        back = threading.Thread(target=_pour, args=(self._upstream, self.client), daemon=True)
        back.start()
        _pour(self.client, self._upstream)
        back.join(20)


def _pour(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            sink.sendall(data)
    except OSError:
        pass
    finally:
        end(sink)
