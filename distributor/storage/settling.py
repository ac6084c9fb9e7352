"""What became of deliveries, written down under the fence of whoever held them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, or_, select, update

from distributor.core.breaker import GONE, REFUSED, add_endings, find_trouble
from distributor.core.delivery import CLOSED
from distributor.core.sending import Settled
from distributor.storage.among import is_among
from distributor.storage.asking import ask, say, write_numbers
from distributor.storage.notices import add_notice, set_pause, touch_channel, upsert_attempts
from distributor.storage.receipts import add_pages
from distributor.storage.tables import channel, delivery, edition, subscriber

#: Who paused a channel that refuses too much.
BREAKER = "the breaker"


def _is_held(fence: str, number: int) -> ColumnElement[bool]:
    """The delivery is this fence's, on this attempt, and nobody has decided anything about it."""
    is_claimed = and_(delivery.c.state == "claimed", delivery.c.attempts == number - 1)
    is_sending = and_(delivery.c.state == "sending", delivery.c.attempts == number)
    return and_(delivery.c.fence == fence, or_(is_claimed, is_sending))


def _is_late(fence: str, number: int) -> ColumnElement[bool]:
    """As above, but the lease ended before the answer came."""
    return and_(delivery.c.fence == fence, delivery.c.state == "unknown", delivery.c.attempts == number)


#: Nearly always a whole batch is accepted as it was claimed.
_AS_CLAIMED = "id AMONG :ids AND fence = :fence AND state = 'claimed' AND attempts = :number - 1"
_ACCEPT = f"""
UPDATE delivery SET state = 'sent', attempts = :number, reason = NULL, lease_until = NULL, not_before = NULL,
changed_at = :now
WHERE {_AS_CLAIMED}
"""  # noqa: S608 - a constant of ours
_ACCEPT_TELL = f"{_ACCEPT} RETURNING id, edition_id"
_COUNT_CLAIMED = f"SELECT count(*), min(edition_id), max(edition_id) FROM delivery WHERE {_AS_CLAIMED}"  # noqa: S608


def settle_accepted(connection: Connection, fence: str, items: Sequence[Settled], now: datetime) -> set[int]:
    """The ids that are sent now, with the evidence of it. One statement and one page of receipts for all that share
    an attempt's number: nearly always the batch."""
    by_number: dict[int, list[Settled]] = {}
    for item in items:
        by_number.setdefault(item.number, []).append(item)
    done: set[int] = set()
    for number, same in by_number.items():
        paged = _settle_batch(connection, fence, number, same, now) if len(same) > 1 else set()
        rest = [item for item in same if item.delivery_id not in paged]
        told = _settle_rest(connection, fence, number, rest, now) if rest else set()
        write_attempts(connection, [item for item in rest if item.delivery_id in told])
        done |= paged | told
    return done


def _settle_batch(
    connection: Connection, fence: str, number: int, items: Sequence[Settled], now: datetime
) -> set[int]:
    ids = write_numbers(connection, [item.delivery_id for item in items])
    values = {"ids": ids, "fence": fence, "number": number, "now": now.timestamp()}
    done = _accept(connection, values, [item.delivery_id for item in items])
    add_pages(connection, done, items)
    return set(done)


def _accept(connection: Connection, values: Mapping[str, object], ids: Sequence[int]) -> dict[int, int]:
    """Delivery -> edition of those that are sent now.

    On SQLite nobody else writes meanwhile, and RETURNING costs a third of the update: where all of them are as they
    were claimed, and of one edition, they need not be told one by one.
    """
    if connection.dialect.name == "sqlite":
        ((many, first, last),) = ask(connection, _COUNT_CLAIMED, values)
        if many == len(ids) and first == last:
            say(connection, _ACCEPT, values)
            return dict.fromkeys(ids, first)
    return dict(ask(connection, _ACCEPT_TELL, values))


def _settle_rest(
    connection: Connection, fence: str, number: int, items: Sequence[Settled], now: datetime
) -> set[int]:
    """Those of one voice, and those whose answer came late."""
    ids = [item.delivery_id for item in items]
    values = {"state": "sent", "attempts": number, "reason": None, "lease_until": None, "not_before": None}
    rows = connection.execute(
        update(delivery)
        .where(is_among(connection, delivery.c.id, ids), or_(_is_held(fence, number), _is_late(fence, number)))
        .values(changed_at=now, **values)
        .returning(delivery.c.id)
    )
    return set(rows.scalars().all())


def settle_one(connection: Connection, fence: str, item: Settled, now: datetime) -> bool:
    """Whether the answer belongs to this delivery's present attempt, in time or late."""
    what = item.settlement
    is_counted = what.is_attempt or what.state == "unknown"
    row = connection.execute(
        update(delivery)
        .where(delivery.c.id == item.delivery_id, _is_held(fence, item.number))
        .values(
            state=what.state,
            attempts=item.number if is_counted else item.number - 1,
            reason=what.reason or None,
            fence=fence if what.state == "unknown" else None,
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
    return row is not None or _is_unknown(connection, fence, item)


def _is_unknown(connection: Connection, fence: str, item: Settled) -> bool:
    late = select(delivery.c.id).where(delivery.c.id == item.delivery_id, _is_late(fence, item.number))
    return connection.execute(late).scalar() is not None


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
    upsert_attempts(connection, values)


_CHANNEL = select(channel).where(channel.c.name == bindparam("channel")).with_for_update()


def note_channel(
    connection: Connection, name: str, settled: Sequence[Settled], theirs: Collection[int], now: datetime
) -> None:
    """How the channel fares; a service that closed it, or too many refusals, pause it with an alarm.

    The breaker counts only what was settled now (`theirs`), so that an answer told twice counts once.
    """
    touch_channel(connection, name)
    row = connection.execute(_CHANNEL, {"channel": name}).one()
    bad = [i.settlement for i in settled if i.settlement.state not in ("sent", "queued") or i.settlement.reason]
    endings = [item.settlement.ending for item in settled if item.delivery_id in theirs]
    values: dict[str, Any] = {}
    if any(item.settlement.state == "sent" for item in settled):
        values["last_ok_at"] = now
    if bad:
        values |= {"last_error": f"{bad[-1].reason} {bad[-1].detail}".strip()[:500], "last_error_at": now}
    if (recent := add_endings(row.recent, endings)) != row.recent:
        values["recent"] = recent
    if values:
        connection.execute(update(channel).where(channel.c.name == name).values(values))
    if bad and not row.is_paused:
        _stop_channel(connection, name, _find_trouble(connection, row.recent, endings, settled), settled, now)


def _stop_channel(
    connection: Connection, name: str, trouble: str, settled: Sequence[Settled], now: datetime
) -> None:
    closing = next((item.settlement for item in settled if item.settlement.closes_channel), None)
    if closing is not None:
        why = f"{closing.reason.removeprefix(CLOSED)} {closing.detail}".strip()
        set_pause(connection, name, True, why, "the service", now)
        add_notice(connection, "alarm", f"channel {name} closed", closing.reason, now)
    elif trouble:
        last = next(i.settlement for i in reversed(settled) if i.settlement.ending in (REFUSED, GONE))
        words = f"{last.reason} {last.detail}".strip()[:300]
        set_pause(connection, name, True, f"{trouble}, the last one: {words}", BREAKER, now)
        add_notice(
            connection, "alarm", f"channel {name} stopped", f"{trouble}; nothing more is sent on {name}", now
        )


def _find_trouble(connection: Connection, recent: str, endings: Sequence[str], settled: Sequence[Settled]) -> str:
    joined = select(edition.c.list).join(delivery, delivery.c.edition_id == edition.c.id)
    name = connection.execute(joined.where(delivery.c.id == settled[0].delivery_id)).scalar()
    return find_trouble(recent, endings, is_list=bool(name))
