"""What has to be worked out from the settings and the database together: lags and paces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from distributor.core.schedule import next_occurrence

if TYPE_CHECKING:
    from distributor.app import App


def measure_lags(app: App) -> dict[str, float]:
    """Schedule -> seconds since the first due time that nobody has planned; 0 when all are planned."""
    now, planned = app.clock(), app.storage.editions.load_schedules()
    lags = {}
    for one in app.plans:
        if one.name not in planned or one.rule.is_immediate:
            continue
        until = planned[one.name][1]
        due = next_occurrence(one.name, one.rule, until, horizon=max(now - until, timedelta()))
        lags[one.name] = (now - due.due).total_seconds() if due else 0.0
    return lags


def measure_paces(app: App) -> dict[tuple[str, str], float]:
    """(channel, window such as "60 s") -> messages that may still go out within the window."""
    now, stored = app.clock(), app.storage.figures.load_paces()
    return {
        (name, f"{seconds:g} s"): float(max(most - _count_recent(stored, key, now, seconds), 0))
        for name, key, most, seconds in _list_paces(app)
    }


def _list_paces(app: App) -> Iterator[tuple[str, str, int, float]]:
    for one in app.settings.channels:
        for pace in app.words_channel(one.name).limits.paces:
            yield one.name, pace.key, pace.count, pace.seconds


def _count_recent(stored: Mapping[str, Sequence[float]], key: str, now: datetime, seconds: float) -> int:
    return sum(abs(now.timestamp() - stamp) < seconds for stamp in stored.get(key, ()))
