"""Subscribers, list membership and suppression."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from sqlalchemy import Connection, and_, func, select, text, update

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
        count = ImportCount()
        source = iter(people)
        while part := list(islice(source, chunk)):
            with self._database.write() as connection:
                _add_chunk(connection, part, list_name, now, count)
            yield count

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
                rows = connection.execute(
                    select(
                        subscriber.c.id,
                        subscriber.c.address,
                        subscriber.c.name,
                        subscriber.c.status,
                        subscriber.c.consent,
                        list_member.c.state,
                        list_member.c.since,
                        suppression.c.reason,
                    )
                    .join(list_member, list_member.c.subscriber_id == subscriber.c.id)
                    .outerjoin(
                        suppression,
                        and_(
                            suppression.c.address_key == subscriber.c.address_key,
                            suppression.c.list == list_member.c.list,
                        ),
                    )
                    .where(list_member.c.list == list_name, subscriber.c.id > last)
                    .order_by(subscriber.c.id)
                    .limit(chunk)
                ).all()
            if not rows:
                return
            for row in rows:
                yield SubscriberRow(
                    row.address,
                    row.name,
                    row.status,
                    list_name,
                    row.state,
                    row.since,
                    row.reason or "",
                    row.consent,
                )
            last = rows[-1].id


def _suppress(connection: Connection, keys: Sequence[str], list_name: str, reason: str, now: datetime) -> None:
    if keys:
        connection.execute(
            _SUPPRESS, [{"key": k, "list": list_name, "reason": reason, "at": now.timestamp()} for k in keys]
        )


_SUPPRESS = text(
    "INSERT INTO suppression (address_key, list, reason, at) VALUES (:key, :list, :reason, :at) "
    "ON CONFLICT (address_key, list) DO NOTHING"
)
_ADD_PERSON = text(
    "INSERT INTO subscriber (address, address_key, name, status, reason, created_at, consent) "
    "VALUES (:address, :key, :name, 'active', '', :at, :consent) ON CONFLICT (address_key) DO NOTHING"
)
_ADD_MEMBER = text(
    "INSERT INTO list_member (list, subscriber_id, state, since) "
    "SELECT :list, s.id, 'member', :at FROM subscriber s "
    "WHERE s.address_key = :key AND NOT EXISTS (SELECT 1 FROM suppression x "
    "WHERE x.address_key = s.address_key AND x.list IN ('', :list)) "
    "ON CONFLICT (list, subscriber_id) DO NOTHING"
)


def _add_chunk(
    connection: Connection, people: Sequence[NewSubscriber], list_name: str, now: datetime, count: ImportCount
) -> None:
    keys = [person.key for person in people]
    before = _states(connection, keys, list_name)
    barred = _barred(connection, keys, list_name)
    stamp = now.timestamp()
    connection.execute(
        _ADD_PERSON,
        [{"address": p.address, "key": p.key, "name": p.name, "at": stamp, "consent": p.consent} for p in people],
    )
    connection.execute(_ADD_MEMBER, [{"list": list_name, "key": key, "at": stamp} for key in keys])
    for key in set(keys):
        if before.get(key) == "left":
            count.left_before += 1
        elif key in barred:
            count.suppressed += 1
        elif key in before:
            count.known += 1
        else:
            count.added += 1


def _states(connection: Connection, keys: Sequence[str], list_name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(keys), 500):
        rows = connection.execute(
            select(subscriber.c.address_key, list_member.c.state)
            .join(list_member, list_member.c.subscriber_id == subscriber.c.id)
            .where(list_member.c.list == list_name, subscriber.c.address_key.in_(keys[start : start + 500]))
        ).all()
        found.update({row.address_key: row.state for row in rows})
    return found


def _barred(connection: Connection, keys: Sequence[str], list_name: str) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(keys), 500):
        rows = connection.execute(
            select(suppression.c.address_key).where(
                suppression.c.list.in_(("", list_name)),
                suppression.c.address_key.in_(keys[start : start + 500]),
            )
        ).all()
        found.update(row.address_key for row in rows)
    return found
