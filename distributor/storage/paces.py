"""Rate limits in the database: exact sliding windows, shared by every process that uses the same key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select, update

from distributor.core.message import Pace
from distributor.storage.tables import pace


def reserve(
    connection: Connection, channel_key: str, paces: Sequence[Pace], wanted: int, now: datetime
) -> int | float:
    """Reserve up to `wanted` sends; an int is how many may go now, a float the seconds to wait before asking again.

    Every pace is met at once or nothing is reserved. `channel_key` carries only the rest a service asked for.
    """
    keys = sorted({channel_key, *(p.key for p in paces)})
    rows = _load(connection, keys)
    stamp = now.timestamp()
    rest_for = max((row[1] - stamp for row in rows.values() if row[1] is not None), default=0.0)
    if rest_for > 0:
        return float(rest_for)
    room, wait = wanted, 0.0
    for limit in paces:
        recent = _within(rows[limit.key][0], stamp, limit.seconds)
        free = limit.count - len(recent)
        if free <= 0:
            wait = max(wait, recent[len(recent) - limit.count] + limit.seconds - stamp)
        room = min(room, free)
    if room <= 0:
        return max(wait, 0.01)
    for key in {p.key for p in paces}:
        span = max(p.seconds for p in paces if p.key == key)
        kept = sorted(_within(rows[key][0], stamp, span) + [stamp] * room)
        connection.execute(update(pace).where(pace.c.key == key).values(stamps=json.dumps(kept)))
    return room


def _within(stamps: Sequence[float], now: float, seconds: float) -> list[float]:
    """The stamps of this window. What is far in the future was left by a clock that has been set back since."""
    return [t for t in stamps if abs(now - t) < seconds]


def rest(connection: Connection, key: str, until: datetime) -> None:
    """No send under this key before `until`; a longer rest already written stays."""
    before = _load(connection, [key])[key][1]
    if before is None or before < until.timestamp():
        connection.execute(update(pace).where(pace.c.key == key).values(rest_until=until))


def _load(connection: Connection, keys: Sequence[str]) -> dict[str, tuple[list[float], float | None]]:
    found = connection.execute(select(pace).where(pace.c.key.in_(keys)).with_for_update()).all()
    missing = set(keys) - {row.key for row in found}
    if missing:
        from distributor.storage.inserting import insert_new

        for key in sorted(missing):
            connection.execute(insert_new(connection, pace).values(key=key, stamps="[]"))
        found = connection.execute(select(pace).where(pace.c.key.in_(keys)).with_for_update()).all()
    return {
        row.key: (json.loads(row.stamps), row.rest_until.timestamp() if row.rest_until else None) for row in found
    }
