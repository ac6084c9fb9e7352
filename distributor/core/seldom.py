"""Answers that cost something are kept for a while: the longer, the more they cost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Seldom(Generic[T]):
    """Asks `find` at most every `least` seconds, and so seldom that asking takes at most `share` of the time.

    `timer` is a monotonic clock in seconds. Safe for many threads; one of them asks, the others wait for it.
    """

    def __init__(
        self, find: Callable[[], T], timer: Callable[[], float], least: float = 5.0, share: float = 0.02
    ) -> None:
        self._find = find
        self._timer = timer
        self._least = least
        self._share = share
        self._lock = threading.Lock()
        self._kept: tuple[float, T] | None = None

    def get(self) -> T:
        with self._lock:
            begun = self._timer()
            if self._kept is not None and begun < self._kept[0]:
                return self._kept[1]
            found = self._find()
            ended = self._timer()
            self._kept = (ended + max(self._least, (ended - begun) / self._share), found)
            return found
