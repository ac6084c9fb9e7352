"""One SMTP conversation of the sandbox, with the grammar of RFC 5321 taken at its word."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
from typing import Protocol

_MAIL = re.compile(rb"MAIL FROM:<([^<>@\s]+@[^<>@\s]+)?>((?: [A-Z0-9-]+(?:=[!-<>-~]+)?)*)\r\n", re.IGNORECASE)
_RCPT = re.compile(rb"RCPT TO:<([^<>@\s]+@[^<>@\s]+)>\r\n", re.IGNORECASE)
_LONGEST_COMMAND = 1000
_LONGEST_LINE = 1000

#: What a scripted answer says, and where in the conversation.
_SAYINGS = {
    "busy": ("recipient", "451 4.7.1 Greylisted, please try again in 2 seconds"),
    "refuse": ("message", "554 5.6.0 This message is not accepted here"),
    "gone": ("recipient", "550 5.1.1 Recipient address rejected: User unknown in virtual mailbox table"),
    "closed": ("sender", "530 5.7.0 Authentication required"),
    "outage": ("sender", "421 4.3.2 Service shutting down"),
}


class Hangup(Exception):
    """The conversation ends here."""


class Relay(Protocol):
    """What a conversation asks of its server."""

    tls: str
    username: str
    password: str
    per_connection: int
    size: int

    def take_answer(self, is_connecting: bool) -> str: ...
    def peek_closed(self) -> bool: ...
    def keep(self, recipient: str, raw: bytes) -> str: ...
    def wait_for_hangup(self, connection: socket.socket) -> None: ...
    def secure(self, connection: socket.socket) -> socket.socket: ...


class Session:
    def __init__(self, relay: Relay, connection: socket.socket) -> None:
        self._relay = relay
        self._connection = connection
        self._file = connection.makefile("rb")
        self._is_secure = relay.tls != "starttls"
        self._is_known = not relay.username
        self._has_greeted = False
        self._sender: bytes | None = None
        self._recipient: bytes | None = None
        self._answer = "accept"
        self._done = 0

    def serve(self) -> None:
        answer = self._relay.take_answer(is_connecting=True)
        if answer == "outage":
            self._say("421 4.3.2 Service not available, closing transmission channel")
            return
        if answer.startswith("connect:"):
            self._say(answer.removeprefix("connect:"))
            return
        self._say("220 sandbox.example ESMTP")
        while True:
            line = self._file.readline(_LONGEST_COMMAND)
            if not line:
                return
            self._obey(line)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _obey(self, line: bytes) -> None:
        verb = line.split(None, 1)[0].upper() if line.strip() else b""
        if not line.endswith(b"\r\n"):
            self._say("500 5.5.2 Lines end with CR LF")
        elif verb in (b"EHLO", b"HELO"):
            self._greet(verb, line)
        elif verb == b"QUIT":
            self._say("221 2.0.0 Bye")
            raise Hangup
        elif verb == b"NOOP":
            self._say("250 2.0.0 Ok")
        elif verb == b"RSET":
            self._reset()
            self._say("250 2.0.0 Ok")
        else:
            self._obey_after_hello(verb, line)

    def _obey_after_hello(self, verb: bytes, line: bytes) -> None:
        if not self._has_greeted:
            self._say("503 5.5.1 EHLO first")
        elif verb == b"STARTTLS" and not self._is_secure:
            self._start_tls()
        elif not self._is_secure:
            self._say("530 5.7.0 Must issue a STARTTLS command first")
        elif verb == b"AUTH":
            self._log_in(line)
        elif verb == b"MAIL":
            self._take_sender(line)
        elif verb == b"RCPT":
            self._take_recipient(line)
        elif verb == b"DATA":
            self._take_message(line)
        else:
            self._say("502 5.5.2 Command not recognized")

    def _greet(self, verb: bytes, line: bytes) -> None:
        if len(line.split()) != 2:
            return self._say("501 5.5.4 EHLO takes one host name")
        self._has_greeted = True
        self._reset()
        if verb == b"HELO":
            return self._say("250 sandbox.example")
        offers = ["sandbox.example", "PIPELINING", f"SIZE {self._relay.size}", "8BITMIME", "ENHANCEDSTATUSCODES"]
        if not self._is_secure:
            offers.append("STARTTLS")
        elif self._relay.username:
            offers.append("AUTH PLAIN LOGIN")
        lines = [f"250{'-' if at < len(offers) - 1 else ' '}{offer}" for at, offer in enumerate(offers)]
        return self._say("\r\n".join(lines))

    def _start_tls(self) -> None:
        self._say("220 2.0.0 Ready to start TLS")
        self._file.close()
        self._connection = self._relay.secure(self._connection)
        self._file = self._connection.makefile("rb")
        self._is_secure = True
        self._has_greeted = False

    def _log_in(self, line: bytes) -> None:
        words = line.split()
        if self._relay.peek_closed():
            return self._say("535 5.7.8 Error: authentication failed")
        if len(words) == 3 and words[1].upper() == b"PLAIN":
            given = base64.b64decode(words[2]).split(b"\0")[1:]
        elif len(words) >= 2 and words[1].upper() == b"LOGIN":
            given = [base64.b64decode(words[2]) if len(words) == 3 else self._prompt("Username:")]
            given.append(self._prompt("Password:"))
        else:
            return self._say("504 5.5.4 Unrecognized authentication type")
        wanted = [self._relay.username.encode(), self._relay.password.encode()]
        self._is_known = given == wanted
        return self._say("235 2.7.0 Authenticated" if self._is_known else "535 5.7.8 Error: authentication failed")

    def _prompt(self, words: str) -> bytes:
        self._say("334 " + base64.b64encode(words.encode()).decode())
        return base64.b64decode(self._file.readline(_LONGEST_COMMAND))

    def _take_sender(self, line: bytes) -> None:
        match = _MAIL.fullmatch(line)
        if self._sender is not None:
            return self._say("503 5.5.1 Nested MAIL command")
        if match is None:
            return self._say("501 5.1.7 Bad sender address syntax")
        if not self._is_known:
            return self._say("530 5.7.0 Authentication required")
        if self._relay.per_connection and self._done >= self._relay.per_connection:
            raise Hangup
        self._answer = self._relay.take_answer(is_connecting=False)
        if saying := self._find_saying("sender"):
            self._say(saying)
            if saying.startswith("421"):
                raise Hangup
            return None
        self._sender = match[1] or b""
        return self._say("250 2.1.0 Ok")

    def _take_recipient(self, line: bytes) -> None:
        match = _RCPT.fullmatch(line)
        if self._sender is None:
            return self._say("503 5.5.1 Need MAIL before RCPT")
        if match is None:
            return self._say("501 5.1.3 Bad recipient address syntax")
        if self._recipient is not None:
            return self._say("452 4.5.3 One recipient a mail in this sandbox")
        if saying := self._find_saying("recipient"):
            return self._say(saying)
        self._recipient = match[1]
        return self._say("250 2.1.5 Ok")

    def _take_message(self, line: bytes) -> None:
        if self._recipient is None or line.upper() != b"DATA\r\n":
            return self._say("503 5.5.1 Need RCPT before DATA")
        if saying := self._find_saying("data"):
            return self._say(saying)
        self._say("354 End data with <CR><LF>.<CR><LF>")
        raw, complaint = self._read_message()
        recipient, answer = self._recipient.decode(), self._answer
        saying = self._find_saying("message") or complaint
        self._reset()
        self._done += 1
        if answer == "lost-before":
            raise Hangup
        if answer == "server-error":
            return self._say("<html><head><title>502 Bad Gateway</title></head></html>")
        if saying:
            return self._say(saying)
        return self._answer_kept(answer, self._relay.keep(recipient, raw))

    def _answer_kept(self, answer: str, receipt: str) -> None:
        if answer == "lost-after":
            raise Hangup
        if answer == "half-reply":
            self._connection.sendall(b"250 2.0")
            raise Hangup
        if answer == "stall":
            self._relay.wait_for_hangup(self._connection)
            raise Hangup
        if answer == "garbage":
            return self._say("\x00\x01 everything is wonderful")
        return self._say(f"250 2.0.0 Ok: queued as {receipt}")

    def _read_message(self) -> tuple[bytes, str]:
        """The mail without doubled dots, and what is wrong with it."""
        lines: list[bytes] = []
        complaint = ""
        size = 0
        while True:
            line = self._file.readline()
            if not line or self._answer == "lost-early":
                raise Hangup
            if line == b".\r\n":
                return b"".join(lines), complaint
            size += len(line)
            complaint = complaint or _find_fault(line)
            if size > self._relay.size:
                complaint, lines = "552 5.3.4 Message too big for system", []
            lines.append(line[1:] if line.startswith(b".") else line)

    def _find_saying(self, stage: str) -> str:
        at, saying = _SAYINGS.get(self._answer, ("", ""))
        if not at and ":" in self._answer:
            at, _, saying = self._answer.partition(":")
        return saying if at == stage else ""

    def _reset(self) -> None:
        self._sender = self._recipient = None

    def _say(self, words: str) -> None:
        self._connection.sendall(words.encode() + b"\r\n")


def _find_fault(line: bytes) -> str:
    if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
        return "554 5.6.0 Lines end with CR LF, and neither stands alone"
    if len(line) > _LONGEST_LINE:
        return "554 5.6.0 A line has more than 998 octets"
    if not line.isascii():
        return "554 5.6.3 Eight-bit text was not announced"
    return ""
