"""Whether a channel is paused, for batches that take longer than a moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from distributor.core.errors import StorageError
from distributor.storage.decisions import Decisions

#: A pause of a channel may stay unseen by a batch that is being sent for so long.
PAUSE_SEEN_WITHIN = timedelta(seconds=0.25)


class PauseWatch:
    """Whether a channel is paused, asked of the database at most every quarter of a second."""

    def __init__(self, decisions: Decisions, name: str, clock: Callable[[], datetime]) -> None:
        self._decisions = decisions
        self._name = name
        self._clock = clock
        self._asked_at: datetime | None = None
        self._is_paused = False

    def is_paused(self) -> bool:
        now = self._clock()
        if self._asked_at is None or abs(now - self._asked_at) > PAUSE_SEEN_WITHIN:
            self._asked_at = now
            try:
                self._is_paused = self._name in self._decisions.list_paused()
            except StorageError:
                self._is_paused = True  # who cannot ask does not send
        return self._is_paused
