"""Subscribers, list membership and suppression."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Select, and_, func, select, text, update

from distributor.core.subscriber import ImportCount, NewSubscriber
from distributor.storage.database import Database
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

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_subscribers(
        self, people: Iterable[NewSubscriber], list_name: str, now: datetime, chunk: int = 5000
    ) -> Iterator[ImportCount]:
        """Add people to a list in chunks of one transaction each; yields the running count after each chunk.

        Who left the list or is suppressed stays out: an import is not consent. A known address keeps its name.
        """
        intake = _Intake(list_name, now)
        source = iter(people)
        while part := list(islice(source, chunk)):
            with self._database.write() as connection:
                intake.add(connection, part)
            yield intake.count

    def unsubscribe(self, subscriber_id: int, list_name: str, reason: str, now: datetime) -> bool:
        """Take one reader off one list, for good; True when they were on it. Safe to repeat."""
        with self._database.write() as connection:
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
            key = connection.execute(
                select(subscriber.c.address_key).where(subscriber.c.id == subscriber_id)
            ).scalar()
            if key is not None:
                _suppress(connection, [str(key)], list_name, reason, now)
            return row is not None

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
        with self._database.write() as connection:
            _suppress(connection, keys, list_name, reason, now)

    def unsuppress(self, keys: Sequence[str], list_name: str) -> int:
        """Take suppressions back; membership is not restored by it."""
        with self._database.write() as connection:
            found = connection.execute(
                suppression.delete()
                .where(suppression.c.address_key.in_(keys), suppression.c.list == list_name)
                .returning(suppression.c.address_key)
            ).all()
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


def _page(list_name: str, after_id: int, limit: int) -> Select[Any]:
    is_theirs = and_(
        suppression.c.address_key == subscriber.c.address_key, suppression.c.list == list_member.c.list
    )
    return (
        select(subscriber, list_member.c.state, list_member.c.since, suppression.c.reason.label("suppression"))
        .join(list_member, list_member.c.subscriber_id == subscriber.c.id)
        .outerjoin(suppression, is_theirs)
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
# A chunk of people as rows (key, address, name, consent), from one JSON text: one statement for all of them is
# five times as fast as one statement each, and it is the same for both databases.
_PEOPLE = {
    "sqlite": "(SELECT json_extract(value, '$[0]') AS key, json_extract(value, '$[1]') AS address, "
    "json_extract(value, '$[2]') AS name, json_extract(value, '$[3]') AS consent FROM json_each(:people))",
    "postgresql": "(SELECT value->>0 AS key, value->>1 AS address, value->>2 AS name, value->>3 AS consent "
    "FROM json_array_elements(CAST(:people AS json)))",
}
_ADD_PEOPLE = (
    "INSERT INTO subscriber (address, address_key, name, status, reason, created_at, consent) "
    "SELECT p.address, p.key, p.name, 'active', '', :at, p.consent FROM {people} p WHERE true "
    "ON CONFLICT (address_key) DO NOTHING"
)
_FIND_PEOPLE = (
    "SELECT s.id, m.state, EXISTS (SELECT 1 FROM suppression x WHERE x.address_key = s.address_key "
    "AND x.list IN ('', :list)) AS is_barred FROM {people} p JOIN subscriber s ON s.address_key = p.key "
    "LEFT JOIN list_member m ON m.list = :list AND m.subscriber_id = s.id"
)
_ADD_MEMBERS = {
    "sqlite": "INSERT INTO list_member (list, subscriber_id, state, since) "
    "SELECT :list, value, 'member', :at FROM json_each(:ids) WHERE true ON CONFLICT DO NOTHING",
    "postgresql": "INSERT INTO list_member (list, subscriber_id, state, since) "
    "SELECT :list, CAST(value AS bigint), 'member', :at FROM json_array_elements_text(CAST(:ids AS json)) "
    "ON CONFLICT DO NOTHING",
}


class _Intake:
    """One import: adds chunks, counts people, and knows by a bit for each id whom it has met already."""

    def __init__(self, list_name: str, now: datetime) -> None:
        self._list = list_name
        self._at = now.timestamp()
        self._met = bytearray()
        self.count = ImportCount()

    def add(self, connection: Connection, people: Sequence[NewSubscriber]) -> None:
        rows = {one.key: (one.key, one.address, one.name, one.consent) for one in reversed(people)}
        self.count.repeated += len(people) - len(rows)
        # In the order of the index that they go into.
        data = {"people": json.dumps(sorted(rows.values())), "list": self._list, "at": self._at}
        dialect = connection.dialect.name
        connection.execute(text(_ADD_PEOPLE.format(people=_PEOPLE[dialect])), data)
        found = connection.execute(text(_FIND_PEOPLE.format(people=_PEOPLE[dialect])), data).all()
        fresh = [row_id for row_id, state, is_barred in found if self._judge(row_id, state, is_barred)]
        connection.execute(text(_ADD_MEMBERS[dialect]), {**data, "ids": json.dumps(sorted(fresh))})

    def _judge(self, subscriber_id: int, state: str | None, is_barred: bool) -> bool:
        """Count one person; True for who becomes a member now."""
        is_new = False
        if self._is_met(subscriber_id):
            self.count.repeated += 1
        elif state == "left":
            self.count.left_before += 1
        elif is_barred:
            self.count.suppressed += 1
        elif state is not None:
            self.count.known += 1
        else:
            self.count.added += 1
            is_new = True
        return is_new

    def _is_met(self, subscriber_id: int) -> bool:
        byte, bit = subscriber_id >> 3, 1 << (subscriber_id & 7)
        if byte >= len(self._met):
            self._met.extend(bytes(byte + 65_536 - len(self._met)))
        was_met = bool(self._met[byte] & bit)
        self._met[byte] |= bit
        return was_met
