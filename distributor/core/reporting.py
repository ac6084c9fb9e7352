"""What the database answers when a person asks: rows for pages, commands and files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

GroupBy = Literal["post", "channel", "edition", "slot", "schedule"]


@dataclass(frozen=True)
class DeliveryRow:
    """One delivery as the operator sees it. `recipient` is an address, or "" on a channel with one voice."""

    id: int
    edition_id: int
    channel: str
    schedule: str
    title: str
    recipient: str
    state: str
    reason: str
    attempts: int
    receipt: str
    detail: str
    not_before: datetime | None
    may_duplicate: bool
    changed_at: datetime
    #: Of an unknown one: until when a person may decide.
    decide_by: datetime | None = None


@dataclass(frozen=True)
class HeldRow:
    """Held messages of one edition that have the same reason."""

    edition_id: int
    channel: str
    title: str
    reason: str
    count: int


@dataclass(frozen=True)
class EditionRow:
    """One edition with its deliveries by state."""

    id: int
    key: str
    schedule: str
    channel: str
    form: str
    state: str
    reason: str
    title: str
    due_at: datetime
    completed_at: datetime | None
    audience: int
    counts: dict[str, int]
    warnings: str


@dataclass(frozen=True)
class ClickCount:
    """Clicks of one group. `human` leaves out previews, prefetches, scanners, bots and ourselves."""

    group: str
    label: str
    human: int
    other: int
    classes: dict[str, int]


@dataclass(frozen=True)
class LinkRow:
    slug: str
    target: str
    slot: str
    channel: str
    schedule: str
    edition_id: int | None
    post_id: int | None
    headline: str
    human: int
    other: int


@dataclass(frozen=True)
class NoticeRow:
    at: datetime
    level: str
    subject: str
    text: str


@dataclass(frozen=True)
class ChannelRow:
    name: str
    is_paused: bool
    reason: str
    since: datetime | None
    last_ok_at: datetime | None
    last_error: str
    last_error_at: datetime | None
    #: Who paused it.
    by: str = ""


@dataclass(frozen=True)
class SourceRow:
    """What is remembered of a source. `state` is the source's own JSON."""

    name: str
    state: str
    next_poll_at: datetime | None
    last_ok_at: datetime | None
    last_poll_at: datetime | None
    failures: int
    error: str


@dataclass(frozen=True)
class ProcessRow:
    """One process that runs on this database, or died lately. `age`: seconds since its last sign of life."""

    fence: str
    host: str
    process: int
    roles: str
    version: str
    started_at: datetime
    age: float
    is_dead: bool
