"""Mails through an SMTP relay with RFC 2920 pipelining: one round trip for each mail on a kept connection.

The end of one mail and the envelope of the next travel together; without PIPELINING each command waits for its
answer. All connections of a channel share one event loop, which runs only while a batch is sent, in the thread
that asks for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from distributor.channels.email.headers import split_mailbox
from distributor.channels.email.replies import Reply
from distributor.channels.email.segments import Letter
from distributor.channels.email.settings import Settings
from distributor.channels.email.smtp_batch import Batch
from distributor.channels.email.smtp_carrier import Carrier
from distributor.channels.email.smtp_link import Link, LostLink
from distributor.channels.email.smtp_open import open_link
from distributor.core.contracts import Wire
from distributor.core.errors import Outage, SendError
from distributor.core.message import Message, Outcome
from distributor.core.points import reach

T = TypeVar("T")


class PipelinedTransport:
    """Keeps its connections between calls. One thread at a time may call it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        _, address = split_mailbox(settings.from_)
        _, self._sender = split_mailbox(settings.bounce_address or settings.from_)
        self._hello = settings.hello or address.rpartition("@")[2]
        self._links: list[Link | None] = [None] * settings.connections
        self._loop: asyncio.AbstractEventLoop | None = None

    def send(self, letter: Letter, messages: Sequence[Message], wire: Wire) -> list[Outcome]:
        """One try for each message; what no connection could take any more gets the reason why.

        An error that `wire.start` raises stops the batch and is raised again here.
        """
        batch = Batch(letter, self._sender, messages, wire)
        self._run(self._send(batch, min(len(messages), len(self._links)) or 1))
        return batch.finish(Outage("every connection to the mail server was lost"))

    def check(self) -> list[str]:
        """Log in and say NOOP; a sentence when that does not work."""
        try:
            reply = self._run(self._say_noop())
        except SendError as error:
            return [f"{error}: {error.detail}" if error.detail else str(error)]
        except LostLink as error:
            return [f"the mail server hung up: {error}"]
        return [] if reply.code == 250 else [f"the mail server is not ready: {reply.words}"]

    def close(self) -> None:
        if self._loop is not None:
            self._run(self._close())
            self._loop.close()
            self._loop = None

    # -- inside the loop -------------------------------------------------------------------------------------

    async def _send(self, batch: Batch, count: int) -> None:
        watch = asyncio.ensure_future(self._watch())
        batch.is_on_wire = True
        try:
            # The first one alone: a server that lets nobody in is asked once, not once a connection.
            if batch.has_work and await self._open(0, batch):
                await asyncio.gather(*(self._work(number, batch) for number in range(count)))
        finally:
            batch.is_on_wire = False
            watch.cancel()

    async def _work(self, number: int, batch: Batch) -> None:
        """Send over one connection, opened afresh as often as it must be, until nothing is left."""
        while await batch.wait_for_work():
            link = await self._open(number, batch)
            if link is None:
                return
            before = link.carried
            carrier = Carrier(link, batch, self._settings)
            await carrier.carry()
            if link.is_open:
                continue
            self._links[number] = None
            if link.carried == before == 0 and isinstance(carrier.last_outcome, SendError):
                # A server that breaks off before it took one mail would do so for each of the rest.
                batch.note_why(carrier.last_outcome)
                return

    async def _open(self, number: int, batch: Batch) -> Link | None:
        link = self._links[number]
        if link is not None and link.is_open and link.tries >= self._settings.per_connection:
            await self._quit(link)
        if link is not None and link.is_open:
            return link
        try:
            self._links[number] = await open_link(self._settings, self._hello)
        except SendError as error:
            self._links[number] = None
            batch.end(error)
        except Exception as error:  # a bug of ours must end the batch, not hang it
            batch.crash(error)
        return self._links[number]

    async def _watch(self) -> None:
        """Connections whose answer is overdue are given up."""
        pause = min(self._settings.timeout, self._settings.answer_wait) / 10
        while True:
            await asyncio.sleep(min(pause, 1.0))
            now = asyncio.get_running_loop().time()
            for link in self._links:
                if link is not None:
                    link.check_time(now)

    async def _say_noop(self) -> Reply:
        link = self._links[0]
        if link is None or not link.is_open:
            link = self._links[0] = await open_link(self._settings, self._hello)
        return await link.ask(b"NOOP\r\n", self._settings.timeout)

    async def _close(self) -> None:
        await asyncio.gather(*(self._quit(link) for link in self._links if link is not None and link.is_open))
        self._links = [None] * len(self._links)

    async def _quit(self, link: Link) -> None:
        """Say goodbye, without waiting long for an answer."""
        reach("smtp.quit")
        with contextlib.suppress(LostLink):
            await link.ask(b"QUIT\r\n", min(2.0, self._settings.timeout))
        link.drop("we said goodbye")

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            self._loop = _make_loop()
        return self._loop.run_until_complete(work)


def _make_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
