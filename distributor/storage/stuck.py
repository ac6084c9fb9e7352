"""What stands still in the ledger, and why."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import func, select

from distributor.core.reporting import HeldRow
from distributor.storage.among import prefer_indexes
from distributor.storage.database import Database
from distributor.storage.doubts import decide_by
from distributor.storage.tables import delivery, edition


class StuckReports:
    """Questions only; nothing here changes anything."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_held(self, limit: int = 20) -> list[HeldRow]:
        """Held messages by edition and reason, the oldest edition first."""
        with self._database.read() as connection:
            prefer_indexes(connection)
            rows = connection.execute(
                select(edition.c.id, edition.c.channel, edition.c.title, delivery.c.reason, func.count())
                .join(delivery, delivery.c.edition_id == edition.c.id)
                .where(edition.c.state == "frozen", delivery.c.state == "held")
                .group_by(edition.c.id, edition.c.channel, edition.c.title, delivery.c.reason)
                .order_by(edition.c.id, delivery.c.reason)
                .limit(limit)
            ).all()
        return [HeldRow(row[0], row[1], row[2], row[3] or "", int(row[4])) for row in rows]

    def find_deadlines(self) -> dict[str, datetime]:
        """Channel -> when the first of its unknown deliveries is presumed."""
        with self._database.read() as connection:
            prefer_indexes(connection)
            rows = connection.execute(
                select(edition.c.channel, func.min(decide_by()))
                .join(delivery, delivery.c.edition_id == edition.c.id)
                .where(edition.c.state == "frozen", delivery.c.state == "unknown")
                .group_by(edition.c.channel)
            ).all()
        return {row[0]: datetime.fromtimestamp(row[1], UTC) for row in rows}
