"""Figures for who watches: metrics and alerts. Each is cheap on large tables: found by index, or cut off."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, get_args

from sqlalchemy import Connection, func, select, text

from distributor.core.alerting import Missed, OpenEdition, Paused, ProcessFacts
from distributor.core.delivery import State
from distributor.storage.among import prefer_indexes
from distributor.storage.database import Database
from distributor.storage.settling import BREAKER
from distributor.storage.tables import (
    channel,
    delivery,
    edition,
    occurrence,
    pace,
    post,
    service_event,
)
from distributor.storage.workers import Workers

#: Who pauses a channel when no person does.
PROGRAM = ("the service", BREAKER)
#: Editions up to this audience are counted together, larger ones one by one and cleverly.
SMALL = 1_000
_STATES: tuple[str, ...] = get_args(State)


class Figures:
    """Questions only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count_deliveries(self) -> dict[tuple[str, str], int]:
        """(channel, state) -> deliveries: open editions by index, the sums of complete ones."""
        counts: dict[tuple[str, str], int] = {}
        with self._database.read() as connection:
            prefer_indexes(connection)
            for row in connection.execute(_SMALL):
                _add(counts, row.channel, {row.state: int(row.number)})
            for row in _list_large(connection):
                _add(counts, row.channel, count_edition(connection, row.id, row.audience))
            for row in connection.execute(_SUMS):
                _add(counts, row.channel, {state: int(getattr(row, state) or 0) for state in _SUMMED})
        return counts

    def count_reasons(self) -> dict[tuple[str, str], int]:
        """(channel, reason) -> held deliveries of open editions."""
        query = (
            select(edition.c.channel, delivery.c.reason, func.count())
            .join(delivery, delivery.c.edition_id == edition.c.id)
            .where(edition.c.state == "frozen", delivery.c.state == "held")
            .group_by(edition.c.channel, delivery.c.reason)
        )
        with self._database.read() as connection:
            prefer_indexes(connection)
            return {(row[0], row[1] or ""): int(row[2]) for row in connection.execute(query)}

    def find_oldest(self, state: str) -> dict[str, datetime]:
        """Channel -> since when its oldest delivery is in this state; of a large edition the
        first in order stands for all."""
        of_state = (edition.c.state == "frozen") & (delivery.c.state == state)
        with self._database.read() as connection:
            prefer_indexes(connection)
            small = connection.execute(
                select(edition.c.channel, func.min(delivery.c.changed_at).label("at"))
                .join(delivery, delivery.c.edition_id == edition.c.id)
                .where(of_state, edition.c.audience <= SMALL)
                .group_by(edition.c.channel)
            )
            found: dict[str, datetime] = {row.channel: row.at for row in small}
            for row in _list_large(connection):
                at = _find_first(connection, row.id, state)
                if at is not None:
                    found[row.channel] = min(at, found.get(row.channel, at))
        return found

    def count_unknown(self) -> dict[str, tuple[int, datetime]]:
        """Channel -> how many deliveries are unknown, and since when the oldest."""
        query = (
            select(edition.c.channel, func.count(), func.min(delivery.c.changed_at))
            .join(delivery, delivery.c.edition_id == edition.c.id)
            .where(edition.c.state == "frozen", delivery.c.state == "unknown")
            .group_by(edition.c.channel)
        )
        with self._database.read() as connection:
            prefer_indexes(connection)
            return {row[0]: (int(row[1]), row[2]) for row in connection.execute(query)}

    def list_late(self, before: datetime, limit: int = 50) -> list[OpenEdition]:
        """Editions due before that moment which are not complete, the oldest first."""
        query = (
            select(edition)
            .where(edition.c.state.in_(("planned", "frozen", "parked", "held")), edition.c.due_at < before)
            .order_by(edition.c.due_at, edition.c.id)
            .limit(limit)
        )
        with self._database.read() as connection:
            prefer_indexes(connection)
            return [_open_edition(connection, row) for row in connection.execute(query).all()]

    def list_missed(self, since: datetime) -> list[Missed]:
        """Due times after that moment which made no edition because the program was not running."""
        query = select(occurrence).where(occurrence.c.due_at > since, occurrence.c.outcome == "late")
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(occurrence.c.due_at))
            return [Missed(row.key, row.schedule, row.due_at) for row in rows]

    def list_closed(self) -> list[Paused]:
        """Channels that the service or the circuit breaker paused."""
        query = select(channel).where(channel.c.is_paused, channel.c.by.in_(PROGRAM)).order_by(channel.c.name)
        with self._database.read() as connection:
            return [Paused(row.name, row.reason, row.since) for row in connection.execute(query)]

    def list_arrivals(self, source_name: str, now: datetime, limit: int = 50) -> list[datetime]:
        """When the last stories of a source were published."""
        query = (
            select(post.c.published_at)
            .where(post.c.source == source_name, post.c.published_at <= now)
            .order_by(post.c.published_at.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def count_held_posts(self) -> dict[str, int]:
        """Source -> stories that wait for a person."""
        query = select(post.c.source, func.count()).where(post.c.status == "held").group_by(post.c.source)
        with self._database.read() as connection:
            return {row[0]: int(row[1]) for row in connection.execute(query)}

    def find_mismatches(self) -> list[int]:
        """Editions whose deliveries or sums do not add up to their audience."""
        with self._database.read() as connection:
            return [
                int(number) for query in (_SHORT, _WRONG_SUMS) for number in connection.execute(query).scalars()
            ]

    def find_silent_hooks(self, before: datetime) -> dict[str, datetime]:
        """Channel -> the last report of its service, where an edition begun before that moment went out since."""
        silent: dict[str, datetime] = {}
        with self._database.read() as connection:
            for row in connection.execute(select(channel).where(channel.c.last_ok_at.is_not(None))).all():
                last = connection.execute(
                    select(service_event.c.at)
                    .where(service_event.c.channel == row.name)
                    .order_by(service_event.c.id.desc())
                    .limit(1)
                ).scalar()
                if last is not None and _has_sent(connection, row, last, before):
                    silent[row.name] = last
        return silent

    def list_processes(self, now: datetime) -> list[ProcessFacts]:
        """The processes that report to this database; those that ended well are not among them."""
        found = Workers(self._database).list_all(now)
        return [ProcessFacts(frozenset(one.roles.split(",")), timedelta(seconds=one.age)) for one in found]

    def load_paces(self) -> dict[str, Sequence[float]]:
        """Key of a pace -> when its last messages went, in seconds since the epoch."""
        with self._database.read() as connection:
            return {row.key: json.loads(row.stamps) for row in connection.execute(select(pace))}

    def measure_wal(self) -> int:
        """Bytes of SQLite's -wal file; 0 where there is none."""
        if not self._database.is_sqlite:
            return 0
        path = self._database.path
        wal = path.with_name(path.name + "-wal")
        return wal.stat().st_size if wal.exists() else 0

    def measure_clock_offset(self, read_clock: Any) -> float:
        """Seconds that this machine's clock is ahead of the database server's; 0 for a file."""
        if self._database.is_sqlite:
            return 0.0
        with self._database.read() as connection:
            connection.execute(text("SELECT 1"))
            before: datetime = read_clock()
            theirs = float(connection.execute(_SERVER_NOW).scalar_one())
            after: datetime = read_clock()
        return (before.timestamp() + after.timestamp()) / 2 - theirs


_SERVER_NOW = text("SELECT extract(epoch FROM clock_timestamp())")
_SUMMED = ("sent", "failed", "skipped", "presumed")
_SUMS = text(
    "SELECT channel, SUM(sent) AS sent, SUM(failed) AS failed, SUM(skipped) AS skipped, SUM(presumed) AS presumed "
    "FROM edition WHERE state = 'complete' GROUP BY channel"
)
_WRONG_SUMS = text(
    "SELECT id FROM edition WHERE state = 'complete' AND audience <> sent + failed + skipped + presumed LIMIT 20"
)
_SMALL = text(
    "SELECT e.channel, d.state, COUNT(*) AS number FROM edition e JOIN delivery d ON d.edition_id = e.id "
    "WHERE e.state = 'frozen' AND e.audience <= :small GROUP BY e.channel, d.state"
).bindparams(small=SMALL)
_SHORT = text(
    "SELECT e.id FROM edition e WHERE e.state = 'frozen' "
    "AND e.audience <> (SELECT COUNT(*) FROM delivery d WHERE d.edition_id = e.id) LIMIT 20"
)


def count_edition(connection: Connection, edition_id: int, audience: int) -> dict[str, int]:
    """State -> deliveries of one frozen edition, without reading most of them.

    Deliveries are numbered in a row when an edition is frozen and claimed in that order. So everything behind the
    last one that was ever claimed is queued, and what is in no other state is sent. An edition whose numbers are
    not in a row (two were frozen at the same moment) is counted row by row.
    """
    ends = {row.state: row for row in connection.execute(_ENDS, {"edition": edition_id}) if row.first is not None}
    first = min((row.first for row in ends.values()), default=0)
    last = max((row.last for row in ends.values()), default=-1)
    if last - first + 1 != audience:
        return {row.state: int(row.number) for row in connection.execute(_BY_STATE, {"edition": edition_id})}
    reached = max((row.last for state, row in ends.items() if state != "queued"), default=first - 1)
    counts = {
        state: _count(connection, edition_id, state, last) for state in ends if state not in ("queued", "sent")
    }
    queued = last - reached + (_count(connection, edition_id, "queued", reached) if "queued" in ends else 0)
    counts |= {"queued": queued, "sent": max(audience - queued - sum(counts.values()), 0)}
    return {state: number for state, number in counts.items() if number}


_ENDS_OF_ONE = (
    "SELECT 'STATE' AS state, "
    "(SELECT MIN(id) FROM delivery WHERE edition_id = :edition AND state = 'STATE') AS first, "
    "(SELECT MAX(id) FROM delivery WHERE edition_id = :edition AND state = 'STATE') AS last"
)
_ENDS = text(" UNION ALL ".join(_ENDS_OF_ONE.replace("STATE", state) for state in _STATES))
_BY_STATE = text("SELECT state, COUNT(*) AS number FROM delivery WHERE edition_id = :edition GROUP BY state")


def _count(connection: Connection, edition_id: int, state: str, up_to: int) -> int:
    query = select(func.count()).where(
        delivery.c.edition_id == edition_id, delivery.c.state == state, delivery.c.id <= up_to
    )
    return int(connection.execute(query).scalar_one())


def _list_large(connection: Connection) -> Sequence[Any]:
    query = select(edition.c.id, edition.c.channel, edition.c.audience)
    return connection.execute(query.where(edition.c.state == "frozen", edition.c.audience > SMALL)).all()


def _find_first(connection: Connection, edition_id: int, state: str) -> datetime | None:
    """Since when the first delivery in this state is in it."""
    first = select(func.min(delivery.c.id)).where(delivery.c.edition_id == edition_id, delivery.c.state == state)
    return connection.execute(
        select(delivery.c.changed_at).where(delivery.c.id == first.scalar_subquery())
    ).scalar()


def _add(counts: dict[tuple[str, str], int], name: str, more: Mapping[str, int]) -> None:
    for state, number in more.items():
        if number:
            counts[(name, state)] = counts.get((name, state), 0) + number


def _open_edition(connection: Connection, row: Any) -> OpenEdition:
    counts = count_edition(connection, row.id, row.audience or 0) if row.state == "frozen" else {}
    return OpenEdition(row.id, row.schedule, row.channel, row.title, row.state, row.reason, row.due_at, counts)


def _has_sent(connection: Connection, row: Any, last: datetime, before: datetime) -> bool:
    """Whether an edition that was frozen after the last report, and before that moment, went out."""
    query = select(func.min(edition.c.frozen_at)).where(
        edition.c.channel == row.name,
        edition.c.state.in_(("frozen", "complete")),
        edition.c.frozen_at > last,
        edition.c.frozen_at < before,
    )
    begun = connection.execute(query).scalar()
    return begun is not None and row.last_ok_at >= begun
