"""When a schedule is due: an editor's rule and a stretch of time in, due times out. Pure: no clock is read.

A rule names local wall times in an IANA zone, and clocks are put forward and back. What follows:

- A wall time that a rule names is due once and has one key, so a unique index on the key keeps any number of
  planners from planning it twice.
- A wall time that the clocks jump over is due at the first instant after the jump, also when a whole date
  is left out (Pacific/Apia, 30 December 2011). A wall time that they show twice is due at its first
  showing only.
- Wall times that come to the same instant this way are one occurrence, not a burst. It carries the latest
  of their keys, the one nearest to what the clocks then show: an hourly rule has one firing at 03:00,
  named 03:00, where 02:00 does not exist.
- So rules within the day, `every: 10m` as well as cron, follow the clock on the wall: while an hour is
  shown for the second time they are silent.
- An `every` that neither divides a day nor is a number of days (5h, 36h) has no wall times. It is counted
  in UTC, is evenly spaced across clock changes, and its key is the UTC instant with a Z.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from distributor.core.days import FIRST_MONDAY
from distributor.core.duration import parse_duration
from distributor.core.rule import Rule, parse_rule
from distributor.core.rule_words import describe_rule
from distributor.core.wall_time import first_instant, load_zone

__all__ = [
    "Occurrence",
    "Rule",
    "describe_rule",
    "next_occurrence",
    "occurrences",
    "parse_duration",
    "parse_rule",
]

HORIZON = timedelta(days=400)

# Three days short of what datetime can hold: room for any zone's offset on either side.
_EARLIEST = datetime(1, 1, 4, tzinfo=UTC)
_LATEST = datetime(9999, 12, 28, tzinfo=UTC)
_EPOCH = datetime.combine(FIRST_MONDAY, time(), UTC)
_MIDNIGHT = time()
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One due time of a schedule.

    `key`: the schedule's name, "@" and the nominal wall time without offset, `morning@2026-03-29T07:30`,
    with seconds only where there are some; for a rule counted in UTC that instant with a Z. Unique,
    whatever the clocks do. `due`: the instant, in UTC. `local`: the nominal wall time, naive; in a gap it
    is one that no clock shows.
    """

    key: str
    due: datetime
    local: datetime


def occurrences(schedule_name: str, rule: Rule, after: datetime, until: datetime) -> Iterator[Occurrence]:
    """The due times with `after` < due <= `until`, ascending, made one by one as they are read.

    Both ends must be aware, else ValueError. Cutting a stretch of time in two gives the same occurrences.
    A rule `when: immediately` has none. Costs a few microseconds for each occurrence and less for a date
    that has none.
    """
    start, end = _clamp(after), _clamp(until)
    if rule.is_immediate:
        return iter(())
    if not rule.times and rule.period is not None:
        return _count_in_utc(schedule_name, rule, rule.period, start, end)
    return _walk_the_wall(schedule_name, rule, start, end)


def next_occurrence(
    schedule_name: str, rule: Rule, after: datetime, horizon: timedelta = HORIZON
) -> Occurrence | None:
    """The first due time later than `after`, or None when there is none within the horizon.

    Some rules are rarer than the default horizon: 29 February comes every four years, sometimes eight.
    """
    start = _clamp(after)
    until = start + min(horizon, _LATEST - start)
    return next(occurrences(schedule_name, rule, start, until), None)


def _walk_the_wall(name: str, rule: Rule, start: datetime, end: datetime) -> Iterator[Occurrence]:
    zone = load_zone(rule.timezone)
    shown = start.astimezone(zone).replace(tzinfo=None)
    # Offsets are less than a day, so no clock shows a later wall time by the end.
    latest = end.replace(tzinfo=None) + _ONE_DAY
    held: Occurrence | None = None
    for wall in _wall_times(rule, shown, latest):
        due = first_instant(wall, zone)
        if due > end:
            break
        # Where clocks show a stretch again, wall times after `shown` may have been due before `start`.
        if due <= start:
            continue
        if held and held.due != due:
            yield held
        held = Occurrence(_key(name, wall), due, wall)
    if held:
        yield held


def _wall_times(rule: Rule, after: datetime, until: datetime) -> Iterator[datetime]:
    """The nominal wall times of a rule, later than `after` and up to `until`, ascending."""
    skip = bisect_right(rule.times, (after - datetime.combine(after, _MIDNIGHT)).total_seconds())
    for ordinal in range(after.toordinal(), until.toordinal() + 1):
        day = date.fromordinal(ordinal)
        if rule.days.includes(day):
            midnight = datetime.combine(day, _MIDNIGHT)
            for index in range(skip, len(rule.times)):
                yield midnight + timedelta(seconds=rule.times[index])
        skip = 0


def _count_in_utc(name: str, rule: Rule, period: timedelta, start: datetime, end: datetime) -> Iterator[Occurrence]:
    zone = load_zone(rule.timezone)
    due = _EPOCH + ((start - _EPOCH) // period + 1) * period
    while due <= end:
        yield Occurrence(_key(name, due.replace(tzinfo=None)) + "Z", due, due.astimezone(zone).replace(tzinfo=None))
        due += period


def _key(name: str, wall: datetime) -> str:
    return f"{name}@{wall.isoformat(timespec='seconds' if wall.second else 'minutes')}"


def _clamp(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; due times need an aware datetime")
    return min(max(moment, _EARLIEST), _LATEST).astimezone(UTC)
