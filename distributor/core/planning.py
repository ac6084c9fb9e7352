"""The shapes that planning leaves: what is to be an edition, and what became of the other due times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

#: What freezing gives instead of an audience: it was frozen before or has changed; it is held for its audience.
NOT_AS_READ, HELD = -1, -2
#: What the reason of an edition begins with that is held for its audience.
AUDIENCE = "audience: "
#: An edition waits for a person when it has more than so many times the readers of the last one, and so many more.
AUDIENCE_JUMP = 1.5
AUDIENCE_MORE = 100


def say_jump(audience: int, before: int, allowed: int = 0) -> str:
    """Why an edition for so many readers waits for a person, "" if it goes.

    The one before it had `before`; a person has let this one go for `allowed`.
    """
    usual = max(before, allowed)
    if audience <= usual * AUDIENCE_JUMP or audience - usual < AUDIENCE_MORE:
        return ""
    return f"{AUDIENCE}{audience:,} readers, the last one had {before:,}"


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
