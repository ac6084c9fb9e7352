"""What readers clicked, by story, channel, edition, slot and schedule."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from distributor.core.reporting import ClickCount, GroupBy, LinkRow
from distributor.storage.database import Database
from distributor.storage.tables import click_hour, edition, link, post


class ClickReports:
    """Counts of clicks; people apart from previews, scanners and bots."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count_clicks(
        self, by: GroupBy, *, since: datetime | None = None, edition_id: int | None = None, limit: int = 100
    ) -> list[ClickCount]:
        """Clicks by post, channel, edition, slot or schedule; most human clicks first."""
        group = {
            "post": link.c.post_id,
            "channel": link.c.channel,
            "edition": link.c.edition_id,
            "slot": link.c.slot,
            "schedule": link.c.schedule,
        }[by]
        query = (
            select(group.label("group"), click_hour.c.klass, func.sum(click_hour.c.count).label("count"))
            .join(link, link.c.id == click_hour.c.link_id)
            .group_by(group, click_hour.c.klass)
        )
        if since is not None:
            query = query.where(click_hour.c.hour >= int(since.timestamp() // 3600))
        if edition_id is not None:
            query = query.where(link.c.edition_id == edition_id)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            labels = _labels(connection, by, [row.group for row in rows])
        return _click_counts(rows, labels)[:limit]

    def list_links(
        self, *, post_id: int | None = None, edition_id: int | None = None, limit: int = 200
    ) -> list[LinkRow]:
        """Tracked links, newest first, with their clicks."""
        sums = (
            select(
                click_hour.c.link_id,
                func.sum(click_hour.c.count).filter(click_hour.c.klass == "human").label("human"),
                func.sum(click_hour.c.count).filter(click_hour.c.klass != "human").label("other"),
            )
            .group_by(click_hour.c.link_id)
            .subquery()
        )
        query = (
            select(link, post.c.headline, sums.c.human, sums.c.other)
            .outerjoin(post, post.c.id == link.c.post_id)
            .outerjoin(sums, sums.c.link_id == link.c.id)
            .order_by(link.c.id.desc())
            .limit(limit)
        )
        if post_id is not None:
            query = query.where(link.c.post_id == post_id)
        if edition_id is not None:
            query = query.where(link.c.edition_id == edition_id)
        with self._database.read() as connection:
            return [_link_row(row) for row in connection.execute(query)]


def _labels(connection: Any, by: GroupBy, groups: list[Any]) -> dict[Any, str]:
    ids = [group for group in set(groups) if group is not None]
    if by == "post":
        return {r.id: r.headline for r in connection.execute(select(post).where(post.c.id.in_(ids)))}
    if by == "edition":
        rows = connection.execute(select(edition).where(edition.c.id.in_(ids)))
        return {r.id: f"{r.channel}: {r.title}" for r in rows}
    return {}


def _click_counts(rows: Any, labels: dict[Any, str]) -> list[ClickCount]:
    classes: dict[Any, dict[str, int]] = {}
    for row in rows:
        classes.setdefault(row.group, {})[row.klass] = int(row.count)
    counts = [
        ClickCount(
            str(group if group is not None else "-"),
            labels.get(group, str(group if group is not None else "other links")),
            found.get("human", 0),
            sum(n for klass, n in found.items() if klass != "human"),
            found,
        )
        for group, found in classes.items()
    ]
    return sorted(counts, key=lambda c: (-c.human, -c.other, c.label))


def _link_row(row: Any) -> LinkRow:
    return LinkRow(
        row.slug,
        row.target,
        row.slot,
        row.channel,
        row.schedule,
        row.edition_id,
        row.post_id,
        row.headline or "",
        int(row.human or 0),
        int(row.other or 0),
    )
