"""What passes between the ledger and the send step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from distributor.core.delivery import Settlement
from distributor.core.message import Edition, Recipient

# What there is one of for each reader is not frozen: that takes three times as long to make. Nobody changes it.


@dataclass(slots=True)
class Claimed:
    """A delivery somebody has the right to send until the lease ends. `address` is "" for one voice."""

    delivery_id: int
    recipient_id: int
    address: str
    name: str
    attempts: int


@dataclass(frozen=True)
class Batch:
    """Deliveries of one edition, claimed together under one fence."""

    edition: Edition
    claimed: tuple[Claimed, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing may go out now; ask again in `seconds` (None: when somebody wakes the lane)."""

    seconds: float | None


@dataclass(slots=True)
class Settled:
    """One delivery's settlement as the ledger stores it. `number` is the attempt's number from 1."""

    delivery_id: int
    number: int
    started_at: datetime
    ended_at: datetime
    settlement: Settlement


@dataclass(frozen=True)
class UnknownDelivery:
    """A delivery that may have gone out, with what is needed to look for it. `since`: when the answer was lost."""

    delivery_id: int
    edition: Edition
    recipient: Recipient
    attempts: int
    since: datetime


@dataclass(frozen=True)
class Evidence:
    """What send journals prove about bulk deliveries whose process died.

    `outcomes`: delivery id -> "started" (perhaps sent) or "sent <receipt>". `complete`: fences whose journal is
    known to hold everything that was started; a bulk delivery of any other fence is unknown. `known`: fences whose
    journal was read, complete or not; those of other machines are on their own disks.
    """

    outcomes: Mapping[int, str] = field(default_factory=dict)
    complete: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()
