"""A rule in the plain words that an editor reads beside it."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

from distributor.core.days import (
    ALL_MONTH_DAYS,
    ALL_MONTHS,
    ALL_WEEKDAYS,
    MONTH_NAMES,
    WEEKDAY_NAMES,
    WORKING_DAYS,
    Days,
)
from distributor.core.duration import describe_duration
from distributor.core.rule import DAY, Rule

_MOST_TIMES_LISTED = 6


def describe_rule(rule: Rule) -> str:
    """One line without a full stop: "at 07:30 on weekdays, Europe/Kyiv" or "every 2 hours, Europe/Kyiv"."""
    if rule.is_immediate:
        return "immediately"
    if rule.period and not rule.times:
        return f"{_every(rule.period)}, counted in UTC"
    times, days = _describe_times(rule), _describe_days(rule.days)
    if not days and times.startswith("at "):
        days = "every day"
    return f"{' '.join(filter(None, (times, days)))}, {rule.timezone}"


def _describe_times(rule: Rule) -> str:
    if rule.days.step > 1 and rule.period:
        return f"{_every(rule.period)} at 00:00"
    if rule.period and rule.period < timedelta(days=1):
        return _every(rule.period)
    if rule.cron and (words := _describe_steady(rule.times)):
        return words
    if rule.cron and len(rule.times) > _MOST_TIMES_LISTED:
        return f"{len(rule.times)} times a day (cron {rule.cron})"
    return f"at {_join([_clock(seconds) for seconds in rule.times])}"


def _describe_steady(times: Sequence[int]) -> str:
    """Four or more times at one distance, as cron steps give them; nothing for other times."""
    steps = {later - earlier for earlier, later in pairwise(times)}
    if len(times) < 4 or len(steps) > 1:
        return ""
    step = steps.pop()
    words = _every(timedelta(seconds=step))
    if step * len(times) == DAY and times[0] == 0:
        return words
    return f"{words} from {_clock(times[0])} to {_clock(times[-1])}"


def _describe_days(days: Days) -> str:
    if days.step > 1:
        return "on Mondays" if days.step == 7 else ""
    named = [words for words in (_describe_month_days(days), _describe_weekdays(days)) if words]
    joined = (" or on " if days.is_either else " that fall on ").join(named)
    return " ".join(filter(None, (joined and f"on {joined}", _describe_months(days))))


def _describe_weekdays(days: Days) -> str:
    if days.weekdays == ALL_WEEKDAYS:
        return ""
    if days.weekdays == WORKING_DAYS:
        return "weekdays"
    return _join([WEEKDAY_NAMES[number] for number in sorted(days.weekdays)])


def _describe_month_days(days: Days) -> str:
    if days.month_days == ALL_MONTH_DAYS:
        return ""
    last = "the last day of the month"
    if not days.month_days:
        return last
    numbers = [str(number) for number in sorted(days.month_days)]
    label = "day" if len(numbers) == 1 else "days"
    return f"{label} {_join(numbers)} {'and ' + last if days.has_last else 'of the month'}"


def _describe_months(days: Days) -> str:
    if days.months == ALL_MONTHS:
        return ""
    return f"in {_join([MONTH_NAMES[number - 1] for number in sorted(days.months)])}"


def _every(period: timedelta) -> str:
    words = describe_duration(period)
    is_single = words.startswith("1 ") and words.count(" ") == 1
    return f"every {words.removeprefix('1 ') if is_single else words}"


def _clock(seconds: int) -> str:
    minute, second = divmod(seconds, 60)
    words = f"{minute // 60:02}:{minute % 60:02}"
    return f"{words}:{second:02}" if second else words


def _join(words: list[str]) -> str:
    if len(words) == 1:
        return words[0]
    return f"{', '.join(words[:-1])} and {words[-1]}"
