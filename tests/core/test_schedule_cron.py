"""Cron text: what Vixie cron reads, `L`, and what is refused before it can hurt."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.core.cron import parse_cron
from distributor.core.schedule import occurrences, parse_rule

WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


def list_dates(text: str, year: int = 2026) -> list[date]:
    days, _ = parse_cron(text)
    start = date(year, 1, 1)
    return [
        day for day in (start + timedelta(days=n) for n in range(366)) if day.year == year and days.includes(day)
    ]


def list_times(text: str) -> list[str]:
    return [f"{seconds // 3600:02}:{seconds // 60 % 60:02}" for seconds in parse_cron(text)[1]]


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("30 7 * * *", ["07:30"]),
        ("0,30 7-8 * * *", ["07:00", "07:30", "08:00", "08:30"]),
        ("*/20 9 * * *", ["09:00", "09:20", "09:40"]),
        ("10-40/15 9 * * *", ["09:10", "09:25", "09:40"]),
        ("5/25 9 * * *", ["09:05", "09:30", "09:55"]),
        ("0 22-23,0-1 * * *", ["00:00", "01:00", "22:00", "23:00"]),
        ("  07\t07 * * *  ", ["07:07"]),
    ],
)
def test_minutes_and_hours_make_times(text: str, times: list[str]) -> None:
    assert list_times(text) == times


@pytest.mark.parametrize(
    ("field", "numbers"),
    [
        ("mon-fri", {0, 1, 2, 3, 4}),
        ("MON,Wed", {0, 2}),
        ("0", {6}),
        ("7", {6}),
        ("sunday", {6}),
        ("fri-sun", {4, 5, 6}),
        ("5-7", {4, 5, 6}),
        ("sun-tue", {6, 0, 1}),
        ("0-7", {0, 1, 2, 3, 4, 5, 6}),
        ("*/2", {6, 1, 3, 5}),
        ("sun/2", {6, 1, 3, 5}),
        ("1/3", {0, 3}),
    ],
)
def test_days_of_the_week_have_numbers_and_names(field: str, numbers: set[int]) -> None:
    assert {day.weekday() for day in list_dates(f"0 0 * * {field}")} == numbers


def test_months_have_numbers_and_names() -> None:
    assert {day.month for day in list_dates("0 0 * jan,MAR-5,december *")} == {1, 3, 4, 5, 12}


def test_l_is_the_last_day_of_the_month_alone_or_in_a_list() -> None:
    assert list_dates("0 0 L 1-4 *", 2028) == [date(2028, *day) for day in ((1, 31), (2, 29), (3, 31), (4, 30))]
    assert list_dates("0 0 1,l 2 *") == [date(2026, 2, 1), date(2026, 2, 28)]


def test_a_restricted_day_of_month_and_day_of_week_need_only_one_of_them() -> None:
    dates = list_dates("0 0 13 2 fri")
    assert dates == [date(2026, 2, day) for day in (6, 13, 20, 27)]
    assert date(2026, 3, 31) in list_dates("0 0 L 3 mon")


def test_a_day_field_that_begins_with_a_star_must_agree_with_the_other() -> None:
    assert list_dates("0 0 */10 2 sun") == [date(2026, 2, day) for day in (1,)]
    assert list_dates("0 0 13 2 */5") == [date(2026, 2, 13)]


def test_a_full_range_restricts_nothing() -> None:
    assert len(list_dates("0 0 1-31 * mon")) == 365
    assert len(list_dates("0 0 13 * sun-sat")) == 365


@pytest.mark.parametrize(
    "text", ["0 0 31 2 *", "0 0 30,31 2 *", "0 0 31 4,6,9,11 *", "0 0 31 feb-feb */2", "0 0 30-31 2 *"]
)
def test_a_date_that_never_comes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="never comes: no such day in these months; use L"):
        parse_cron(text)


@pytest.mark.parametrize(
    "text", ["0 0 29 2 *", "0 0 31 2 mon", "0 0 31 2,3 *", "0 0 L 2 *", "0 0 31,L 2 *", "0 0 29 2 */7"]
)
def test_a_rare_date_is_kept(text: str) -> None:
    assert any(list_dates(text, year) for year in range(2026, 2070))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has not the five fields"),
        ("@daily", "has not the five fields"),
        ("30 7 * *", "has not the five fields"),
        ("0 30 7 * * *", "has not the five fields"),
        ("1," * 400 + "1 7 * * *", "has not the five fields"),
        ("60 7 * * *", "minute: '60' is out of range; write 0 to 59"),
        ("0 24 * * *", "hour: '24' is out of range; write 0 to 23"),
        ("0 0 0 * *", "day of month: '0' is out of range; write 1 to 31, L for the last day"),
        ("0 0 1-32 * *", "day of month: '32' is out of range"),
        ("0 0 * 13 *", "month: '13' is out of range; write 1 to 12, names (jan to dec)"),
        ("0 0 * * 8", "day of week: '8' is out of range"),
        ("0 0 * * moon", "day of week: 'moon' is out of range"),
        ("0 0 * mon *", "month: 'mon' is out of range"),
        ("*/0 7 * * *", "minute: the step in '*/0' must be at least 1"),
        ("*/90 7 * * *", "minute: the step in '*/90' is longer than the field"),
        ("40-10 7 * * *", "minute: '40-10' runs backwards"),
        ("0 0 * * sat-mon", "day of week: 'sat-mon' runs backwards"),
        ("1,,2 7 * * *", "minute: '' is not understood"),
        ("1- 7 * * *", "minute: '1-' is not understood"),
        ("*5 7 * * *", "minute: '*5' is not understood"),
        ("? 7 * * *", "minute: '?' is not understood"),
        ("0 0 L-3 * *", "day of month: 'l' is out of range"),
        ("0 0 * * 5L", "day of week: '5l' is not understood"),
        ("0 L * * *", "hour: 'l' is out of range"),
        ("٣ 7 * * *", "minute: '٣' is not understood"),
    ],
)
def test_a_mistake_in_a_cron_text_names_its_field(text: str, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_rule(cron=text, timezone="UTC")
    assert str(caught.value).startswith("cron: ")
    assert sentence in str(caught.value)


# A second reading of cron, one number at a time, knows nothing of the first.


def has_number(field: str, number: int, low: int, high: int, names: list[str]) -> bool:
    for part in field.split(","):
        ends, _, step = part.partition("/")
        first, _, last = ends.partition("-")
        start = low if first == "*" else read_number(first, low, names)
        end = high if first == "*" or (step and not last) else read_number(last or first, low, names)
        if start <= number <= end and (number - start) % int(step or 1) == 0:
            return True
    return False


def read_number(word: str, low: int, names: list[str]) -> int:
    return names.index(word) + low if word in names else int(word)


def is_due(text: str, moment: datetime) -> bool:
    minute, hour, month_day, month, weekday = text.split()
    on_month_day = has_number(month_day, moment.day, 1, 31, [])
    on_weekday = has_number(weekday, moment.isoweekday() % 7, 0, 6, WEEKDAYS)
    is_both = month_day[0] == "*" or weekday[0] == "*"
    return (
        has_number(minute, moment.minute, 0, 59, [])
        and has_number(hour, moment.hour, 0, 23, [])
        and has_number(month, moment.month, 1, 12, MONTHS)
        and ((on_month_day and on_weekday) if is_both else (on_month_day or on_weekday))
    )


@st.composite
def fields(draw: st.DrawFn, low: int, high: int, names: tuple[str, ...] = ()) -> str:
    is_named = bool(names) and draw(st.booleans())

    def word(number: int) -> str:
        return names[number - low] if is_named else str(number)

    def part() -> str:
        first, last = sorted((draw(st.integers(low, high)), draw(st.integers(low, high))))
        step = draw(st.integers(1, high))
        shapes = ["*", word(first), f"{word(first)}-{word(last)}"]
        shapes += [f"*/{step}", f"{word(first)}-{word(last)}/{step}", f"{word(first)}/{step}"]
        return draw(st.sampled_from(shapes))

    return ",".join(part() for _ in range(draw(st.integers(1, 3))))


cron_texts = st.tuples(
    fields(0, 59),
    fields(0, 23),
    fields(1, 31),
    fields(1, 12, tuple(MONTHS)),
    fields(0, 6, tuple(WEEKDAYS)),
).map(" ".join)


@given(text=cron_texts, day=st.dates(date(2024, 1, 1), date(2031, 1, 1)))
def test_every_cron_text_means_what_a_second_reading_says(text: str, day: date) -> None:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(minutes=1)
    try:
        rule = parse_rule(cron=text, timezone="UTC")
    except ValueError as error:
        assert "never comes" in str(error)
        assert not any(is_due_on(text, date(2024, 1, 1) + timedelta(days=n)) for n in range(366))
        return
    found = [one.due for one in occurrences("s", rule, start, start + timedelta(days=1))]
    minutes = (start + timedelta(minutes=n) for n in range(1, 1441))
    assert found == [moment for moment in minutes if is_due(text, moment)]


def is_due_on(text: str, day: date) -> bool:
    """Whether this date of a leap year has the right day and month, on whatever weekday."""
    _, _, month_day, month, weekday = text.split()
    is_either = month_day[0] != "*" and weekday[0] != "*"
    return has_number(month, day.month, 1, 12, MONTHS) and (is_either or has_number(month_day, day.day, 1, 31, []))


@given(values=st.text("0123456789*/-,L ?#monfriJAN\t", max_size=40))
def test_near_misses_are_refused_and_never_hang(values: Any) -> None:
    try:
        days, times = parse_cron(values)
    except ValueError:
        return
    assert times
    assert days.is_possible()
