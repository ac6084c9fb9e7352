"""The last look at a story's page before it is told: is it still there? Decides only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

#: How the reason of a story begins that is held for its page, and of one that a person let go all the same.
PAGE = "page: "
RELEASED = f"{PAGE}released"
#: What says clearly that a page is not there. Everything else may be a site's bad minute.
GONE = frozenset({404, 410})
#: Between two noes: a page that is new may not have come to each of a site's servers yet.
PAUSE = timedelta(seconds=20)
#: How long an answer that is no clear no speaks for a page: one look for all editions of one hour.
TRUSTED = timedelta(minutes=1)
#: What is older tells nothing any more.
KEPT = timedelta(minutes=10)

Step = Literal["go", "ask", "wait", "gone"]


@dataclass(frozen=True, slots=True)
class Sight:
    """What asking for a page gave at last; `noes` are the clear noes in a row, at least `PAUSE` apart."""

    at: datetime
    status: int
    noes: int = 0


def is_worth_asking(
    seen_at: datetime, published_at: datetime | None, reason: str, after: timedelta | None, now: datetime
) -> bool:
    """Whether a live story is old enough for its page to be asked for; `after` None means never.

    A story that waited for its own hour is new from that hour on: its page may not be everywhere before. What a
    person released after such a look is not asked for again.
    """
    if after is None or reason.startswith(PAGE):
        return False
    return now - max(seen_at, published_at or seen_at) >= after


def find_step(sight: Sight | None, now: datetime) -> Step:
    """What to do about a story whose page was last seen so: tell it, ask, wait before asking again, or hold it."""
    if sight is None or not timedelta() <= now - sight.at < KEPT:
        return "ask"
    if sight.noes:
        return "gone" if sight.noes > 1 else "wait" if now - sight.at < PAUSE else "ask"
    return "go" if now - sight.at < TRUSTED else "ask"


def note_answer(before: Sight | None, status: int, now: datetime) -> Sight:
    """The sight after an answer; status 0 means that there was none."""
    is_before = before is not None and timedelta() <= now - before.at < KEPT
    noes = before.noes if before is not None and is_before else 0
    return Sight(now, status, noes + 1 if status in GONE else 0)


def describe(sight: Sight) -> str:
    """Why the story is held."""
    return f"{PAGE}its page answered {sight.status} at {sight.at:%Y-%m-%d %H:%M} UTC"
