"""Answers of http.client, taken only when they are whole, and only within their time.

As it comes, http.client takes a head that breaks off for a complete one, and its time limit holds for each byte
anew: a server that sends one now and then keeps a caller for ever.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

#: Statuses of machines in between that gave up waiting, and cannot know what happened behind them.
GUESSED = frozenset((408, 499))


class WholeResponse(http.client.HTTPResponse):
    """To be set as `response_class` of a connection. The socket's time limit holds for the whole answer.

    Raises TimeoutError when that is over, IncompleteRead when the head ends in the middle.
    """

    def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self.fp.close()
        self.fp = _WholeLines(_Timed(sock))


class _Timed(io.RawIOBase):
    """Reads from a socket until its time limit, counted from now, is over."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        limit = sock.gettimeout()
        self._end = None if limit is None else time.monotonic() + limit
        # Keeps the socket open for this answer after the connection has let go of it.
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._end is not None:
            left = self._end - time.monotonic()
            if left <= 0:
                raise TimeoutError("the answer took too long")
            self._socket.settimeout(left)
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _WholeLines(io.BufferedReader):
    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n") and (size is None or size < 0 or len(line) < size):
            raise http.client.IncompleteRead(line)
        return line
