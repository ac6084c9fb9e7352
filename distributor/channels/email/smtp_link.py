"""One connection to a mail relay for the pipelined client: bytes out, complete replies in, and a clock on both."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import cast

from distributor.channels.email.replies import Reply

_LONGEST_LINE = 4096
_MOST_LINES = 128
#: The four answers that a mail in a row gets at once: to its dot, and to MAIL, RCPT and DATA of the next one.
_GROUP = re.compile(rb"250 ([^\r\n]*)\r\n250 [^\r\n]*\r\n25[01] [^\r\n]*\r\n354[ ]?[^\r\n]*\r\n")
_REPLY_LINE = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?\r?", re.DOTALL)


class LostLink(Exception):
    """The server went away, took too long or said something that is not an SMTP reply."""


class ReplyReader:
    """Complete replies out of a stream of bytes. Raises ValueError for what is not SMTP, once and for all."""

    def __init__(self) -> None:
        self._rest = b""
        self._code = b""
        self._texts: list[bytes] = []

    @property
    def is_between_replies(self) -> bool:
        return not self._rest and not self._texts

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that these bytes complete. RFC 5321 4.2: one code, the last line has no hyphen behind it."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if max(map(len, (*lines, self._rest))) > _LONGEST_LINE:
            raise ValueError("a line of the answer is too long")
        replies = []
        for line in lines:
            match = _REPLY_LINE.fullmatch(line)
            if match is None or (self._code and match[1] != self._code):
                raise ValueError("the answer is not SMTP")
            self._code = match[1]
            self._texts.append((match[3] or b"").strip())
            if match[2] != b"-":
                replies.append(self._complete())
            elif len(self._texts) >= _MOST_LINES:
                raise ValueError("the answer does not end")
        return replies

    def _complete(self) -> Reply:
        texts = [text.decode("utf-8", "replace") for text in self._texts]
        code, self._code, self._texts = int(self._code), b"", []
        return Reply(code, texts[0]) if len(texts) == 1 else Reply(code, " ".join(texts), tuple(texts))


class Link(asyncio.Protocol):
    """Replies go to `on_reply`; `on_lost` hears once why the connection ended. Both are set by who uses it."""

    def __init__(self) -> None:
        self._reader = ReplyReader()
        self.transport: asyncio.Transport | None = None
        #: What EHLO offered: name in capitals -> its parameters.
        self.offers: dict[str, str] = {}
        #: Mails that were begun on it.
        self.tries = 0
        #: Mails accepted on it.
        self.carried = 0
        #: Loop time by which the next reply must be here; None while none is awaited.
        self.deadline: float | None = None
        #: Why it ended; "" while it is open.
        self.why_lost = ""
        #: Takes the words of the yes to a mail when MAIL, RCPT and DATA behind it were taken too, all in one piece.
        #: Whatever else comes goes to `on_reply`, one by one. None while no such group is awaited.
        self.on_group: Callable[[str], None] | None = None
        self.on_reply: Callable[[Reply], None] = self._forget
        self.on_lost: Callable[[], None] = _ignore

    @property
    def is_quiet(self) -> bool:
        """Whether nothing came that was not asked for."""
        return self._reader.is_between_replies

    @property
    def is_open(self) -> bool:
        return self.transport is not None and not self.why_lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.on_group is not None and self._reader.is_between_replies:
            group = _GROUP.fullmatch(data)
            if group is not None and len(data) <= _LONGEST_LINE:
                self.on_group(group[1].decode("utf-8", "replace").strip())
                return
        try:
            replies = self._reader.feed(data)
        except ValueError as error:
            self.drop(str(error))
            return
        for reply in replies:
            if self.why_lost:
                return
            self.on_reply(reply)

    def eof_received(self) -> None:
        self._end("the server hung up" if self._reader.is_between_replies else "the answer breaks off")

    def connection_lost(self, error: Exception | None) -> None:
        self._end(str(error) if error else "the server hung up")

    def write(self, data: bytes, deadline: float) -> None:
        """Hand bytes to the network; a reply is awaited until the loop's time is `deadline`."""
        self.deadline = deadline
        if self.transport is not None:
            self.transport.write(data)

    def check_time(self, now: float) -> None:
        if self.deadline is not None and now > self.deadline and not self.why_lost:
            self.drop("it took too long")

    def drop(self, why: str) -> None:
        """End the connection at once; nothing that still waits to be written is sent."""
        if self.transport is not None:
            self.transport.abort()
        self._end(why)

    def _end(self, why: str) -> None:
        if self.why_lost:
            return
        self.why_lost = why or "the connection broke"
        self.deadline = None
        if self.transport is not None:
            self.transport.abort()
        self.on_lost()

    def _forget(self, reply: Reply) -> None:
        """Nothing was asked: a server that says goodbye by itself (421) is gone when it is needed next."""
        if reply.code == 421:
            self.drop(reply.words)

    def stop_listening(self) -> None:
        self.on_reply, self.on_lost, self.deadline = self._forget, _ignore, None
        self.on_group = None

    def expect(self) -> asyncio.Future[Reply]:
        """The next reply, or LostLink, for whatever is not a mail."""
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def end() -> None:
            if not answer.done():
                answer.set_exception(LostLink(self.why_lost))

        def take(reply: Reply) -> None:
            self.stop_listening()
            if not answer.done():
                answer.set_result(reply)

        self.on_reply, self.on_lost = take, end
        return answer

    async def wait(self, answer: asyncio.Future[Reply], timeout: float) -> Reply:
        """What `expect` promised. Raises LostLink, also when it takes longer than so many seconds."""
        try:
            return await asyncio.wait_for(answer, timeout)
        except TimeoutError:
            self.drop("it took too long")
            raise LostLink(self.why_lost) from None

    async def ask(self, command: bytes, timeout: float) -> Reply:
        """One command, one reply. Raises LostLink."""
        if self.why_lost or self.transport is None:
            raise LostLink(self.why_lost or "it is not open")
        answer = self.expect()
        self.transport.write(command)
        return await self.wait(answer, timeout)


def _ignore() -> None:
    """Nobody waits for this connection."""
