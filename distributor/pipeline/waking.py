"""What the walk asks of an engine: to wake whoever sends. It decides nothing; the ledger does."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from distributor.core.waking import Waker, Wakeup

log = logging.getLogger(__name__)


class Engine(Waker, Protocol):
    """Wakes senders. Wake-ups may be lost, doubled or stale: the ledger makes that harmless.

    Any method but `start` and `stop` may raise StorageError.
    """

    def start(self) -> None:
        """Begin to wake and to send. Raises StorageError; then nothing runs."""

    def stop(self, timeout: float) -> bool:
        """Start nothing new, let what is on the wire finish; True when everything ended within so many seconds."""

    def is_live(self, channel: str) -> bool:
        """Whether a wake-up for this channel waits or is being followed, by whoever it is."""

    def cancel(self, channel: str) -> int:
        """Take back the wake-ups that wait for this channel; returns how many."""

    def recover(self) -> int:
        """Take over the wake-ups of dead processes; returns how many."""


class ReadyChannels(Protocol):
    """What sweeping asks of the ledger."""

    def list_ready(self, now: datetime) -> Sequence[Wakeup]: ...
    def put_down(self, wakeup: Wakeup) -> None: ...


def wake_forgotten(ready: ReadyChannels, engine: Engine, now: datetime) -> int:
    """Wake channels again that have something to send and of which nobody thinks; returns how many."""
    forgotten = [wakeup for wakeup in ready.list_ready(now) if not engine.is_live(wakeup.channel)]
    for wakeup in forgotten:
        log.debug("channel %s is woken again", wakeup.channel)
        ready.put_down(wakeup)
    return len(forgotten)
