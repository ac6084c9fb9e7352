"""The clock says a source is due: fetch, recognise, fill gaps, write down what is new or changed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from distributor.core.errors import SourceError
from distributor.core.identity import Known, SourceStats, Verdict, identity_keys, judge
from distributor.core.post import Post
from distributor.core.source_state import PollResult, QuietPoll, SourceState, back_off
from distributor.core.tally import count
from distributor.core.text_clean import make_storable

log = logging.getLogger(__name__)

#: Article pages read in one poll; what is beyond is sent as the feed gave it.
MOST_PAGES = 20


class Source(Protocol):
    """Where posts come from. `poll` raises SourceError when this time nothing could be read."""

    def poll(self, state: SourceState, now: datetime) -> PollResult: ...


class Count(Protocol):
    """What a poll changed, in posts."""

    @property
    def new(self) -> int: ...
    @property
    def changed(self) -> int: ...
    @property
    def held(self) -> int: ...
    @property
    def history(self) -> int: ...


class PostStore(Protocol):
    """What polling asks of the database."""

    def source_stats(self, name: str) -> SourceStats: ...
    def find_known(self, name: str, keys: Sequence[str]) -> dict[str, Known]: ...
    def note_failure(
        self, name: str, state: str, error: str, next_poll_at: datetime | None, now: datetime
    ) -> None: ...
    def note_quiet(self, polls: Sequence[QuietPoll]) -> None: ...
    def apply_poll(
        self,
        name: str,
        state: str,
        verdicts: Sequence[Verdict],
        enriched: Mapping[int, Post],
        next_poll_at: datetime | None,
        now: datetime,
    ) -> Count: ...


@dataclass(frozen=True)
class Polled:
    """What one poll came to. `error` is "" when the source could be read."""

    source: str
    new: int = 0
    changed: int = 0
    held: int = 0
    history: int = 0
    is_unchanged: bool = False
    error: str = ""
    note: str = ""


def poll(
    name: str,
    source: Source,
    every: timedelta,
    state: SourceState,
    store: PostStore,
    enrich: Callable[[Post, datetime], Post],
    now: datetime,
    later: Callable[[QuietPoll], None] | None = None,
    settle: timedelta = timedelta(),
) -> Polled:
    """Poll one source once. A source that cannot be read costs only itself: reason kept, tried again later.

    A new story waits for `settle` from now before it may be told.

    A poll that found nothing new is given to `later`, whose owner writes it down together with others; without
    `later` it is written at once. Lost before that, it costs one more request.
    """
    state = replace(state, claimed_by="") if state.claimed_by else state
    try:
        result = _ask(name, source, state, now)
    except SourceError as error:
        after = back_off(state, name, every, error, now)
        why = make_storable(str(error))
        store.note_failure(name, after.to_json(), why, after.next_poll_at, now)
        return Polled(name, error=why)
    after = result.state
    if result.is_unchanged:
        quiet = QuietPoll(name, after.to_json(), after.next_poll_at, now)
        if later is None:
            store.note_quiet([quiet])
        else:
            later(quiet)
        return Polled(name, is_unchanged=True, note=result.note)
    stats = replace(store.source_stats(name), first_polled_at=state.first_polled_at)
    keys = [key for post in result.posts for key in identity_keys(post)]
    verdicts = judge(result.posts, store.find_known(name, keys), stats, now, settle)
    counted = store.apply_poll(
        name, after.to_json(), verdicts, _fill_gaps(verdicts, enrich, now), after.next_poll_at, now
    )
    for kind, number in Counter(verdict.kind for verdict in verdicts).items():
        count("stories", name, kind, by=number * (kind != "same"))
    return Polled(name, counted.new, counted.changed, counted.held, counted.history, note=result.note)


def _ask(name: str, source: Source, state: SourceState, now: datetime) -> PollResult:
    try:
        return source.poll(state, now)
    except SourceError:
        raise
    except Exception as error:  # a source's bug is this source's trouble, shown like any other
        log.exception("source %s failed", name)
        raise SourceError(f"the program failed while reading it ({type(error).__name__}); see the log") from error


def _fill_gaps(
    verdicts: Sequence[Verdict], enrich: Callable[[Post, datetime], Post], now: datetime
) -> dict[int, Post]:
    """Read the article pages of what may go out; history and bursts are not worth the site's bandwidth."""
    worth = [
        index
        for index, verdict in enumerate(verdicts)
        if verdict.kind in ("new", "changed", "released") or (verdict.kind == "held" and verdict.reason != "burst")
    ]
    return {index: enrich(verdicts[index].post, now) for index in worth[:MOST_PAGES]}
