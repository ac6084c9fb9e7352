"""Subscribers, list membership and suppression."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select, text, update

from distributor.core.subscriber import ImportCount, NewSubscriber
from distributor.storage.database import Database
from distributor.storage.intake import Intake
from distributor.storage.leavings import LeaveRecord
from distributor.storage.staging import open_staging
from distributor.storage.tables import list_member, subscriber, suppression


@dataclass(frozen=True, slots=True)
class SubscriberRow:
    address: str
    name: str
    status: str
    list_name: str
    state: str
    since: datetime
    suppression: str
    consent: str


class Recipients:
    """Who may be written to."""

    def __init__(self, database: Database, record: LeaveRecord | None = None) -> None:
        self._database = database
        self._record = record

    def add_subscribers(
        self, people: Iterable[NewSubscriber], list_name: str, now: datetime, chunk: int = 10_000
    ) -> Iterator[ImportCount]:
        """Add people to a list in chunks of one transaction each; yields the running count after each chunk.

        They are read to their end before anything is added. Who left the list or is suppressed stays
        out: an import is not consent. A known address keeps its name; of a repeated one the first line counts.
        """
        count = ImportCount()
        with open_staging(self._database) as staging:
            for _ in staging.take_in(people, chunk, count):
                yield count
            intake = Intake(staging, list_name, now, count)
            for after in range(0, staging.size, chunk):
                # A member is made of a reader's own row, and looking for it again takes a third of the time.
                with (
                    self._database.trust_references(),
                    self._database.write("recipients.add_subscribers") as connection,
                ):
                    intake.add(connection, after, min(after + chunk, staging.size))
                yield count

    def unsubscribe(self, subscriber_id: int, list_name: str, reason: str, now: datetime) -> bool:
        """Take one reader off one list, for good; True when they were on it. Safe to repeat."""
        with self._database.write("recipients.unsubscribe") as connection:
            was_member = leave_list(connection, subscriber_id, list_name, reason, now)
            if was_member and self._record is not None:
                whose = select(subscriber.c.address_key).where(subscriber.c.id == subscriber_id)
                self._record.note("left", [connection.execute(whose).scalar_one()], list_name, reason, now)
            return was_member

    def is_member(self, subscriber_id: int, list_name: str) -> bool:
        with self._database.read() as connection:
            state = connection.execute(
                select(list_member.c.state).where(
                    list_member.c.subscriber_id == subscriber_id, list_member.c.list == list_name
                )
            ).scalar()
        return state == "member"

    def suppress(self, keys: Sequence[str], list_name: str, reason: str, now: datetime) -> None:
        """Never write to these addresses again on this list ("" for every list)."""
        with self._database.write("recipients.suppress") as connection:
            _suppress(connection, keys, list_name, reason, now)
            if self._record is not None:
                self._record.note("barred", keys, list_name, reason, now)

    def unsuppress(self, keys: Sequence[str], list_name: str, now: datetime) -> int:
        """Take suppressions back; membership is not restored by it."""
        with self._database.write("recipients.unsuppress") as connection:
            found = connection.execute(
                suppression.delete()
                .where(suppression.c.address_key.in_(keys), suppression.c.list == list_name)
                .returning(suppression.c.address_key)
            ).all()
            if self._record is not None:
                self._record.note("allowed", keys, list_name, "", now)
            return len(found)

    def list_lists(self) -> dict[str, int]:
        """List name -> members."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(list_member.c.list, func.count())
                .where(list_member.c.state == "member")
                .group_by(list_member.c.list)
            ).all()
        return {row[0]: int(row[1]) for row in rows}

    def iter_rows(self, list_name: str, chunk: int = 5000) -> Iterator[SubscriberRow]:
        """Every reader that is or was on a list, streamed in order of id."""
        last = 0
        while True:
            with self._database.read() as connection:
                rows = connection.execute(_page(list_name, last, chunk)).all()
            if not rows:
                return
            for row in rows:
                reason = row.suppression or ""
                yield SubscriberRow(
                    row.address, row.name, row.status, list_name, row.state, row.since, reason, row.consent
                )
            last = rows[-1].id


def leave_list(connection: Connection, subscriber_id: int, list_name: str, reason: str, now: datetime) -> bool:
    """Take one reader off a list and bar the address from it; True when they were on it.

    The first reason stays. "" bars the address from every list.
    """
    row = connection.execute(
        update(list_member)
        .where(
            list_member.c.subscriber_id == subscriber_id,
            list_member.c.list == list_name,
            list_member.c.state == "member",
        )
        .values(state="left", since=now)
        .returning(list_member.c.subscriber_id)
    ).scalar()
    key = connection.execute(select(subscriber.c.address_key).where(subscriber.c.id == subscriber_id)).scalar()
    if key is not None:
        _suppress(connection, [str(key)], list_name, reason, now)
    return row is not None


def _page(list_name: str, after_id: int, limit: int) -> Select[Any]:
    reason = (
        select(suppression.c.reason)
        .where(suppression.c.address_key == subscriber.c.address_key, suppression.c.list.in_(("", list_name)))
        .order_by(suppression.c.list)
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(subscriber, list_member.c.state, list_member.c.since, reason.label("suppression"))
        .join(list_member, list_member.c.subscriber_id == subscriber.c.id)
        .where(list_member.c.list == list_name, subscriber.c.id > after_id)
        .order_by(subscriber.c.id)
        .limit(limit)
    )


def _suppress(connection: Connection, keys: Sequence[str], list_name: str, reason: str, now: datetime) -> None:
    if keys:
        connection.execute(
            _SUPPRESS, [{"key": k, "list": list_name, "reason": reason, "at": now.timestamp()} for k in keys]
        )


_SUPPRESS = text(
    "INSERT INTO suppression (address_key, list, reason, at) VALUES (:key, :list, :reason, :at) "
    "ON CONFLICT (address_key, list) DO NOTHING"
)
