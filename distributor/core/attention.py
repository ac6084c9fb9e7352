"""When a look at the database is worth its cost: somebody committed something, or a time has come."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime


class Attention:
    """For one thread that would else look each second. What it overlooks is seen after `longest` seconds.

    `read_mark` gives a value that differs after every commit, whoever made it; it may raise. `timer` is a monotonic
    clock in seconds.
    """

    def __init__(self, read_mark: Callable[[], object], timer: Callable[[], float], longest: float) -> None:
        self._read_mark = read_mark
        self._timer = timer
        self._longest = longest
        self._mark: object = None
        self._next: datetime | None = None
        self._looked_at: datetime | None = None
        self._latest = 0.0

    def is_worth(self, now: datetime) -> bool:
        """Whether to look now. The mark is taken before the look, so that what is committed meanwhile is seen."""
        mark = self._read_mark()
        is_told = self._looked_at is None or mark != self._mark
        is_time = self._next is not None and now >= self._next
        is_clock_set_back = self._looked_at is not None and now < self._looked_at
        if not (is_told or is_time or is_clock_set_back or self._timer() >= self._latest):
            return False
        self._mark, self._looked_at, self._latest = mark, now, self._timer() + self._longest
        return True

    def rest_until(self, moment: datetime | None) -> None:
        """The look is over, and time alone brings nothing new before this moment; None: at no time."""
        self._next = moment

    def forget(self) -> None:
        """The look failed: the next question is answered with yes."""
        self._looked_at = None
