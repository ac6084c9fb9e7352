"""Lengths of time as people write them: "90s", "2m", "1h30m", "2d"."""

import re
from datetime import timedelta

LONGEST = timedelta(days=36_500)

_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_NAMES = {"d": "day", "h": "hour", "m": "minute", "s": "second"}
_SHAPE = re.compile(r" *".join(rf"(?:(?P<{unit}>[0-9]{{1,9}}) *{unit})?" for unit in _UNITS))


def parse_duration(text: str | int) -> timedelta:
    """The length of time in whole seconds, from nothing to 36,500 days.

    Weeks, days, hours, minutes and seconds in this order, each at most once; a bare number counts seconds.
    ValueError, naming the text and a way to write it, for everything else.
    """
    seconds = text if isinstance(text, int) and not isinstance(text, bool) else _read_seconds(text)
    if not 0 <= seconds <= LONGEST.total_seconds():
        raise ValueError(f"{_quote(text)} is out of range; give 0 seconds to {LONGEST.days} days")
    return timedelta(seconds=seconds)


def describe_duration(length: timedelta) -> str:
    """In plain words: "2 hours", "1 hour 30 minutes", "0 seconds"."""
    rest = int(length.total_seconds())
    words = []
    for unit, name in _NAMES.items():
        count, rest = divmod(rest, _UNITS[unit])
        if count:
            words.append(f"{count} {name}" if count == 1 else f"{count} {name}s")
    return " ".join(words) or "0 seconds"


def _read_seconds(text: str | int) -> int:
    plain = text.strip().lower() if isinstance(text, str) else ""
    if re.fullmatch(r"[0-9]{1,12}", plain):
        return int(plain)
    found = _SHAPE.fullmatch(plain)
    if not plain or not found:
        raise ValueError(f'{_quote(text)} is not a length of time; write for example "90s", "2m", "1h30m" or "2d"')
    return sum(int(count) * _UNITS[unit] for unit, count in found.groupdict(default="0").items())


def _quote(value: object) -> str:
    return f"{str(value)[:40]!r}"
