"""A planned edition, as the rows of the database say it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from distributor.core.planning import PlannedEdition
from distributor.storage.tables import edition_post


def read_planned(connection: Connection, row: Any) -> PlannedEdition:
    """One row of the table with the stories that belong to it."""
    items, overflow = _post_ids(connection, row.id)
    return PlannedEdition(
        id=row.id,
        key=row.key,
        schedule=row.schedule,
        channel=row.channel,
        form=row.form,
        token=row.token,
        state=row.state,
        title=row.title,
        due_at=row.due_at,
        late_after=row.late_after,
        post_ids=items,
        overflow_ids=overflow,
    )


def _post_ids(connection: Connection, edition_id: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    rows = connection.execute(
        select(edition_post.c.post_id, edition_post.c.role)
        .where(edition_post.c.edition_id == edition_id)
        .order_by(edition_post.c.position)
    ).all()
    items = tuple(row.post_id for row in rows if row.role == "item")
    return items, tuple(row.post_id for row in rows if row.role == "overflow")
