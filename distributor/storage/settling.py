"""What became of deliveries, written down under the fence of whoever held them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, update

from distributor.core.sending import Settled
from distributor.storage.notices import UPSERT_ATTEMPT, add_notice, is_paused, set_pause, touch_channel
from distributor.storage.tables import channel, delivery, subscriber

_OPEN = ("claimed", "sending", "unknown")


def settle_accepted(connection: Connection, fence: str, items: Sequence[Settled], now: datetime) -> None:
    """One statement for all that share an attempt's number: in a bulk batch nearly always the whole batch."""
    by_number: dict[int, list[int]] = {}
    for item in items:
        by_number.setdefault(item.number, []).append(item.delivery_id)
    for number, ids in by_number.items():
        for start in range(0, len(ids), 500):
            connection.execute(
                update(delivery)
                .where(
                    delivery.c.id.in_(ids[start : start + 500]),
                    delivery.c.fence == fence,
                    delivery.c.state.in_(_OPEN),
                )
                .values(
                    state="sent", attempts=number, reason=None, lease_until=None, not_before=None, changed_at=now
                )
            )


def settle_one(connection: Connection, fence: str, item: Settled, now: datetime) -> None:
    what = item.settlement
    keeps_fence = what.state == "unknown"
    row = connection.execute(
        update(delivery)
        .where(delivery.c.id == item.delivery_id, delivery.c.fence == fence, delivery.c.state.in_(_OPEN))
        .values(
            state=what.state,
            attempts=item.number if what.is_attempt or what.state == "unknown" else item.number - 1,
            reason=what.reason or None,
            fence=fence if keeps_fence else None,
            lease_until=None,
            not_before=now + timedelta(seconds=what.wait) if what.wait else None,
            changed_at=now,
        )
        .returning(delivery.c.recipient_id)
    ).one_or_none()
    if row is not None and what.recipient_gone and row.recipient_id:
        connection.execute(
            update(subscriber)
            .where(subscriber.c.id == row.recipient_id)
            .values(status="unreachable", reason=f"{what.reason} {what.detail}".strip()[:500])
        )


def write_attempts(connection: Connection, settled: Sequence[Settled]) -> None:
    rows = [
        item for item in settled if item.settlement.is_attempt or item.settlement.detail or item.settlement.reason
    ]
    if not rows:
        return
    values = [
        {
            "delivery_id": item.delivery_id,
            "number": item.number,
            "started_at": item.started_at.timestamp(),
            "ended_at": item.ended_at.timestamp(),
            "outcome": item.settlement.state,
            "detail": f"{item.settlement.reason} {item.settlement.detail}".strip()[:500],
            "receipt": item.settlement.receipt,
        }
        for item in rows
    ]
    connection.execute(UPSERT_ATTEMPT, values)


def note_channel(connection: Connection, name: str, settled: Sequence[Settled], now: datetime) -> None:
    touch_channel(connection, name)
    bad = [i.settlement for i in settled if i.settlement.state not in ("sent", "queued") or i.settlement.reason]
    values: dict[str, Any] = {}
    if any(item.settlement.state == "sent" for item in settled):
        values["last_ok_at"] = now
    if bad:
        values |= {"last_error": f"{bad[-1].reason} {bad[-1].detail}".strip()[:500], "last_error_at": now}
    if values:
        connection.execute(update(channel).where(channel.c.name == name).values(values))
    for what in bad:
        if what.closes_channel and not is_paused(connection, name):
            set_pause(connection, name, True, f"{what.reason} {what.detail}".strip(), "the service", now)
            add_notice(connection, "alarm", f"channel {name} closed", what.reason, now)
