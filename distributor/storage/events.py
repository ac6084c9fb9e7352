"""What services report after they accepted a message. Facts for the record; their effects only ever go one way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from distributor.core.message import ServiceEvent
from distributor.core.subscriber import address_key
from distributor.core.text_clean import make_storable
from distributor.storage.database import Database
from distributor.storage.freezing import complete_editions
from distributor.storage.inserting import insert_new
from distributor.storage.leavings import LeaveRecord, Word
from distributor.storage.receipts import find_by_receipt
from distributor.storage.recipients import leave_list
from distributor.storage.tables import attempt, delivery, edition, service_event, subscriber

_LONGEST_DETAIL = 500
#: Who reports one of these about an address wants no more mail on that list.
_LEAVING = ("complained", "unsubscribed")


@dataclass(frozen=True)
class EventCount:
    """What became of a report: stored for the first time, known before, and stored without a delivery of ours."""

    new: int = 0
    repeated: int = 0
    unmatched: int = 0


class Events:
    """Facts that belong to deliveries."""

    def __init__(self, database: Database, record: LeaveRecord | None = None) -> None:
        self._database = database
        self._record = record

    def add(self, channel_name: str, events: Sequence[ServiceEvent], now: datetime) -> EventCount:
        """Store a report in one transaction; the same event twice is stored once.

        An event has an effect only when it names a delivery of this channel and, where it has an address, that
        delivery's own. A bounce marks the reader unreachable, a complaint or unsubscription takes them off the
        list, and any event proves that an `unknown` message went out. Others are kept without effect.
        """
        events = [_make_storable(event) for event in events]
        by_key = {_key(channel_name, event): event for event in events}
        with self._database.write("events.add") as connection:
            matches = _match(connection, channel_name, by_key)
            fresh = _insert(connection, channel_name, by_key, matches)
            for key in sorted(fresh):
                if key in matches:
                    self._apply(connection, by_key[key], matches[key], now)
        unmatched = sum(key not in matches for key in fresh)
        return EventCount(len(fresh), len(events) - len(fresh), unmatched)

    def _apply(self, connection: Connection, event: ServiceEvent, row: Any, now: datetime) -> None:
        if row.state == "unknown":
            _prove_sent(connection, event, row, now)
        if not row.recipient_id:
            return
        if event.kind == "bounced":
            reason = event.detail[:_LONGEST_DETAIL]
            changed = update(subscriber).where(subscriber.c.id == row.recipient_id, subscriber.c.status == "active")
            if connection.execute(changed.values(status="unreachable", reason=reason)).rowcount:
                self._note("gone", row, "", reason, now)
        elif (
            event.kind in _LEAVING
            and row.list
            and leave_list(connection, row.recipient_id, row.list, event.kind, now)
        ):
            self._note("left", row, row.list, event.kind, now)

    def _note(self, word: Word, row: Any, list_name: str, reason: str, now: datetime) -> None:
        if self._record is not None:
            self._record.note(word, [row.address_key], list_name, reason, now)


def _make_storable(event: ServiceEvent) -> ServiceEvent:
    return replace(
        event,
        kind=make_storable(event.kind),
        key=make_storable(event.key),
        receipt=make_storable(event.receipt),
        address=make_storable(event.address),
        detail=make_storable(event.detail),
    )


def _key(channel_name: str, event: ServiceEvent) -> str:
    if event.key:
        return f"{channel_name}:{event.key}"
    data = repr((event.kind, event.at, event.receipt, event.address, event.delivery_id))
    return f"{channel_name}:{hashlib.blake2b(data.encode(), digest_size=16).hexdigest()}"


def _match(connection: Connection, channel_name: str, events: dict[str, ServiceEvent]) -> dict[str, Any]:
    """Key -> the delivery that an event is about, where that is certain."""
    named = {event.delivery_id for event in events.values() if event.delivery_id is not None}
    known = _load(connection, channel_name, sorted(named))
    found = {}
    for key, event in events.items():
        row = known.get(event.delivery_id) if event.delivery_id is not None else None
        if event.delivery_id is None and event.receipt:
            row = _find_by_receipt(connection, channel_name, event)
        if row is not None and (not event.address or address_key(event.address) == row.address_key):
            found[key] = row
    return found


def _find_by_receipt(connection: Connection, channel_name: str, event: ServiceEvent) -> Any:
    """The one delivery with this receipt: to the reader with this address, or on a channel with one voice."""
    recipient_id = 0
    if event.address:
        whose = select(subscriber.c.id).where(subscriber.c.address_key == address_key(event.address))
        recipient_id = connection.execute(whose).scalar() or -1
    rows = connection.execute(
        select(delivery.c.id)
        .join(edition, edition.c.id == delivery.c.edition_id)
        .join(attempt, attempt.c.delivery_id == delivery.c.id)
        .where(
            edition.c.channel == channel_name,
            delivery.c.recipient_id == recipient_id,
            attempt.c.receipt == event.receipt,
        )
        .distinct()
        .limit(2)
    )
    ids = set(rows.scalars())
    if recipient_id:
        ids |= find_by_receipt(connection, channel_name, recipient_id, event.receipt)
    return next(iter(_load(connection, channel_name, list(ids)).values()), None) if len(ids) == 1 else None


def _load(connection: Connection, channel_name: str, ids: Sequence[int]) -> dict[int, Any]:
    found = {}
    for start in range(0, len(ids), 500):
        rows = connection.execute(
            select(
                delivery.c.id,
                delivery.c.edition_id,
                delivery.c.recipient_id,
                delivery.c.state,
                delivery.c.attempts,
                edition.c.list,
                subscriber.c.address_key,
            )
            .join(edition, edition.c.id == delivery.c.edition_id)
            .outerjoin(subscriber, subscriber.c.id == delivery.c.recipient_id)
            .where(delivery.c.id.in_(ids[start : start + 500]), edition.c.channel == channel_name)
        )
        found.update({row.id: row for row in rows})
    return found


def _insert(
    connection: Connection, channel_name: str, events: dict[str, ServiceEvent], matches: dict[str, Any]
) -> set[str]:
    """The keys that were not there before."""
    rows = [
        {
            "key": key,
            "channel": channel_name,
            "delivery_id": matches[key].id if key in matches else None,
            "kind": event.kind,
            "at": event.at,
            "detail": _describe(event, key in matches),
        }
        for key, event in events.items()
    ]
    if not rows:
        return set()
    added: Iterable[Any] = connection.execute(
        insert_new(connection, service_event).returning(service_event.c.key), rows
    )
    return {row.key for row in added}


def _describe(event: ServiceEvent, is_matched: bool) -> str:
    # A person who looks into it has nothing else to go by.
    whose = f"{event.address}: " if event.address and not is_matched and event.kind != "delivered" else ""
    return f"{whose}{event.detail}"[:_LONGEST_DETAIL]


def _prove_sent(connection: Connection, event: ServiceEvent, row: Any, now: datetime) -> None:
    connection.execute(
        update(delivery)
        .where(delivery.c.id == row.id, delivery.c.state == "unknown")
        .values(state="sent", reason=None, lease_until=None, changed_at=now)
    )
    connection.execute(
        update(attempt)
        .where(attempt.c.delivery_id == row.id, attempt.c.number == row.attempts)
        .values(outcome="sent", detail=f"proved by the service's report: {event.kind}", receipt=event.receipt)
    )
    complete_editions(connection, now, row.edition_id)
