"""The mails of one `send`: who is next, what became of each, and the record before the first byte."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from distributor.channels.email.readers import Reader, read_recipients
from distributor.channels.email.replies import is_for_everyone
from distributor.channels.email.segments import Letter
from distributor.core.contracts import Wire
from distributor.core.errors import Busy, Outage, SendError
from distributor.core.message import Message, NotStarted, Outcome


class Waiting(Protocol):
    """A connection whose server is ready for the bytes of a mail (354)."""

    @property
    def waiting(self) -> int | None:
        """The mail's index; None when the connection was lost since."""

    def begin_body(self) -> None: ...
    def refuse_body(self, why: Outcome) -> None: ...


class Batch:
    """Handed out one by one to the connections that send them."""

    def __init__(self, letter: Letter, sender: str, messages: Sequence[Message], wire: Wire) -> None:
        self._letter = letter
        self._wire = wire
        self.mail_from = f"MAIL FROM:<{sender}>\r\n".encode("ascii")
        readers, refused = read_recipients(messages)
        self._todo = deque(readers.list_rows())
        self._outcomes: list[Outcome] = [NotStarted()] * len(messages)
        self._returned: set[int] = set()
        self._begun: set[int] = set()
        self._ready: list[Waiting] = []
        self._size = 0
        self._why_ended: SendError | None = None
        self._crash: Exception | None = None
        self._was_told_no = False
        self._is_over = False
        for index, error in refused.items():
            self.settle(index, error)

    @property
    def has_work(self) -> bool:
        return bool(self._todo) and not self._is_over

    def take(self) -> tuple[int, Reader] | None:
        """The next mail whose envelope may be said; None when there is none."""
        while self.has_work:
            index, reader = self._todo.popleft()
            # After one no (paused, stopping) the others are asked before their envelope, which costs writes.
            if not self._was_told_no or self._start([index]):
                return index, reader
            self.settle(index, NotStarted())
        return None

    def may_return(self, index: int) -> bool:
        return index not in self._returned

    def give_back(self, index: int, reader: Reader) -> None:
        """A kept connection turned out to be dead before this mail began: another one takes it, once."""
        self._returned.add(index)
        self._todo.appendleft((index, reader))

    def join(self, reader: Reader) -> bytes:
        """One copy, with its final dot."""
        return self._letter.join(reader)

    def measure(self, reader: Reader) -> int:
        """The size of a copy as SIZE counts it; copies differ by what is personal in them."""
        if not self._size:
            self._size = len(self.join(reader))
        return self._size

    def when_ready(self, carrier: Waiting) -> None:
        """Begin its mail once it is on record. All that are ready in one turn of the loop share one record."""
        if not self._ready:
            asyncio.get_running_loop().call_soon(self._begin_ready)
        self._ready.append(carrier)

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
        while self._todo:
            self.settle(self._todo.popleft()[0], self._why_ended or otherwise)
        return self._outcomes
