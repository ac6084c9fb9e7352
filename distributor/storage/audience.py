"""Who of a frozen audience may still be written to, asked at the last moment."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, update

from distributor.core.sending import Claimed
from distributor.storage.among import is_among
from distributor.storage.asking import ask, ask_together, write_numbers
from distributor.storage.tables import delivery

#: Each reader by key, then what bars him by key, whatever the planner thinks: LIMIT keeps it from joining. One join
#: over all four tables was read in the wrong order by SQLite and cost 1.6 s for each thousand of four thousand.
_ALLOWED = """
SELECT s.id, s.address, s.name FROM subscriber s
WHERE s.id AMONG :ids AND s.status = 'active'
AND (SELECT 1 FROM list_member m
     WHERE m.list = :list AND m.subscriber_id = s.id AND m.state = 'member' LIMIT 1) IS NOT NULL
AND (SELECT 1 FROM suppression x
     WHERE x.address_key = s.address_key AND x.list IN ('', :list) LIMIT 1) IS NULL
"""
#: The opposite for deliveries, so that where nobody is gone no row is read into Python.
_GONE = """
SELECT d.id FROM delivery d
WHERE d.id AMONG :ids
AND (SELECT 1 FROM subscriber s WHERE s.id = d.recipient_id AND s.status = 'active'
     AND (SELECT 1 FROM list_member m
          WHERE m.list = :list AND m.subscriber_id = s.id AND m.state = 'member' LIMIT 1) IS NOT NULL
     AND (SELECT 1 FROM suppression x
          WHERE x.address_key = s.address_key AND x.list IN ('', :list) LIMIT 1) IS NULL LIMIT 1) IS NULL
"""
#: (delivery, recipient, attempts)
Row = tuple[int, int, int]


def load_allowed(connection: Connection, rows: Sequence[Row], list_name: str) -> list[Claimed]:
    """Those of the claimed who may be written to now, in the order of `rows`."""
    if not list_name:
        return [Claimed(row_id, recipient, "", "", attempts) for row_id, recipient, attempts in rows]
    asked = {"ids": write_numbers(connection, [row[1] for row in rows]), "list": list_name}
    allowed = {row[0]: row for row in ask_together(connection, _ALLOWED, ("id", "address", "name"), asked)}
    return [
        Claimed(row_id, recipient, allowed[recipient][1], allowed[recipient][2], attempts)
        for row_id, recipient, attempts in rows
        if recipient in allowed
    ]


def find_gone(connection: Connection, ids: Sequence[int], list_name: str) -> set[int]:
    """Of these deliveries: those whose reader left, was suppressed or cannot be reached. Nobody of one voice."""
    if not list_name:
        return set()
    return {row[0] for row in ask(connection, _GONE, {"ids": write_numbers(connection, ids), "list": list_name})}


def skip_gone(connection: Connection, gone: Collection[int], now: datetime) -> bool:
    """claimed -> skipped for these; whether there were any."""
    if gone:
        reason = "left the list after the edition was planned"
        connection.execute(
            update(delivery)
            .where(is_among(connection, delivery.c.id, sorted(gone)), delivery.c.state == "claimed")
            .values(state="skipped", reason=reason, fence=None, lease_until=None, changed_at=now)
        )
    return bool(gone)
