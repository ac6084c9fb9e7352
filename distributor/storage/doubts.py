"""Unknown deliveries that nobody decides about: what the time does, and what late evidence changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, select, update

from distributor.storage.among import is_among
from distributor.storage.database import Database
from distributor.storage.freezing import complete_editions
from distributor.storage.notices import add_notice
from distributor.storage.tables import delivery, edition

#: Who decided when nobody did.
NOBODY = "nobody decided in time"


class Doubts:
    """What becomes of doubts when their time is over."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def presume(self, channel_name: str, before: datetime, now: datetime) -> int:
        """unknown -> presumed (not sent again) for what is unknown on this channel since `before`; how many."""
        overdue = _is_overdue(channel_name, before)
        with self._database.read() as connection:
            if connection.execute(select(delivery.c.id).where(overdue).limit(1)).scalar() is None:
                return 0
        with self._database.write("doubts.presume") as connection:
            ids = connection.execute(
                update(delivery)
                .where(overdue)
                .values(state="presumed", changed_at=now, decided_by=NOBODY)
                .returning(delivery.c.id)
            ).all()
            if ids:
                messages = "1 message" if len(ids) == 1 else f"{len(ids)} messages"
                text = f"{messages} on {channel_name} may or may not have gone out; {NOBODY}: not sent again"
                add_notice(connection, "warning", "presumed", text, now)
                complete_editions(connection, now)
            return len(ids)


def _is_overdue(channel_name: str, before: datetime) -> ColumnElement[bool]:
    ids = select(edition.c.id).where(edition.c.channel == channel_name, edition.c.state == "frozen")
    return and_(delivery.c.edition_id.in_(ids), delivery.c.state == "unknown", delivery.c.changed_at <= before)


def find_presumed(connection: Connection, delivery_ids: Sequence[int]) -> list[int]:
    """The editions of those that are presumed, one entry for each delivery."""
    asked = select(delivery.c.edition_id).where(
        is_among(connection, delivery.c.id, delivery_ids), delivery.c.state == "presumed"
    )
    return list(connection.execute(asked).scalars())


def count_as_sent(connection: Connection, edition_ids: Sequence[int]) -> None:
    """An edition that is complete already has counted these as presumed."""
    for edition_id, number in Counter(edition_ids).items():
        connection.execute(
            update(edition)
            .where(edition.c.id == edition_id, edition.c.state == "complete")
            .values(sent=edition.c.sent + number, presumed=edition.c.presumed - number)
        )
