"""The shapes that planning leaves: what is to be an edition, and what became of the other due times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class OccurrenceNote:
    """What became of one due time. `outcome`: edition | empty | late | superseded."""

    key: str
    due_at: datetime
    outcome: str
    text: str = ""


@dataclass(frozen=True)
class EditionPlan:
    """An edition to be written down. `key` is unique: the occurrence, or schedule and post.

    `hold_reason` when a person has to release it. `overflow_ids` are posts that count as told but are only
    mentioned as "more on the site".
    """

    key: str
    schedule: str
    channel: str
    form: str
    title: str
    due_at: datetime
    late_after: datetime | None
    post_ids: tuple[int, ...]
    overflow_ids: tuple[int, ...] = ()
    hold_reason: str = ""
    note: OccurrenceNote | None = None


@dataclass(frozen=True)
class PlannedEdition:
    """An edition as the database has it, before it has words."""

    id: int
    key: str
    schedule: str
    channel: str
    form: str
    token: str
    state: str
    title: str
    due_at: datetime
    late_after: datetime | None
    post_ids: tuple[int, ...]
    overflow_ids: tuple[int, ...]
