"""What holds for every rule, every zone and every stretch of time."""

import zoneinfo
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from distributor.core.schedule import (
    Occurrence,
    Rule,
    describe_rule,
    next_occurrence,
    occurrences,
    parse_duration,
    parse_rule,
)
from distributor.core.wall_time import first_instant

ZONES = sorted(zoneinfo.available_timezones() - {"localtime"})
RESTLESS = [
    *("Africa/Cairo", "Africa/Casablanca", "America/Havana", "America/Santiago", "America/St_Johns"),
    *("Antarctica/Troll", "Australia/Lord_Howe", "Europe/Dublin", "Europe/Kyiv", "Pacific/Apia"),
    *("Pacific/Kwajalein", "Asia/Kathmandu", "Pacific/Chatham", "Asia/Gaza", "America/Juneau"),
]

zones = st.sampled_from(RESTLESS) | st.sampled_from(ZONES)
times = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
day_lists = st.lists(st.sampled_from(["mon", "Tuesday", "weekend", "weekdays", "sun"]), min_size=1) | st.lists(
    st.integers(1, 31).map(str) | st.just("last"), min_size=1
)
cron_texts = st.sampled_from(
    ["*/10 * * * *", "0 * * * *", "15,45 0-3 * * *", "30 2 L * *", "0 0 13 * fri", "5/7 */3 * mar-nov 1-5"]
)
shapes = st.one_of(
    st.just({"when": "immediately"}),
    st.fixed_dictionaries({"at": st.lists(times, min_size=1, max_size=5), "days": st.none() | day_lists}),
    st.fixed_dictionaries({"every": st.integers(300, 20 * 86_400).map(lambda seconds: f"{seconds}s")}),
    st.fixed_dictionaries({"every": st.sampled_from(["5m", "15m", "1h", "90m", "5h", "12h", "1d", "3d", "1w"])}),
    st.fixed_dictionaries({"cron": cron_texts}),
)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    return parse_rule(timezone=draw(zones), **draw(shapes))


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, datetime]:
    """A zone and an instant within a second after its clocks changed, or any instant where they rest."""
    name = draw(zones)
    zone = ZoneInfo(name)
    low = draw(st.datetimes(datetime(1900, 1, 1), datetime(2037, 1, 1))).replace(microsecond=0, tzinfo=UTC)
    for _ in range(80):
        high = low + timedelta(days=5)
        if offset_at(low, zone) != offset_at(high, zone):
            break
        low = high
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        low, high = (low, middle) if offset_at(middle, zone) != offset_at(low, zone) else (middle, high)
    return name, high


def offset_at(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def shown_at(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


@st.composite
def stretches(draw: st.DrawFn, days: int = 10) -> tuple[str, datetime, datetime, datetime]:
    """A zone and three ordered instants around a change of its clocks."""
    name, change = draw(changes())
    seconds = st.integers(-days * 43_200, days * 43_200).map(lambda count: timedelta(seconds=count))
    a, b, c = sorted(change + draw(seconds | st.just(timedelta())) for _ in range(3))
    return name, a, b, c


def list_all(rule: Rule, after: datetime, until: datetime) -> list[Occurrence]:
    return list(occurrences("s", rule, after, until))


@settings(deadline=None)
@given(shape=shapes, stretch=stretches())
def test_cutting_a_stretch_in_two_changes_nothing(shape: dict[str, Any], stretch: Any) -> None:
    zone, a, b, c = stretch
    rule = parse_rule(timezone=zone, **shape)
    assert list_all(rule, a, c) == list_all(rule, a, b) + list_all(rule, b, c)


@settings(deadline=None)
@given(shape=shapes, stretch=stretches())
def test_due_times_rise_within_the_stretch_and_keys_are_unique(shape: dict[str, Any], stretch: Any) -> None:
    zone, a, _, c = stretch
    found = list_all(parse_rule(timezone=zone, **shape), a, c)
    assert all(earlier.due < later.due for earlier, later in pairwise(found))
    assert all(a < one.due <= c for one in found)
    assert len({one.key for one in found}) == len(found)
    assert all(one.due.tzinfo is UTC and one.local.tzinfo is None for one in found)


@settings(deadline=None)
@given(shape=shapes, stretch=stretches())
def test_the_next_occurrence_is_the_first_of_the_stretch(shape: dict[str, Any], stretch: Any) -> None:
    zone, a, _, c = stretch
    rule = parse_rule(timezone=zone, **shape)
    assert next_occurrence("s", rule, a, horizon=c - a) == next(iter(list_all(rule, a, c)), None)


@settings(deadline=None)
@given(at=times, stretch=stretches())
def test_every_local_date_of_a_daily_rule_has_one_firing(at: str, stretch: Any) -> None:
    zone, a, _, c = stretch
    found = list_all(parse_rule(at=at, timezone=zone), a, c)
    gaps = {later.local - earlier.local for earlier, later in pairwise(found)}
    # Two days apart only where a date was left out and its midnight fell together with the next one.
    assert gaps <= {timedelta(days=1)} or (at == "00:00" and gaps <= {timedelta(days=1), timedelta(days=2)})


@settings(deadline=None)
@given(change=changes(), minutes=st.integers(-1500, 1500) | st.sampled_from([-60, -30, -1, 0, 1, 30, 60]))
def test_a_wall_time_is_due_when_clocks_first_show_it_or_jump_over_it(
    change: tuple[str, datetime], minutes: int
) -> None:
    name, moment = change
    zone = ZoneInfo(name)
    wall = shown_at(moment, zone).replace(fold=0) + timedelta(minutes=minutes)
    due = first_instant(wall, zone)
    is_first_showing = shown_at(due, zone) == wall and due.astimezone(zone).fold == 0
    is_end_of_jump = shown_at(due - timedelta(seconds=1), zone) < wall < shown_at(due, zone)
    assert is_first_showing or is_end_of_jump


@given(rule=rules())
def test_every_rule_has_words_and_is_a_value(rule: Rule) -> None:
    words = describe_rule(rule)
    assert words == words.strip() and "  " not in words
    assert rule.timezone in words or rule.is_immediate or words.endswith("counted in UTC")
    assert replace(rule) == rule and hash(replace(rule)) == hash(rule)


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=5)
    # Words that come close.
    | st.sampled_from(["immediately", "07:30", "mon", "last", "2h", "30 7 * * *", "UTC", "Europe", "\ud800", "\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
names = ["when", "at", "days", "every", "cron", "timezone"]


@settings(deadline=None)
@given(values=st.fixed_dictionaries({"timezone": junk}, optional=dict.fromkeys(names[:-1], junk)))
def test_junk_is_refused_with_the_name_of_its_field(values: dict[str, Any]) -> None:
    try:
        rule = parse_rule(**values)
    except ValueError as error:
        assert str(error).split(":")[0] in names
        assert "\n" not in str(error)
    else:
        assert describe_rule(rule)


@given(value=junk)
def test_junk_is_no_length_of_time(value: Any) -> None:
    try:
        assert parse_duration(value) >= timedelta()
    except ValueError as error:
        assert "; " in str(error)
