"""An editor's rule for when, read from the words of the config file or the console."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from distributor.core.cron import parse_cron
from distributor.core.days import Days, parse_days
from distributor.core.duration import parse_duration
from distributor.core.wall_time import load_zone

DAY = 86_400
SHORTEST_PERIOD = timedelta(seconds=1)
LONGEST_PERIOD = timedelta(days=366)

_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?")


@dataclass(frozen=True, slots=True)
class Rule:
    """When something is due; built by `parse_rule`, which alone makes sure that the parts fit together.

    `times` are seconds after local midnight, ascending, on each of `days` in the zone. A rule without
    times is either immediate or, with a `period`, counted in UTC. `period` and `cron` keep what the
    editor said.
    """

    timezone: str
    days: Days = field(default_factory=Days)
    times: Sequence[int] = ()
    period: timedelta | None = None
    cron: str | None = None

    @property
    def is_immediate(self) -> bool:
        return not self.times and self.period is None


def parse_rule(
    *,
    when: str | None = None,
    at: str | Sequence[str] | None = None,
    days: str | int | Sequence[str | int] | None = None,
    every: str | int | None = None,
    cron: str | None = None,
    timezone: str,
) -> Rule:
    """The rule that exactly one of `when`, `at`, `every` and `cron` gives; `days` goes with `at` only.

    `every` counts from local midnight when it divides a day or is a number of whole days (those from
    Monday 5 January 1970, so that 7d means Mondays at 00:00); any other length is counted in UTC from
    that same midnight.

    Values may be of any type, as a settings file holds them. ValueError is the only error; its text is
    one sentence "<field>: <what is wrong>; <the fix>" with the name of the parameter before the first
    colon.
    """
    _require_one({"when": when, "at": at, "every": every, "cron": cron})
    if days is not None and at is None:
        raise ValueError("days: goes with at only; give the time in at, or say the days in a cron text")
    with _naming("timezone"):
        _check_zone(timezone)
    if at is not None:
        return Rule(timezone, _read_days(days), _read_times(at))
    if every is not None:
        return _read_every(every, timezone)
    if cron is not None:
        return _read_cron(cron, timezone)
    _check_immediately(when)
    return Rule(timezone)


def _require_one(given: dict[str, object]) -> None:
    named = [name for name, value in given.items() if value is not None]
    if not named:
        raise ValueError('when: is missing; give one of when (immediately), at ("07:30"), every (2h) or cron')
    if len(named) > 1:
        raise ValueError(f"{named[1]}: stands beside {named[0]}; give exactly one of when, at, every and cron")


@contextmanager
def _naming(name: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _check_zone(timezone: object) -> None:
    if not isinstance(timezone, str):
        raise ValueError("is missing; give an IANA name such as Europe/Kyiv")
    load_zone(timezone)


def _check_immediately(when: object) -> None:
    if not isinstance(when, str) or when.strip().lower() != "immediately":
        raise ValueError(f'when: {_quote(when)} is not understood; write "immediately", or use at, every or cron')


def _read_days(days: object) -> Days:
    if days is None:
        return Days()
    with _naming("days"):
        return parse_days(_list(days))


def _read_times(at: object) -> tuple[int, ...]:
    with _naming("at"):
        times = {_read_time(text) for text in _list(at)}
        if not times:
            raise ValueError('the list is empty; write a time such as "07:30"')
    return tuple(sorted(times))


def _read_time(text: object) -> int:
    found = _TIME.fullmatch(text.strip()) if isinstance(text, str) else None
    if not found:
        raise ValueError(f'{_quote(text)} is no time of day; write "00:00" to "23:59" in quotes, several as a list')
    hour, minute, second = (int(digits or 0) for digits in found.groups())
    return hour * 3600 + minute * 60 + second


def _read_every(every: str | int, timezone: str) -> Rule:
    with _naming("every"):
        period = parse_duration(every)
        if not SHORTEST_PERIOD <= period <= LONGEST_PERIOD:
            raise ValueError(f"{_quote(every)} is out of range; give 1 second to {LONGEST_PERIOD.days} days")
    seconds = int(period.total_seconds())
    if DAY % seconds == 0:
        return Rule(timezone, times=range(0, DAY, seconds), period=period)
    if seconds % DAY == 0:
        return Rule(timezone, Days(step=seconds // DAY), times=(0,), period=period)
    return Rule(timezone, period=period)


def _read_cron(cron: object, timezone: str) -> Rule:
    with _naming("cron"):
        if not isinstance(cron, str):
            raise ValueError(f'{_quote(cron)} is no text; write for example "30 7 * * mon-fri" in quotes')
        days, times = parse_cron(cron)
    return Rule(timezone, days, times, cron=" ".join(cron.split()))


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else (value,)


def _quote(value: object) -> str:
    return f"{str(value)[:40]!r}"
