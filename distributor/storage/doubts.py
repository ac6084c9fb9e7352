"""Unknown deliveries that nobody decides about: what the time does, and what late evidence changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Double, and_, case, cast, select, update

from distributor.core.message import DECIDE_WITHIN
from distributor.storage.among import is_among, prefer_indexes
from distributor.storage.database import Database
from distributor.storage.freezing import complete_editions
from distributor.storage.notices import add_notice
from distributor.storage.tables import delivery, edition

#: Who decided when nobody did.
NOBODY = "nobody decided in time"


def presume_overdue(database: Database, now: datetime) -> int:
    """unknown -> presumed (not sent again) where the time to decide is over; returns how many."""
    with database.read() as connection:
        prefer_indexes(connection)
        if connection.execute(select(delivery.c.id).where(_is_overdue(now)).limit(1)).scalar() is None:
            return 0
    with database.write("doubts.presume") as connection:
        rows = connection.execute(
            update(delivery)
            .where(_is_overdue(now))
            .values(state="presumed", not_before=None, changed_at=now, decided_by=NOBODY)
            .returning(delivery.c.edition_id)
        ).scalars()
        counts = Counter(rows)
        for edition_id, number in sorted(counts.items()):
            name = connection.execute(select(edition.c.channel).where(edition.c.id == edition_id)).scalar_one()
            messages = "1 message" if number == 1 else f"{number} messages"
            text = f"{messages} of edition {edition_id} for {name} may or may not have gone out; {NOBODY}"
            add_notice(connection, "warning", "presumed", f"{text}: not sent again", now)
            complete_editions(connection, now, edition_id)
    return counts.total()


def decide_by() -> ColumnElement[float]:
    """Until when a person may decide about an unknown delivery. `not_before` says it where the answer was lost; it
    is older than `changed_at` where a process died."""
    is_told = delivery.c.not_before > delivery.c.changed_at
    later = cast(delivery.c.changed_at, Double) + DECIDE_WITHIN
    return case((is_told, cast(delivery.c.not_before, Double)), else_=later)


def _is_overdue(now: datetime) -> ColumnElement[bool]:
    frozen = select(edition.c.id).where(edition.c.state == "frozen")
    is_over = decide_by() <= now.timestamp()
    return and_(delivery.c.edition_id.in_(frozen), delivery.c.state == "unknown", is_over)


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
