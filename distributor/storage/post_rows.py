"""A stored post, as the rows of the database say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from distributor.core.post import Post, post_from_json
from distributor.storage.tables import post_key


@dataclass(frozen=True)
class PostRow:
    """A stored post. `sources` are all the sources that carry it."""

    id: int
    post: Post
    status: str
    reason: str
    revision: int
    first_seen_at: datetime
    ripe_at: datetime
    changed_at: datetime
    sources: tuple[str, ...] = ()


def with_sources(connection: Connection, rows: Sequence[Any]) -> list[PostRow]:
    """Rows of the table as posts, with all the sources that carry them."""
    carriers: dict[int, list[str]] = {}
    ids = [row.id for row in rows]
    for start in range(0, len(ids), 500):
        found = connection.execute(
            select(post_key.c.post_id, post_key.c.source)
            .where(post_key.c.post_id.in_(ids[start : start + 500]))
            .distinct()
            .order_by(post_key.c.source)
        ).all()
        for item in found:
            carriers.setdefault(item.post_id, []).append(item.source)
    return [read_post_row(row, tuple(carriers.get(row.id, ()))) for row in rows]


def read_post_row(row: Any, sources: tuple[str, ...]) -> PostRow:
    """One row of the table as a post."""
    return PostRow(
        row.id,
        post_from_json(row.content),
        row.status,
        row.reason,
        row.revision,
        row.first_seen_at,
        row.ripe_at,
        row.changed_at,
        sources,
    )
