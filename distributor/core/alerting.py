"""What is wrong enough to call somebody: facts and a moment in, troubles out. Pure.

Every trouble names itself by a key that stays the same as long as it is the same trouble, says what is wrong, and
what to type. Thresholds are those of facts/reliability.md section 6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from distributor.core import remedies
from distributor.core.delivery import TERMINAL
from distributor.core.needs import count, describe_span
from distributor.core.schedule import Rule, next_occurrence

UNKNOWN_FOR = timedelta(minutes=10)
BACKUP_AGE = timedelta(hours=26)
DISK_FREE = 0.10
CLOCK_OFFSET = 2.0
#: A source that cannot be read is asked again this often before it is called silent.
POLLS_MISSED = 3
LEAST_UNREAD = timedelta(minutes=30)
#: No new story for three times the usual gap; the usual gap needs some stories, and nights are quiet.
GAPS_MISSED = 3
LEAST_GAPS = 10
LEAST_SILENCE = timedelta(hours=6)
#: A process that has not said for so long that it is alive is taken for dead.
BEAT_AGE = timedelta(seconds=60)
#: A process that is restarted is back within this time.
RESTART = timedelta(minutes=2)
#: How far back a due time that was missed is still told.
MISSED_SINCE = timedelta(hours=24)


@dataclass(frozen=True)
class Trouble:
    """One thing that is wrong. `key` is the same as long as it lasts, `commands` are what helps.

    What is over within `patience` is told to nobody.
    """

    key: str
    text: str
    commands: tuple[str, ...] = ()
    patience: timedelta = timedelta()


@dataclass(frozen=True)
class OpenEdition:
    """An edition that is not complete. `counts` are its deliveries by state, as far as they are written."""

    id: int
    schedule: str
    channel: str
    title: str
    state: str
    reason: str
    due_at: datetime
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Missed:
    """A due time that made no edition because the program was not running."""

    key: str
    schedule: str
    due_at: datetime


@dataclass(frozen=True)
class Paused:
    """A channel that was paused by the program or the service, not by a person."""

    channel: str
    reason: str
    since: datetime | None


@dataclass(frozen=True)
class SourceFacts:
    """`arrivals` are when its last stories were published, in any order; `held` those that wait for a person."""

    last_ok_at: datetime | None
    error: str
    every: timedelta
    arrivals: Sequence[datetime] = ()
    held: int = 0


@dataclass(frozen=True)
class ProcessFacts:
    roles: frozenset[str]
    beat_age: timedelta


@dataclass(frozen=True)
class Facts:
    """What can be known at one moment. `unknown`: channel -> how many, since when the oldest. `silent_hooks`:
    channel -> the last report of its service, where messages went out since. `capped`: channels whose next message
    waits for its cap, which needs nobody. `clicks_lost`: lately, by all processes. `backup_at`: None when it is not
    known; `processes`: empty where processes do not report."""

    planned_until: Mapping[str, tuple[Rule, datetime]] = field(default_factory=dict)
    missed: Sequence[Missed] = ()
    late: Sequence[OpenEdition] = ()
    capped: frozenset[str] = frozenset()
    unknown: Mapping[str, tuple[int, datetime]] = field(default_factory=dict)
    sources: Mapping[str, SourceFacts] = field(default_factory=dict)
    mismatches: Sequence[int] = ()
    paused: Sequence[Paused] = ()
    silent_hooks: Mapping[str, datetime] = field(default_factory=dict)
    backup_at: datetime | None = None
    disk_free: float = 1.0
    clock_offset: float = 0.0
    processes: Sequence[ProcessFacts] = ()
    safe_mode: str = ""
    clicks_lost: float = 0.0


def find_troubles(facts: Facts, now: datetime, after: timedelta) -> list[Trouble]:
    """Everything that is wrong, the worst first. `after`: when an unfinished edition is late."""
    return [
        *find_lost_roles(facts.processes),
        *_find_broken(facts, now),
        *_find_unplanned(facts, now, after),
        *_find_late(facts, now, after),
        *_find_unknown(facts, now),
        *_find_paused(facts),
        *_find_silent_sources(facts, now),
        *_find_silent_hooks(facts, now),
    ]


def _find_broken(facts: Facts, now: datetime) -> Iterator[Trouble]:
    if facts.safe_mode:
        yield Trouble("safe mode", f"Nothing is sent: {facts.safe_mode}", ("distributor status",))
    for number in facts.mismatches:
        text = f"The deliveries of edition {number} do not add up to its audience. This is a bug; keep a backup."
        yield Trouble(f"mismatch {number}", text, remedies.MISMATCH)
    if facts.disk_free < DISK_FREE:
        text = f"{facts.disk_free:.1%} of the disk with the program's files is free; below 5 % it is not ready."
        yield Trouble("disk", text)
    if facts.clicks_lost:
        what = count(int(facts.clicks_lost), "click")
        text = f"{what} could not be written to a web process's disk and got lost: free some. Readers got through."
        yield Trouble("clicks lost", text, ("distributor status",))
    if abs(facts.clock_offset) > CLOCK_OFFSET:
        way = "ahead of" if facts.clock_offset > 0 else "behind"
        text = f"This machine's clock is {abs(facts.clock_offset):.1f} s {way} the database server's: mend its NTP."
        yield Trouble("clock offset", text)
    if facts.backup_at is not None and now - facts.backup_at > BACKUP_AGE:
        text = f"The last backup is of {spell(facts.backup_at)}, {describe_span(now - facts.backup_at)} ago."
        yield Trouble("backup", text, ("distributor db backup",))


def find_lost_roles(processes: Sequence[ProcessFacts]) -> Iterator[Trouble]:
    """Roles without which nothing goes out, and that no living process plays."""
    if not processes:
        return
    alive = frozenset().union(*(one.roles for one in processes if one.beat_age <= BEAT_AGE))
    known = frozenset().union(*(one.roles for one in processes))
    for role, what in (("clock", "nothing is polled and planned"), ("worker", "nothing is sent")):
        if role not in alive:
            was = "has stopped answering" if role in known else "runs"
            lead = "The only" if role in known else "No"
            commands = (f"distributor run --roles {role}",)
            yield Trouble(f"no {role}", f"{lead} {role} {was}: {what}.", commands, RESTART)


def _find_unplanned(facts: Facts, now: datetime, after: timedelta) -> Iterator[Trouble]:
    for name, (rule, until) in sorted(facts.planned_until.items()):
        due = next_occurrence(name, rule, until, horizon=max(now - until, timedelta()))
        if due is not None and now - due.due > after:
            text = f"{name} was due at {spell(due.due)} and has not even been planned: the clock stands still."
            yield Trouble(f"unplanned {name}", text, ("distributor status",))
    for one in facts.missed:
        if now - one.due_at <= MISSED_SINCE:
            text = f"{one.schedule} of {spell(one.due_at)} did not go out: the program was not running."
            yield Trouble(f"missed {one.key}", text, ("distributor plan",))


def _find_late(facts: Facts, now: datetime, after: timedelta) -> Iterator[Trouble]:
    for one in facts.late:
        if now - one.due_at > after and not (one.channel in facts.capped and _waits_by_itself(one)):
            told = ", ".join(f"{number:,} {state}" for state, number in sorted(one.counts.items())) or one.state
            why = f" ({one.reason})" if one.reason else ""
            title = f' "{one.title[:80]}"' if one.title else ""
            text = (
                f"Edition {one.id}{title} of {one.schedule} was due at {spell(one.due_at)} and is not finished on "
                f"{one.channel}: {told}{why}."
            )
            yield Trouble(f"late {one.id}", text, _commands(one))


def _waits_by_itself(one: OpenEdition) -> bool:
    return one.state == "frozen" and not one.counts.keys() - {"queued", *TERMINAL}


def _commands(one: OpenEdition) -> tuple[str, ...]:
    if one.state in ("parked", "held") or one.counts.get("held"):
        return remedies.for_edition(one.id)
    return ("distributor status", f"distributor deliveries --edition {one.id}")


def _find_unknown(facts: Facts, now: datetime) -> Iterator[Trouble]:
    for name, (number, since) in sorted(facts.unknown.items()):
        if number and now - since > UNKNOWN_FOR:
            what = f"{count(number, 'message')} on {name}"
            text = f"{what} may or may not have gone out, since {spell(since)}. Look at the channel."
            yield Trouble(f"unknown {name}", text, remedies.for_unknown(name))


def _find_paused(facts: Facts) -> Iterator[Trouble]:
    for one in facts.paused:
        since = f" since {spell(one.since)}" if one.since else ""
        text = f"The channel {one.channel} is closed{since}: {one.reason or 'no reason was given'}"
        yield Trouble(f"paused {one.channel}", text, ("distributor check", f"distributor resume {one.channel}"))


def _find_silent_sources(facts: Facts, now: datetime) -> Iterator[Trouble]:
    for name, one in sorted(facts.sources.items()):
        if one.held:
            text = f"{count(one.held, 'story', 'stories')} of the source {name} held for a person."
            yield Trouble(f"held {name}", text, remedies.HELD_STORIES)
        unread = max(one.every * POLLS_MISSED, LEAST_UNREAD)
        if one.last_ok_at is not None and now - one.last_ok_at > unread:
            why = f": {one.error}" if one.error else ""
            text = f"The source {name} was last read at {spell(one.last_ok_at)}{why}"
            yield Trouble(f"unread {name}", text, remedies.for_source(name))
        elif one.arrivals and now - max(one.arrivals) > find_patience(one.arrivals):
            text = f"The source {name} is read, but its last story is of {spell(max(one.arrivals))}."
            yield Trouble(f"silent {name}", text, remedies.for_source(name))


def find_patience(arrivals: Sequence[datetime]) -> timedelta:
    """How long without a story is odd for a source: three usual gaps, and longer than its longest lately."""
    ordered = sorted(arrivals)
    gaps = [later - earlier for earlier, later in pairwise(ordered)]
    if len(gaps) < LEAST_GAPS:
        return timedelta.max
    usual = timedelta(seconds=median(gap.total_seconds() for gap in gaps))
    return max(usual * GAPS_MISSED, max(gaps) * 1.5, LEAST_SILENCE)


def _find_silent_hooks(facts: Facts, now: datetime) -> Iterator[Trouble]:
    for name, last in sorted(facts.silent_hooks.items()):
        text = (
            f"Mail goes out on {name}, but its service has reported nothing for {describe_span(now - last)}: "
            "bounces and complaints are not seen. Look at the webhook's settings there."
        )
        yield Trouble(f"silent webhook {name}", text)


def spell(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
