"""What a mail server says to the plain client: whole replies, each within its time."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable

_LONGEST_LINE = 4096
_MOST_LINES = 128
_REPLY_LINE = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?\r?\n", re.DOTALL)


class Incoming:
    """What a server says, line by line. The socket's time limit holds for a whole reply, not for each byte."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._held = b""

    @property
    def is_empty(self) -> bool:
        return not self._held

    def read_reply(self) -> tuple[int, bytes]:
        limit = self._socket.gettimeout()
        end = None if limit is None else time.monotonic() + limit
        try:
            return _read_reply(lambda longest: self._read_line(longest, end))
        finally:
            self._socket.settimeout(limit)

    def _read_line(self, longest: int, end: float | None) -> bytes:
        while b"\n" not in self._held[:longest]:
            if len(self._held) >= longest:
                break
            data = self._socket.recv(longest)
            if not data:
                break
            self._held += data
            if end is not None:
                self._socket.settimeout(max(end - time.monotonic(), 0.001))
        line, mark, _ = self._held[:longest].partition(b"\n")
        self._held = self._held[len(line + mark) :]
        return line + mark

    def close(self) -> None:
        """The connection is smtplib's to close."""


def _read_reply(read_line: Callable[[int], bytes]) -> tuple[int, bytes]:
    texts: list[bytes] = []
    code = b""
    while len(texts) < _MOST_LINES:
        line = read_line(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise OSError("the answer breaks off" if line else "the server hung up")
        match = _REPLY_LINE.fullmatch(line)
        if match is None or (code and match[1] != code):
            raise OSError("the answer is not SMTP")
        code = match[1]
        texts.append((match[3] or b"").strip())
        if match[2] != b"-":
            return int(code), b"\n".join(texts)
    raise OSError("the answer does not end")
