"""Who, where, when. Decides only: schedules, posts and a moment in, editions out. Running it twice plans once,
because every key it makes is the same and the database keeps keys unique."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Protocol

from distributor.core.planning import EditionPlan, OccurrenceNote
from distributor.core.post import Post
from distributor.core.schedule import Occurrence, Rule, occurrences

#: How far before the last planning an immediate schedule looks for new and changed posts: a poll that was under way
#: meanwhile, and a post that had to wait for its own hour (at most a day).
LOOK_BACK = timedelta(hours=26)
#: A post that no due time took for two months is no news any more.
COLLECTED = timedelta(days=62)
#: How often an immediate schedule writes down how far it has come.
NOTE_EVERY = timedelta(hours=1)


@dataclass(frozen=True)
class Plan:
    """One schedule as planning sees it. `matches` is the schedule's filter."""

    name: str
    channel: str
    form: str
    rule: Rule
    matches: Callable[[Post], bool]
    max_lateness: timedelta
    min_items: int = 1
    max_items: int = 10
    title: str = ""


@dataclass(frozen=True)
class Candidate:
    """A live post that this schedule has not told yet. `ripe_at` is when it could first have gone out."""

    post_id: int
    post: Post
    ripe_at: datetime


@dataclass(frozen=True)
class Planned:
    """What planning found: editions to write, due times that made none, and how far it looked."""

    editions: tuple[EditionPlan, ...]
    notes: tuple[OccurrenceNote, ...]
    until: datetime


def plan(schedule: Plan, candidates: Sequence[Candidate], planned_until: datetime, now: datetime) -> Planned:
    """What this schedule has to do between `planned_until` and `now`.

    After a pause of the program only the newest missed due time is made up for, if it is not later than
    `max_lateness`; the others are written down as superseded or late.
    """
    fitting = [item for item in candidates if schedule.matches(item.post)]
    if schedule.rule.is_immediate:
        return Planned(tuple(_each_now(schedule, fitting, now)), (), now)
    due = list(_due(schedule, planned_until, now))
    if not due:
        return Planned((), (), now)
    notes = [OccurrenceNote(o.key, o.due, "superseded", "a later due time took its place") for o in due[:-1]]
    last = due[-1]
    if now - last.due > schedule.max_lateness:
        note = OccurrenceNote(
            last.key, last.due, "late", "the program was not running; its posts wait for the next"
        )
        return Planned((), (*notes, note), now)
    ripe = [item for item in fitting if item.ripe_at <= last.due]
    if len(ripe) < schedule.min_items or not ripe:
        text = f"{len(ripe)} of at least {schedule.min_items} stories"
        return Planned((), (*notes, OccurrenceNote(last.key, last.due, "empty", text)), now)
    return Planned(tuple(_editions(schedule, ripe, last)), tuple(notes), now)


def _due(schedule: Plan, after: datetime, now: datetime) -> Iterator[Occurrence]:
    return occurrences(schedule.name, schedule.rule, after, now)


def _each_now(schedule: Plan, candidates: Sequence[Candidate], now: datetime) -> Iterable[EditionPlan]:
    for item in sorted(candidates, key=lambda c: (c.ripe_at, c.post_id)):
        late = now - item.ripe_at > schedule.max_lateness
        reason = f"late: it could have gone out at {item.ripe_at:%Y-%m-%d %H:%M} UTC" if late else ""
        yield _each(schedule, item, item.ripe_at, None, reason)


def _editions(schedule: Plan, ripe: Sequence[Candidate], due: Occurrence) -> Iterable[EditionPlan]:
    note = OccurrenceNote(due.key, due.due, "edition")
    if schedule.form == "digest":
        newest_first = sorted(ripe, key=_news_order, reverse=True)
        yield EditionPlan(
            key=due.key,
            schedule=schedule.name,
            channel=schedule.channel,
            form=schedule.form,
            title=schedule.title or newest_first[0].post.headline,
            due_at=due.due,
            late_after=due.due + schedule.max_lateness,
            post_ids=tuple(item.post_id for item in newest_first[: schedule.max_items]),
            overflow_ids=tuple(item.post_id for item in newest_first[schedule.max_items :]),
            note=note,
        )
        return
    for item in sorted(ripe, key=_news_order)[: schedule.max_items]:
        yield _each(schedule, item, due.due, note, "")


def _each(
    schedule: Plan, item: Candidate, due: datetime, note: OccurrenceNote | None, hold_reason: str
) -> EditionPlan:
    return EditionPlan(
        key=f"{schedule.name}:post:{item.post_id}",
        schedule=schedule.name,
        channel=schedule.channel,
        form=schedule.form,
        title=item.post.headline,
        due_at=due,
        late_after=due + schedule.max_lateness,
        post_ids=(item.post_id,),
        hold_reason=hold_reason,
        note=note,
    )


def _news_order(item: Candidate) -> tuple[datetime, int]:
    return (item.post.published_at or item.ripe_at, item.post_id)


#: Due times of one schedule that a forecast names; more of them say nothing more.
MOST_DUE_TIMES = 200


@dataclass(frozen=True)
class Forecast:
    """One line of the week ahead. `stories` is how many posts would go now; -1 for "as they are published"."""

    due_at: datetime | None
    local: datetime | None
    schedule: str
    channel: str
    form: str
    stories: int
    headline: str = ""


def forecast(
    schedules: Sequence[Plan], waiting: Mapping[str, Sequence[Candidate]], now: datetime, until: datetime
) -> list[Forecast]:
    """What goes where and when up to `until`, as far as it is known now. Changes nothing.

    Waiting posts stand at the next due time of their schedule; later ones are shown without stories. Of a
    schedule that is due very often only the next 200 times are named.
    """
    lines = []
    for schedule in schedules:
        fitting = [item for item in waiting.get(schedule.name, ()) if schedule.matches(item.post)]
        if schedule.rule.is_immediate:
            for item in fitting:
                lines.append(_line(schedule, max(item.ripe_at, now), None, 1, item.post.headline))
            lines.append(_line(schedule, None, None, -1, ""))
            continue
        dues = islice(occurrences(schedule.name, schedule.rule, now, until), MOST_DUE_TIMES)
        for index, due in enumerate(dues):
            count = len(fitting) if index == 0 else 0
            headline = max(fitting, key=_news_order).post.headline if count else ""
            lines.append(_line(schedule, due.due, due.local, count, headline))
    return sorted(lines, key=lambda line: (line.due_at is None, line.due_at or now, line.schedule))


def _line(schedule: Plan, due: datetime | None, local: datetime | None, stories: int, headline: str) -> Forecast:
    return Forecast(due, local, schedule.name, schedule.channel, schedule.form, stories, headline)


class StoredPost(Protocol):
    """A post as the database has it; `sources` are all the sources that carry the story."""

    @property
    def id(self) -> int: ...
    @property
    def post(self) -> Post: ...
    @property
    def ripe_at(self) -> datetime: ...
    @property
    def changed_at(self) -> datetime: ...
    @property
    def sources(self) -> tuple[str, ...]: ...


class PostStore(Protocol):
    """What planning asks of the posts."""

    def list_candidates(
        self,
        schedule: str,
        *,
        started_at: datetime,
        changed_since: datetime,
        after_id: int,
        now: datetime,
    ) -> Sequence[StoredPost]: ...


class EditionStore(Protocol):
    """What planning asks of the editions."""

    def start_schedules(self, names: Iterable[str], now: datetime) -> Mapping[str, tuple[datetime, datetime]]: ...
    def add_edition(self, plan: EditionPlan, now: datetime) -> int | None: ...
    def note_planned(self, name: str, until: datetime, notes: Sequence[OccurrenceNote], now: datetime) -> None: ...


def plan_all(schedules: Sequence[Plan], posts: PostStore, editions: EditionStore, now: datetime) -> int:
    """Plan every schedule up to `now`; returns how many editions were written. Safe to run twice or on many
    machines: what is there already is not written again."""
    known = editions.start_schedules([schedule.name for schedule in schedules], now)
    return sum(_plan_one(schedule, posts, editions, known[schedule.name], now) for schedule in schedules)


def _plan_one(
    schedule: Plan,
    posts: PostStore,
    editions: EditionStore,
    state: tuple[datetime, datetime],
    now: datetime,
) -> int:
    _, planned_until = state
    if not schedule.rule.is_immediate and next(_due(schedule, planned_until, now), None) is None:
        return 0
    planned = plan(schedule, load_candidates(schedule, posts, state, now), planned_until, now)
    written = sum(editions.add_edition(one, now) is not None for one in planned.editions)
    if planned.notes or not schedule.rule.is_immediate or now - planned_until > NOTE_EVERY:
        editions.note_planned(schedule.name, planned.until, planned.notes, now)
    return written


def load_candidates(
    schedule: Plan, posts: PostStore, state: tuple[datetime, datetime], now: datetime
) -> list[Candidate]:
    """The posts a schedule has not told, each once, under whichever of its sources the filter likes.

    Looks at what changed lately, so that a story which no filter likes is not read again at every tick for years.
    """
    started_at, planned_until = state
    look_back = LOOK_BACK if schedule.rule.is_immediate else now - planned_until + COLLECTED
    found, since, last = [], planned_until - look_back, 0
    while rows := posts.list_candidates(
        schedule.name, started_at=started_at, changed_since=since, after_id=last, now=now
    ):
        found += [one for row in rows if (one := _fit(schedule, row))]
        since, last = rows[-1].changed_at, rows[-1].id
    return found


def _fit(schedule: Plan, row: StoredPost) -> Candidate | None:
    versions = [row.post, *(replace(row.post, source=name) for name in row.sources if name != row.post.source)]
    post = next((version for version in versions if schedule.matches(version)), None)
    return None if post is None else Candidate(row.id, post, row.ripe_at)
