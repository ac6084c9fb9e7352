"""One channel and what sending on it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from distributor.core.contracts import Channel
from distributor.core.message import Edition, Message, Pace, Recipient
from distributor.core.sending import Batch, Claimed, Settled, Wait
from distributor.pipeline.reconcile import Ledger as UnknownLedger

Clock = Callable[[], datetime]


class Ledger(Protocol):
    """What sending asks of the ledger."""

    def claim(
        self,
        name: str,
        *,
        limit: int,
        paces: Sequence[Pace],
        fence: str,
        lease: float,
        now: datetime,
    ) -> Batch | Wait: ...
    def start(self, delivery_ids: Sequence[int], fence: str, now: datetime) -> list[int]: ...
    def find_gone(self, delivery_ids: Sequence[int]) -> set[int]: ...
    def settle(self, channel_name: str, fence: str, settled: Sequence[Settled], now: datetime) -> None: ...
    def rest_channel(self, name: str, until: datetime) -> None: ...


class Journal(Protocol):
    """What bulk sending asks of the send journal."""

    def note(self, accepted: Sequence[tuple[int, str]], refused: Sequence[int], started: Sequence[int]) -> None: ...
    def forget(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Lane:
    """One channel and what sending on it needs. One thread owns a lane."""

    channel: Channel
    ledger: Ledger
    journal: Journal
    fence: str
    clock: Clock
    #: The personal slots of a recipient in an edition.
    slots: Callable[[Edition, Recipient], Mapping[str, str]]
    #: False as soon as nothing new may start (stopping, paused).
    may_start: Callable[[], bool]
    #: Sleeps between tries to reach the database again; returns early when stopping.
    pause: Callable[[float], None]
    #: Where unknown deliveries are looked up, to ask the service about them; None: nobody asks.
    unknowns: UnknownLedger | None = None
    lease: float = 900.0
    #: Seconds before the end of the lease from which nothing new is started, so that no holder outlives it.
    margin: float = 180.0

    def close(self) -> None:
        """Give back the channel's connections and the journal's file."""
        self.channel.close()
        self.journal.close()

    def claim(self) -> Taken | Wait:
        """The next batch, as the ledger gives it."""
        limits, now = self.channel.limits, self.clock()
        found = self.ledger.claim(
            self.channel.name, limit=limits.batch, paces=limits.paces, fence=self.fence, lease=self.lease, now=now
        )
        if isinstance(found, Wait):
            return found
        return Taken(found.edition, [self._write(found.edition, item) for item in found.claimed], now)

    def _write(self, edition: Edition, item: Claimed) -> Message:
        recipient = Recipient(item.recipient_id, item.address or self.channel.address, item.name)
        return Message(item.delivery_id, edition, recipient, self.slots(edition, recipient), item.attempts + 1)


@dataclass(frozen=True)
class Taken:
    """A batch that was claimed at some moment, as messages."""

    edition: Edition
    messages: list[Message]
    at: datetime
