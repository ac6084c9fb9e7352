"""A wake-up says that a channel may have something to send. It carries no work: the ledger decides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Wakeup:
    """Deliveries of this channel are ready. A stale, doubled or lost one is harmless.

    `edition_id` 0: of no particular edition. `audience`: how many deliveries, so that several machines can be woken
    for a long list. `at`: not worth looking before. `is_urgent`: before what can wait, such as a digest.
    """

    channel: str
    edition_id: int = 0
    audience: int = 1
    at: datetime | None = None
    is_urgent: bool = False


class Waker(Protocol):
    """Who is told of wake-ups by the database."""

    def enqueue(self, driver: Any, wakeup: Wakeup) -> None:
        """Put it down over this connection of the database's driver, in its open transaction: rolled back with it.
        Raises StorageError."""

    def wake(self, channel: str | None = None) -> None:
        """The transaction is committed: there may be work on this channel (None: on any). Never raises."""
