"""Tracked links and the clicks on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, text, update

from distributor.core.clicks import ClickRow
from distributor.storage.database import Database
from distributor.storage.tables import click, journal, link


class Links:
    """Looking up short links; adding clicks exactly once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_target(self, slug: str) -> str | None:
        """Where a slug leads; None for one that was never minted. Reads only, so it never waits for a writer."""
        with self._database.read() as connection:
            found = connection.execute(select(link.c.target).where(link.c.slug == slug)).scalar()
        return None if found is None else str(found)

    def list_targets(self, after_id: int, limit: int = 10_000) -> list[tuple[int, str, str]]:
        """(id, slug, target) of links minted after `after_id`, for a map kept in memory."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(link.c.id, link.c.slug, link.c.target)
                .where(link.c.id > after_id)
                .order_by(link.c.id)
                .limit(limit)
            ).all()
        return [(row.id, row.slug, row.target) for row in rows]

    def may_count(self) -> bool:
        """Whether this database user may store clicks. Also True where there is no such table yet."""
        if self._database.is_sqlite:
            return True
        with self._database.read() as connection:
            found = connection.execute(text("SELECT has_table_privilege(to_regclass('click'), 'INSERT')")).scalar()
        return found is not False

    def position(self, journal_name: str) -> int:
        """How far a click journal has been counted, in bytes."""
        with self._database.read() as connection:
            found = connection.execute(select(journal.c.position).where(journal.c.name == journal_name)).scalar()
        return int(found or 0)

    def add_clicks(self, journal_name: str, new_position: int, clicks: Sequence[ClickRow]) -> int:
        """Store clicks and the journal's position in one transaction: each click is counted exactly once.

        Returns how many belonged to a known link. Clicks on unknown slugs are dropped here.
        """
        with self._database.write("links.add_clicks") as connection:
            ids = _link_ids(connection, {row.slug for row in clicks})
            known = [row for row in clicks if row.slug in ids]
            if known:
                connection.execute(insert(click), [_click_values(row, ids[row.slug]) for row in known])
                connection.execute(_ADD_HOURS, _hour_values(known, ids))
            connection.execute(_SET_POSITION, {"name": journal_name, "position": new_position})
            return len(known)

    def find_edition(self, slug: str) -> int | None:
        """The edition a link belongs to."""
        with self._database.read() as connection:
            return connection.execute(select(link.c.edition_id).where(link.c.slug == slug)).scalar()

    def forget_visitors(self, before: datetime, delete_before: datetime) -> int:
        """Blank visitors' marks of closed days, delete single clicks past their keeping; the sums stay."""
        with self._database.write("links.forget_visitors") as connection:
            connection.execute(click.delete().where(click.c.at < delete_before))
            done = connection.execute(
                update(click).where(click.c.at < before, click.c.visitor != "").values(visitor="")
            )
            return int(done.rowcount)

    def forget_journal(self, journal_name: str) -> None:
        """Drop the position of a journal file that was counted to its end and deleted."""
        with self._database.write("links.forget_journal") as connection:
            connection.execute(journal.delete().where(journal.c.name == journal_name))


_ADD_HOURS = text(
    "INSERT INTO click_hour (link_id, hour, klass, count) VALUES (:link_id, :hour, :klass, :count) "
    "ON CONFLICT (link_id, hour, klass) DO UPDATE SET count = click_hour.count + excluded.count"
)
_SET_POSITION = text(
    "INSERT INTO journal (name, position) VALUES (:name, :position) "
    "ON CONFLICT (name) DO UPDATE SET position = excluded.position"
)


def _link_ids(connection: Any, slugs: set[str]) -> dict[str, int]:
    ids: dict[str, int] = {}
    ordered = sorted(slugs)
    for start in range(0, len(ordered), 500):
        part = ordered[start : start + 500]
        rows = connection.execute(select(link.c.slug, link.c.id).where(link.c.slug.in_(part))).all()
        ids.update({row.slug: row.id for row in rows})
    return ids


def _click_values(row: ClickRow, link_id: int) -> dict[str, Any]:
    return {
        "link_id": link_id,
        "at": row.at,
        "klass": row.klass,
        "reason": row.reason,
        "ruleset": row.ruleset,
        "visitor": row.visitor,
        "agent": row.agent,
        "referrer": row.referrer,
    }


def _hour_values(rows: Sequence[ClickRow], ids: dict[str, int]) -> list[dict[str, Any]]:
    counts: dict[tuple[int, int, str], int] = {}
    for row in rows:
        key = (ids[row.slug], int(row.at.timestamp() // 3600), row.klass)
        counts[key] = counts.get(key, 0) + 1
    return [{"link_id": k[0], "hour": k[1], "klass": k[2], "count": n} for k, n in sorted(counts.items())]
