"""Read-only looks at the whole: deliveries, editions, clicks, notices, channels."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, select

from distributor.core.deciding import find_deadline
from distributor.core.reporting import (
    ChannelRow,
    DeliveryRow,
    EditionRow,
    NoticeRow,
)
from distributor.storage.click_reports import ClickReports
from distributor.storage.figures import Figures
from distributor.storage.receipts import find_kept
from distributor.storage.stuck import StuckReports
from distributor.storage.tables import (
    attempt,
    channel,
    delivery,
    edition,
    list_member,
    notice,
    occurrence,
    post,
    subscriber,
)


class Reports(ClickReports, StuckReports):
    """Questions only; nothing here changes anything."""

    def count_deliveries(self) -> dict[tuple[str, str], int]:
        """(channel, state) -> deliveries, over editions that are not complete plus the sums of complete ones."""
        return Figures(self._database).count_deliveries()

    def list_deliveries(
        self, *, state: str = "", channel_name: str = "", edition_id: int | None = None, limit: int = 100
    ) -> list[DeliveryRow]:
        """The newest deliveries first, narrowed by what is given."""
        last = (
            select(attempt.c.delivery_id, func.max(attempt.c.number).label("number"))
            .group_by(attempt.c.delivery_id)
            .subquery()
        )
        query = (
            select(
                delivery,
                edition.c.channel,
                edition.c.schedule,
                edition.c.title,
                subscriber.c.address,
                attempt.c.receipt,
                attempt.c.detail,
                attempt.c.outcome,
            )
            .join(edition, edition.c.id == delivery.c.edition_id)
            .outerjoin(subscriber, subscriber.c.id == delivery.c.recipient_id)
            .outerjoin(last, last.c.delivery_id == delivery.c.id)
            .outerjoin(attempt, and_(attempt.c.delivery_id == delivery.c.id, attempt.c.number == last.c.number))
            .order_by(delivery.c.id.desc())
            .limit(limit)
        )
        if state:
            query = query.where(delivery.c.state == state)
        if channel_name:
            query = query.where(edition.c.channel == channel_name)
        if edition_id is not None:
            query = query.where(delivery.c.edition_id == edition_id)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            paged = {row.id: row.edition_id for row in rows if row.state == "sent" and row.outcome != "sent"}
            kept = find_kept(connection, paged)
        return [_delivery_row(row, kept.get(row.id, row)) for row in rows]

    def list_editions(self, *, limit: int = 50, state: str = "", channel_name: str = "") -> list[EditionRow]:
        """The newest editions first, with their deliveries by state."""
        query = select(edition).order_by(edition.c.id.desc()).limit(limit)
        if state:
            query = query.where(edition.c.state == state)
        if channel_name:
            query = query.where(edition.c.channel == channel_name)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            counts = _counts_by_edition(connection, [row.id for row in rows if row.state != "complete"])
        return [_edition_row(row, counts.get(row.id) or _sums(row)) for row in rows]

    def list_notices(self, limit: int = 50, level: str = "") -> list[NoticeRow]:
        query = select(notice).order_by(notice.c.id.desc()).limit(limit)
        if level:
            query = query.where(notice.c.level == level)
        with self._database.read() as connection:
            return [NoticeRow(row.at, row.level, row.subject, row.text) for row in connection.execute(query)]

    def list_channels(self) -> dict[str, ChannelRow]:
        with self._database.read() as connection:
            return {
                row.name: ChannelRow(
                    row.name,
                    row.is_paused,
                    row.reason,
                    row.since,
                    row.last_ok_at,
                    row.last_error,
                    row.last_error_at,
                    row.by,
                )
                for row in connection.execute(select(channel))
            }

    def list_occurrences(self, limit: int = 20) -> list[dict[str, Any]]:
        """What became of the last due times, newest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(occurrence).order_by(occurrence.c.due_at.desc(), occurrence.c.key).limit(limit)
            )
            return [dict(row._mapping) for row in rows]

    def count_by_status(self) -> dict[str, int]:
        """Posts by status."""
        with self._database.read() as connection:
            rows = connection.execute(select(post.c.status, func.count()).group_by(post.c.status))
            return {row[0]: int(row[1]) for row in rows}

    def count_members(self, list_name: str) -> int:
        with self._database.read() as connection:
            return int(
                connection.execute(
                    select(func.count())
                    .select_from(list_member)
                    .where(list_member.c.list == list_name, list_member.c.state == "member")
                ).scalar_one()
            )

    def find_mismatches(self) -> list[int]:
        """Editions whose deliveries or sums do not add up to their audience: an alarm, never repaired silently."""
        return Figures(self._database).find_mismatches()

    def oldest(self, state: str) -> datetime | None:
        """Since when the oldest delivery is in this state; of a large edition the first in order stands for all."""
        return min(Figures(self._database).find_oldest(state).values(), default=None)


def _counts_by_edition(connection: Any, ids: list[int]) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    rows = connection.execute(
        select(delivery.c.edition_id, delivery.c.state, func.count())
        .where(delivery.c.edition_id.in_(ids))
        .group_by(delivery.c.edition_id, delivery.c.state)
    )
    for edition_id, state, number in rows:
        found.setdefault(edition_id, {})[state] = int(number)
    return found


def _sums(row: Any) -> dict[str, int]:
    """What an edition was closed with: counting a hundred thousand deliveries again would say the same."""
    sums = {state: int(getattr(row, state) or 0) for state in ("sent", "failed", "skipped", "presumed")}
    return {state: number for state, number in sums.items() if number}


def _delivery_row(row: Any, said: Any) -> DeliveryRow:
    return DeliveryRow(
        row.id,
        row.edition_id,
        row.channel,
        row.schedule,
        row.title,
        row.address or "",
        row.state,
        row.reason or "",
        row.attempts,
        said.receipt or "",
        said.detail or "",
        row.not_before,
        bool(row.may_duplicate),
        row.changed_at,
        find_deadline(row.changed_at, row.not_before) if row.state == "unknown" else None,
    )


def _edition_row(row: Any, counts: dict[str, int]) -> EditionRow:
    return EditionRow(
        row.id,
        row.key,
        row.schedule,
        row.channel,
        row.form,
        row.state,
        row.reason,
        row.title,
        row.due_at,
        row.completed_at,
        row.audience or 0,
        counts,
        row.warnings,
    )
