"""Cron text of five fields: minute, hour, day of month, month, day of week.

Lists, ranges, steps and English names, as Vixie cron reads them, and `L` for the last day of the month.
Day of month and day of week are joined as Vixie cron does: when both are restricted a date needs one of
them; when one of them begins with `*` it needs both. `5/15` means from 5 to the end in steps of 15.
Refused, with the way to write it: nicknames such as @daily, backward ranges, steps longer than their
field, and dates that never come (31 February).
"""

import re
from dataclasses import dataclass

from distributor.core.days import ALL_MONTH_DAYS, ALL_WEEKDAYS, MONTH_NAMES, WEEKDAY_NAMES, Days

_LONGEST_TEXT = 500
_PART = re.compile(
    r"(?:(?P<all>\*)|(?P<low>[0-9]{1,4}|[a-z]+)(?:-(?P<high>[0-9]{1,4}|[a-z]+))?)(?:/(?P<step>[0-9]{1,4}))?"
)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: dict[str, int]
    also: str = ""


def _name_table(names: tuple[str, ...], first: int) -> dict[str, int]:
    table = {name.lower(): number for number, name in enumerate(names, first)}
    return table | {name[:3]: number for name, number in table.items()}


_MINUTE = _Field("minute", 0, 59, {})
_HOUR = _Field("hour", 0, 23, {})
_MONTH_DAY = _Field("day of month", 1, 31, {}, ", L for the last day")
_MONTH = _Field("month", 1, 12, _name_table(MONTH_NAMES, 1), ", names (jan to dec)")
# Names stand for 1 (Monday) to 7 (Sunday) so that fri-sun runs forwards; a leading Sunday is put back to 0.
_WEEKDAY = _Field("day of week", 0, 7, _name_table(WEEKDAY_NAMES, 1), ", names (mon to sun)")


def parse_cron(text: str) -> tuple[Days, tuple[int, ...]]:
    """The dates and the times of day (seconds after midnight, ascending) of a cron text.

    ValueError names the field of the text and the fix. Never loops: texts over 500 characters are refused.
    """
    fields = text.lower().split() if len(text) <= _LONGEST_TEXT else []
    if len(fields) != 5:
        raise ValueError(
            f"{text[:40]!r} has not the five fields minute, hour, day of month, month, day of week; "
            'write for example "30 7 * * mon-fri"'
        )
    minutes, hours = _read_field(fields[0], _MINUTE), _read_field(fields[1], _HOUR)
    times = tuple(hour * 3600 + minute * 60 for hour in sorted(hours) for minute in sorted(minutes))
    return _read_days(*fields[2:], text=text), times


def _read_days(month_day: str, month: str, weekday: str, *, text: str) -> Days:
    parts = month_day.split(",")
    numbers = ",".join(part for part in parts if part != "l")
    days = Days(
        weekdays=frozenset((number - 1) % 7 for number in _read_field(weekday, _WEEKDAY)),
        month_days=frozenset(_read_field(numbers, _MONTH_DAY)) if numbers else frozenset(),
        has_last="l" in parts,
        months=frozenset(_read_field(month, _MONTH)),
        is_either=not month_day.startswith("*") and not weekday.startswith("*"),
    )
    if not days.is_possible():
        raise ValueError(
            f"{text[:40]!r} never comes: no such day in these months; use L for the last day of a month"
        )
    return _drop_needless_either(days)


def _drop_needless_either(days: Days) -> Days:
    """`1-31` and `mon-sun` restrict nothing: either-or with every date is every date."""
    if days.is_either and (days.month_days == ALL_MONTH_DAYS or days.weekdays == ALL_WEEKDAYS):
        return Days(months=days.months)
    return days


def _read_field(text: str, field: _Field) -> set[int]:
    numbers: set[int] = set()
    for part in text.split(","):
        numbers.update(_read_part(part, field))
    return numbers


def _read_part(part: str, field: _Field) -> range:
    found = _PART.fullmatch(part)
    if not found:
        raise ValueError(f"{field.name}: {part[:40]!r} is not understood; write {_example(field)}")
    low, high = _read_bounds(found, field)
    if low > high:
        raise ValueError(f"{field.name}: {part!r} runs backwards; write the two ends as a list of two ranges")
    return range(low, high + 1, _read_step(found["step"], part, field))


def _read_bounds(found: re.Match[str], field: _Field) -> tuple[int, int]:
    last = 6 if field is _WEEKDAY else field.high
    if found["all"]:
        return field.low, last
    low = _read_number(found["low"], field)
    if not found["high"] and not found["step"]:
        return low, low
    high = _read_number(found["high"], field) if found["high"] else last
    is_leading_sunday = field is _WEEKDAY and low == 7 and high < 7
    return (0 if is_leading_sunday else low), high


def _read_number(word: str, field: _Field) -> int:
    number = field.names.get(word, -1) if word.isalpha() else int(word)
    if not field.low <= number <= field.high:
        raise ValueError(f"{field.name}: {word[:40]!r} is out of range; write {_example(field)}")
    return number


def _read_step(digits: str | None, part: str, field: _Field) -> int:
    step = 1 if digits is None else int(digits)
    if step < 1:
        raise ValueError(f"{field.name}: the step in {part!r} must be at least 1")
    if step > field.high:
        raise ValueError(
            f"{field.name}: the step in {part!r} is longer than the field; "
            "leave it out, or say `every:` instead of `cron:`"
        )
    return step


def _example(field: _Field) -> str:
    return f"{field.low} to {field.high}{field.also}, lists (1,3), ranges (1-5), steps (*/2) or *"
