"""Who of a frozen audience may still be written to, asked at the last moment."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, and_, func, select, update

from distributor.core.sending import Claimed
from distributor.storage.among import is_among
from distributor.storage.tables import delivery, list_member, subscriber, suppression


def load_claimed(connection: Connection, ids: Sequence[int], list_name: str) -> list[Claimed]:
    """The claimed who may be written to now.

    Three look-ups by key, whatever the planner thinks: one join over all four tables was read in the wrong order
    by SQLite and cost 1.6 s for each thousand of four thousand readers, growing with the list.
    """
    mine = select(delivery.c.id, delivery.c.recipient_id, delivery.c.attempts).order_by(delivery.c.id)
    claimed = connection.execute(mine.where(is_among(connection, delivery.c.id, ids))).all()
    if not list_name:
        return [Claimed(row_id, recipient, "", "", attempts) for row_id, recipient, attempts in claimed]
    recipients = [row[1] for row in claimed]
    people = connection.execute(
        select(subscriber.c.id, subscriber.c.address, subscriber.c.address_key, subscriber.c.name).where(
            is_among(connection, subscriber.c.id, recipients), subscriber.c.status == "active"
        )
    ).all()
    barred = _find_barred(connection, [row[2] for row in people], list_name)
    members = _find_members(connection, recipients, list_name)
    allowed = {row[0]: row for row in people if row[0] in members and row[2] not in barred}
    return [
        Claimed(row_id, recipient, allowed[recipient][1], allowed[recipient][3], attempts)
        for row_id, recipient, attempts in claimed
        if recipient in allowed
    ]


def _find_members(connection: Connection, ids: Sequence[int], list_name: str) -> set[int]:
    """Counted first: nearly always nobody has left, and a thousand rows cost ten times as much as their number."""
    is_member = and_(
        list_member.c.list == list_name,
        list_member.c.state == "member",
        is_among(connection, list_member.c.subscriber_id, ids),
    )
    wanted = set(ids)
    if connection.execute(select(func.count()).select_from(list_member).where(is_member)).scalar() == len(wanted):
        return wanted
    return set(connection.execute(select(list_member.c.subscriber_id).where(is_member)).scalars().all())


def _find_barred(connection: Connection, keys: Sequence[str], list_name: str) -> set[str]:
    rows = connection.execute(
        select(suppression.c.address_key).where(
            is_among(connection, suppression.c.address_key, keys), suppression.c.list.in_(("", list_name))
        )
    )
    return set(rows.scalars().all())


def find_gone(connection: Connection, ids: Sequence[int], list_name: str) -> set[int]:
    """Of these deliveries: those whose reader left, was suppressed or cannot be reached. Nobody of one voice."""
    if not list_name:
        return set()
    return set(ids) - {item.delivery_id for item in load_claimed(connection, ids, list_name)}


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
