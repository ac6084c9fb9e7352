"""What a person decides about a channel that was paused, and what came of it in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from distributor.core.message import DECIDE_WITHIN

#: What becomes of the messages that waited behind a pause.
ResumeMode = Literal["all", "drop", "newest", "spread", "review"]


@dataclass(frozen=True)
class Resumed:
    """A channel that is open again. Numbers are messages, unless they say editions.

    `going` go out, now or within `minutes`; `skipped` never; `reviewed` wait for a person; `late` waited for too
    long and stay held.
    """

    channel: str
    mode: ResumeMode
    going: int = 0
    going_editions: int = 0
    skipped: int = 0
    skipped_editions: int = 0
    reviewed: int = 0
    reviewed_editions: int = 0
    late: int = 0
    minutes: int = 0

    def describe(self) -> str:
        """One sentence without its full stop."""
        when = f"over {self.minutes} minutes" if self.minutes else "in order"
        parts = [
            f"{_count(self.going, self.going_editions)} {_be(self.going, 'goes', 'go')} out {when}"
            if self.going
            else "",
            f"{_count(self.skipped, self.skipped_editions)} {_be(self.skipped, 'is', 'are')} skipped"
            if self.skipped
            else "",
            f"{_count(self.reviewed, self.reviewed_editions)} {_be(self.reviewed, 'is', 'are')} held for a person"
            if self.reviewed
            else "",
            f"{self.late} {_be(self.late, 'is', 'are')} late by now and {_be(self.late, 'stays', 'stay')} held"
            if self.late
            else "",
        ]
        return "; ".join(filter(None, parts)) or "nothing waited"


def find_deadline(changed_at: datetime, not_before: datetime | None) -> datetime:
    """Until when a person may decide about a delivery that is unknown since `changed_at`.

    The channel's own time stands in `not_before`; where a process died before the answer it is older.
    """
    if not_before is not None and not_before > changed_at:
        return not_before
    return changed_at + timedelta(seconds=DECIDE_WITHIN)


def _count(messages: int, editions: int) -> str:
    return (
        f"{messages:,} {_be(messages, 'message', 'messages')} of {editions} {_be(editions, 'edition', 'editions')}"
    )


def _be(number: int, one: str, many: str) -> str:
    return one if number == 1 else many
