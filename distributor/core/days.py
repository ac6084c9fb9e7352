"""Which local dates a rule names: days of the week, days of the month, months."""

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

WEEKDAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTH_NAMES = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
ALL_WEEKDAYS = frozenset(range(7))
ALL_MONTH_DAYS = frozenset(range(1, 32))
ALL_MONTHS = frozenset(range(1, 13))
WORKING_DAYS = frozenset(range(5))
WEEKEND = frozenset((5, 6))

# "Every N days" counts from a Monday, so that every 7 days means Mondays.
FIRST_MONDAY = date(1970, 1, 5)

_WEEKDAY_WORDS = (
    {name.lower(): frozenset((number,)) for number, name in enumerate(WEEKDAY_NAMES)}
    | {name[:3].lower(): frozenset((number,)) for number, name in enumerate(WEEKDAY_NAMES)}
    | {"weekdays": WORKING_DAYS, "weekend": WEEKEND}
)
_FIX = 'write "mon" to "sun", "weekdays", "weekend", or for days of the month "1" to "31" and "last"'


@dataclass(frozen=True, slots=True)
class Days:
    """A choice of local dates; by default every date.

    `weekdays` count from 0 = Monday. A date must be in `months` and be named by its weekday and its day
    of the month; `is_either` asks for one of these two only. `has_last` adds the last day of each month
    to `month_days`. `step` keeps every n-th date counted from Monday 5 January 1970.
    """

    weekdays: frozenset[int] = ALL_WEEKDAYS
    month_days: frozenset[int] = ALL_MONTH_DAYS
    has_last: bool = False
    months: frozenset[int] = ALL_MONTHS
    is_either: bool = False
    step: int = 1

    def includes(self, day: date) -> bool:
        if day.month not in self.months or (self.step > 1 and (day - FIRST_MONDAY).days % self.step):
            return False
        is_weekday = day.weekday() in self.weekdays
        is_month_day = day.day in self.month_days or (self.has_last and _is_last_day(day))
        if self.is_either:
            return is_weekday or is_month_day
        return is_weekday and is_month_day

    def is_possible(self) -> bool:
        """Whether any date is ever included; 31 February is not.

        Day and month are enough to ask: in the 400-year cycle of the calendar every day of the year that
        exists, 29 February too, falls on every weekday.
        """
        if self.is_either or self.has_last:
            return True
        longest = max(calendar.monthrange(2024, month)[1] for month in self.months)
        return min(self.month_days) <= longest


def parse_days(words: Sequence[object]) -> Days:
    """The dates that an editor's list names; ValueError for an unknown word or a mix of week and month."""
    weekdays: set[int] = set()
    month_days: set[int] = set()
    for word in words:
        plain = _plain(word)
        if plain in _WEEKDAY_WORDS:
            weekdays |= _WEEKDAY_WORDS[plain]
        else:
            month_days.add(_read_month_day(plain, word))
    if weekdays and month_days:
        raise ValueError("days of the week and days of the month are mixed; make two schedules of it")
    if weekdays:
        return Days(weekdays=frozenset(weekdays))
    if not month_days:
        raise ValueError(f"the list is empty; remove it for every day, or {_FIX}")
    return Days(month_days=frozenset(month_days - {0}), has_last=0 in month_days)


def _read_month_day(plain: str, word: object) -> int:
    """The day of the month, 0 standing for the last."""
    if plain in ("last", "last day"):
        return 0
    found = re.fullmatch(r"(?:day +)?0?([1-9]|[12][0-9]|3[01])", plain)
    if not found:
        raise ValueError(f"{str(word)[:40]!r} is no day; {_FIX}")
    return int(found[1])


def _plain(word: object) -> str:
    if isinstance(word, bool) or not isinstance(word, str | int):
        return ""
    return str(word)[:40].strip().lower()


def _is_last_day(day: date) -> bool:
    return day.day == calendar.monthrange(day.year, day.month)[1]
