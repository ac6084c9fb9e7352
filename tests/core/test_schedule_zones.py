"""Every IANA zone around every change of its clocks from 2024 to 2030, against a walk through the minutes.

The oracle knows nothing of the code under test: it asks a zone only what its clocks show at an instant (from UTC
to local, never back) and walks the minutes to see when each wall time is first shown. Zones whose clocks change
alike at one instant share a window. Without --long only the first two of the seven years are walked.
`python tests/core/test_schedule_zones.py` (with the repository on PYTHONPATH) walks every zone for itself.
"""

import sys
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from distributor.core.schedule import Rule, occurrences, parse_rule

EPOCH = datetime(1970, 1, 1)
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
YEARS, FEW_YEARS = 7, 2
DAY = 1440
REACH = 3 * DAY
MARGIN = DAY + 60
QUARTERS = range(0, DAY, 15)
SOME_QUARTERS = QUARTERS[::3]

# All numbers below are minutes since 1970: of UTC, or of what a clock on the wall shows.


@dataclass(frozen=True)
class Window:
    """Six days around one change of the clocks; `offsets` holds (from this minute on, minutes ahead of UTC)."""

    middle: int
    offsets: tuple[tuple[int, int], ...]

    @property
    def start(self) -> int:
        return self.middle - REACH

    @property
    def end(self) -> int:
        return self.middle + REACH


def minute_of(moment: datetime) -> int:
    return int((moment.replace(tzinfo=None) - EPOCH).total_seconds()) // 60


def moment_at(minute: int) -> datetime:
    return EPOCH + timedelta(minutes=minute)


def offset_at(zone: ZoneInfo, minute: int) -> int:
    return minute_of(moment_at(minute).replace(tzinfo=UTC).astimezone(zone)) - minute


def find_offsets(zone: ZoneInfo, years: int) -> list[tuple[int, int]]:
    """Where the clocks of a zone change: looked at every other day, then by the hour, then by the minute."""
    days = every_other_day(years)
    shown = [moment.astimezone(zone).utcoffset() for moment in days]
    changed = [minute_of(days[i]) for i, (was, now) in enumerate(pairwise(shown)) if was != now]
    hours = [hour for start in changed for hour in find_changes(zone, start, 2 * DAY, 60)]
    minutes = [minute for hour in hours for minute in find_changes(zone, hour, 60, 1)]
    return [(start, offset_at(zone, start)) for start in (minute_of(FIRST), *(was + 1 for was in minutes))]


def find_changes(zone: ZoneInfo, start: int, length: int, step: int) -> list[int]:
    """The steps at whose end the offset is another than at their start."""
    steps = range(start, start + length + step, step)
    offsets = [offset_at(zone, minute) for minute in steps]
    return [minute for minute, (was, now) in zip(steps, pairwise(offsets), strict=False) if was != now]


@cache
def every_other_day(years: int) -> list[datetime]:
    last = FIRST.replace(year=FIRST.year + years)
    return [FIRST + timedelta(days=count) for count in range(0, (last - FIRST).days + 2, 2)]


def windows_of(offsets: list[tuple[int, int]]) -> Iterator[Window]:
    """A window for every change; a zone that never changes has one too."""
    for middle, _ in offsets[1:] or [(offsets[0][0] + 100 * DAY, 0)]:
        low, high = middle - REACH - MARGIN, middle + REACH + MARGIN
        first = [offset for start, offset in offsets if start <= low][-1]
        yield Window(middle, ((low, first), *(pair for pair in offsets if low < pair[0] < high)))


def walk_minutes(window: Window) -> dict[int, int]:
    """Wall minute -> the UTC minute at which clocks first show it."""
    first_shown: dict[int, int] = {}
    ends = [start for start, _ in window.offsets[1:]] + [window.end + MARGIN]
    # From the last stretch back to the first, so that the first showing of a minute is the one that stays.
    for (start, offset), end in reversed(list(zip(window.offsets, ends, strict=True))):
        first_shown.update(zip(range(start + offset, end + offset), range(start, end), strict=True))
    return first_shown


@cache
def expected_dues(window: Window) -> dict[int, int]:
    """Nominal quarter-hour -> its due minute, for those due in the window."""
    first_shown = walk_minutes(window)
    dues = {}
    for wall in range(min(first_shown) // 15 * 15 + 15, max(first_shown), 15):
        skipped = wall
        while skipped not in first_shown:
            skipped += 1
        if window.start < first_shown[skipped] <= window.end:
            dues[wall] = first_shown[skipped]
    return dues


@cache
def all_windows(years: int) -> dict[str, list[Window]]:
    """Zone -> its windows."""
    names = sorted(zoneinfo.available_timezones() - {"localtime"})
    return {name: list(windows_of(find_offsets(ZoneInfo(name), years))) for name in names}


def pick_windows(years: int, is_each_zone: bool = False) -> list[tuple[str, Window]]:
    pairs = [(name, window) for name, windows in all_windows(years).items() for window in windows]
    return pairs if is_each_zone else list({window: (name, window) for name, window in pairs}.values())


@cache
def quarter_rules() -> list[Rule]:
    return [parse_rule(at=f"{at // 60:02}:{at % 60:02}", timezone="UTC") for at in QUARTERS]


def list_dues(rule: Rule, window: Window) -> list[tuple[str, int]]:
    ends = (moment_at(minute).replace(tzinfo=UTC) for minute in (window.start, window.end))
    return [(found.key, minute_of(found.due)) for found in occurrences("s", rule, *ends)]


@cache
def key_at(wall: int) -> str:
    return f"s@{moment_at(wall):%Y-%m-%dT%H:%M}"


def count_daily_mistakes(name: str, window: Window) -> tuple[int, int, int]:
    """(due times asked for, missed, double or wrong) over the 96 daily rules of a window."""
    wanted: dict[int, list[tuple[str, int]]] = {at: [] for at in QUARTERS}
    for wall, due in expected_dues(window).items():
        wanted[wall % DAY].append((key_at(wall), due))
    asked = missed = wrong = 0
    for rule, at in zip(quarter_rules(), QUARTERS, strict=True):
        got = list_dues(replace(rule, timezone=name), window)
        asked += len(wanted[at])
        if got != wanted[at]:
            missed += len(set(wanted[at]) - set(got))
            wrong += len(got) - len(set(got) & set(wanted[at]))
    return asked, missed, wrong


@pytest.fixture
def years(is_long: bool) -> int:
    return YEARS if is_long else FEW_YEARS


def test_all_zones_are_looked_at(years: int) -> None:
    assert len(all_windows(years)) > 580
    assert sum(len(windows) for windows in all_windows(years).values()) > 300 * years


def test_no_daily_time_is_missed_or_doubled_around_any_change_of_any_clock(years: int) -> None:
    counts = [count_daily_mistakes(name, window) for name, window in pick_windows(years)]
    asked, missed, wrong = (sum(column) for column in zip(*counts, strict=True))
    assert (missed, wrong) == (0, 0)
    assert asked > 15_000 * years


def keep_latest_key(walls: dict[int, int]) -> list[tuple[str, int]]:
    return [(key, due) for due, key in {due: key_at(wall) for wall, due in walls.items()}.items()]


def test_a_quarter_hourly_rule_never_bursts_and_never_skips_around_any_change(years: int) -> None:
    rule = parse_rule(every="15m", timezone="UTC")
    for name, window in pick_windows(years):
        assert list_dues(replace(rule, timezone=name), window) == keep_latest_key(expected_dues(window))


def test_weekly_and_monthly_times_are_kept_around_any_change(years: int) -> None:
    times = [f"{at // 60:02}:{at % 60:02}" for at in SOME_QUARTERS]
    for name, window in pick_windows(years):
        day = moment_at(window.middle + window.offsets[0][1])
        for words in ([f"{day:%A}"], [str(day.day)], ["last"]):
            rule = parse_rule(at=times, days=words, timezone=name)
            walls = {wall: due for wall, due in expected_dues(window).items() if is_named(words[0], wall)}
            assert list_dues(rule, window) == keep_latest_key(walls)


def is_named(word: str, wall: int) -> bool:
    day = moment_at(wall)
    if wall % DAY not in SOME_QUARTERS:
        return False
    is_last = (day + timedelta(days=1)).month != day.month
    return word in (f"{day:%A}", str(day.day)) or (word == "last" and is_last)


if __name__ == "__main__":
    results = [count_daily_mistakes(*pair) for pair in pick_windows(YEARS, is_each_zone=True)]
    totals = [sum(column) for column in zip(*results, strict=True)]
    print(len(results), "windows; due times asked, missed, double or wrong:", *totals)
    sys.exit(any(totals[1:]))
