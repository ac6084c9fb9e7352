"""The mails of one `send`: who is next, what became of each, and the record before the first byte."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Protocol

from distributor.channels.email.readers import read_recipients
from distributor.channels.email.replies import is_for_everyone
from distributor.channels.email.segments import Letter, Mail, Row
from distributor.core.contracts import Wire
from distributor.core.errors import Busy, Outage, SendError
from distributor.core.message import Message, NotStarted, Outcome

#: Seconds until a connection without work asks whether the next mails are claimed.
_LOOK_AGAIN = 0.005
#: The next mails are asked for when these are left for so many seconds: earlier would take them from other workers.
_AHEAD_SECONDS = 0.5
#: How many of those that are left go out until they are asked for again: to ask costs as much as a tenth of a mail.
_NEXT_LOOK = 1 / 8


class Waiting(Protocol):
    """A connection whose server is ready for the bytes of a mail (354)."""

    @property
    def waiting(self) -> int | None:
        """The mail's index; None when the connection was lost since."""

    def begin_body(self) -> None: ...
    def refuse_body(self, why: Outcome) -> None: ...


class Batch:
    """Handed out one by one to the connections that send them. What the wire has more of is taken along."""

    def __init__(
        self,
        letter: Letter,
        sender: str,
        messages: Sequence[Message],
        wire: Wire,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._letter = letter
        self._clock = clock
        self._wire = wire
        self.mail_from = f"MAIL FROM:<{sender}>\r\n".encode("ascii")
        self._fresh: Iterator[Mail] = iter(())
        self._left = 0
        #: When so many are left, it is known how fast they go, and so below how many more are asked for.
        self._half = 0
        self._low: int | None = None
        self._began = 0.0
        self._may_be_more = True
        self._back: deque[Mail] = deque()
        self._outcomes: list[Outcome] = []
        self._returned: set[int] = set()
        self._begun: set[int] = set()
        self._ready: list[Waiting] = []
        self._turn: asyncio.Handle | None = None
        self._size = 0
        self._why_ended: SendError | None = None
        self._crash: Exception | None = None
        self._was_told_no = False
        self._is_over = False
        #: Whether the loop of its connections is running.
        self.is_on_wire = False
        self._add(messages)

    def _add(self, messages: Sequence[Message]) -> None:
        first = len(self._outcomes)
        readers, refused = read_recipients(messages)
        places = [first + place for place in readers.places]
        self._fresh = chain(self._fresh, self._letter.list_mails(readers._replace(places=places)))
        self._left += len(places)
        self._half, self._low, self._began = self._left // 2, None, self._clock()
        self._outcomes += [NotStarted()] * len(messages)
        for index, error in refused.items():
            self.settle(first + index, error)

    @property
    def has_work(self) -> bool:
        return (self._left > 0 or bool(self._back)) and not self._is_over

    async def wait_for_work(self) -> bool:
        """Whether there is a mail to take, now or as soon as the next ones are claimed."""
        while not self.has_work:
            if self._is_over or not self._may_be_more:
                return False
            self._ask_for_more()
            if not self.has_work:
                await asyncio.sleep(_LOOK_AGAIN)
        return True

    def take(self) -> Mail | None:
        """The next mail whose envelope may be said; None when there is none."""
        if self._may_be_more and self._left <= self._half and self._left <= self._find_low():
            self._low = int(self._left * (1.0 - _NEXT_LOOK))
            self._ask_for_more()
        while self.has_work:
            mail = self._pop()
            # After one no (paused, stopping) the others are asked before their envelope, which costs writes.
            if not self._was_told_no or self._start([mail[0]]):
                return mail
            self.settle(mail[0], NotStarted())
        return None

    def _find_low(self) -> int:
        if self._low is None:
            took = max(self._clock() - self._began, 1e-3)
            self._low = min(self._half, int(self._half / took * _AHEAD_SECONDS))
        return self._low

    def _ask_for_more(self) -> None:
        try:
            more = None if self._is_over else self._wire.more()
        except Exception as error:
            self.crash(error)
            return
        if more:
            self._add(more)
        elif more is not None:
            self._may_be_more = False

    def _pop(self) -> Mail:
        if self._back:
            return self._back.popleft()
        self._left -= 1
        return next(self._fresh)

    def may_return(self, index: int) -> bool:
        return index not in self._returned

    def give_back(self, mail: Mail) -> None:
        """A kept connection turned out to be dead before this mail began: another one takes it, once."""
        self._returned.add(mail[0])
        self._back.appendleft(mail)

    def write(self, row: Row, behind: bytes = b"") -> bytes:
        """One copy, with its final dot, and what is said right behind it."""
        return self._letter.write(row, behind)

    def write_envelope(self, address: str) -> bytes:
        return b"%bRCPT TO:<%b>\r\nDATA\r\n" % (self.mail_from, address.encode("ascii"))

    def measure(self, row: Row) -> int:
        """The size of a copy as SIZE counts it; copies differ by what is personal in them."""
        if not self._size:
            self._size = len(self.write(row))
        return self._size

    def when_ready(self, carrier: Waiting) -> None:
        """Begin its mail once it is on record. All that are ready in one turn of the loop share one record."""
        self._ready.append(carrier)
        self._end_turn_soon()

    def _end_turn_soon(self) -> None:
        """What was answered and what may begin in one turn of the loop is put on record together."""
        if self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._turn = None
        if self._ready:
            self._begin_ready()
        self._wire.flush()

    def _begin_ready(self) -> None:
        ready = {one.waiting: one for one in self._ready if one.waiting is not None}
        self._ready = []
        fresh = [index for index in ready if index not in self._begun and not self._is_over]
        if fresh and not self._start(fresh) and len(fresh) > 1:
            # The no may have been about one of them.
            for index in fresh:
                self._start([index])
        for index, one in ready.items():
            if index in self._begun and not self._is_over:
                one.begin_body()
            else:
                one.refuse_body(self._why_ended if self._is_over and self._why_ended else NotStarted())

    def _start(self, indexes: list[int]) -> bool:
        """Put on record that these may go out from now on; False when they may not."""
        if self._crash is not None:
            return False
        try:
            is_allowed = self._wire.start(indexes)
        except Exception as error:
            self.crash(error)
            return False
        if is_allowed:
            self._begun.update(indexes)
        else:
            self._was_told_no = True
        return is_allowed

    def settle(self, index: int, outcome: Outcome) -> None:
        if self._crash is not None and isinstance(outcome, NotStarted):
            return
        self._outcomes[index] = outcome
        self._wire.settle(index, outcome)
        if self.is_on_wire:
            self._end_turn_soon()
        if isinstance(outcome, SendError) and is_for_everyone(outcome):
            self.end(outcome)

    def note_why(self, outcome: Outcome) -> None:
        """A connection ended without having taken one mail; this is what the rest hears if all end so."""
        if isinstance(outcome, SendError):
            self._why_ended = (
                outcome if isinstance(outcome, Busy) else Outage(f"not tried, because before: {outcome}")
            )

    def end(self, error: SendError) -> None:
        """A connection cannot go on; when the error is everybody's, nobody does."""
        self._why_ended = error
        self._is_over = self._is_over or is_for_everyone(error)

    def crash(self, error: Exception) -> None:
        """Nothing more is begun, and `finish` raises the error."""
        self._crash = self._crash or error
        self._is_over = True

    def finish(self, otherwise: SendError) -> list[Outcome]:
        """Settle what no connection took, and give all outcomes in order."""
        if self._crash is not None:
            raise self._crash
        while self._back or self._left:
            self.settle(self._pop()[0], self._why_ended or otherwise)
        return self._outcomes
