"""What a person decides about deliveries and channels. Every decision leaves an audit line."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update

from distributor.storage.database import Database
from distributor.storage.freezing import complete_editions
from distributor.storage.notices import add_notice, set_pause
from distributor.storage.tables import channel, delivery, edition


class Decisions:
    """Release, give up, resolve, pause, resume."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def release(self, edition_id: int, late_after: datetime | None, by: str, now: datetime) -> int:
        """held -> queued for a whole edition, with a new limit for lateness."""
        with self._database.write("decisions.release") as connection:
            rows = connection.execute(
                update(delivery)
                .where(delivery.c.edition_id == edition_id, delivery.c.state == "held")
                .values(state="queued", reason=None, not_before=None, changed_at=now, decided_by=by)
                .returning(delivery.c.id)
            ).all()
            if not rows:
                return 0
            connection.execute(update(edition).where(edition.c.id == edition_id).values(late_after=late_after))
            add_notice(connection, "audit", "release", f"{by} released {len(rows)} of edition {edition_id}", now)
            return len(rows)

    def give_up(self, edition_id: int, reason: str, by: str, now: datetime) -> int:
        """held and queued -> skipped for a whole edition; what is on the wire finishes. Returns how many."""
        with self._database.write("decisions.give_up") as connection:
            rows = connection.execute(
                update(delivery)
                .where(delivery.c.edition_id == edition_id, delivery.c.state.in_(("held", "queued")))
                .values(state="skipped", reason=reason[:500], not_before=None, changed_at=now, decided_by=by)
                .returning(delivery.c.id)
            ).all()
            if rows:
                text = f"{by} gave up {len(rows)} deliveries of edition {edition_id}: {reason}"
                add_notice(connection, "audit", "drop", text, now)
                complete_editions(connection, now, edition_id)
            return len(rows)

    def resolve(self, delivery_id: int, decision: str, by: str, now: datetime) -> bool:
        """A person settles an unknown delivery: "sent", "resend" (may be a duplicate) or "leave" (presumed)."""
        state = {"sent": "sent", "resend": "queued", "leave": "presumed"}[decision]
        with self._database.write("decisions.resolve") as connection:
            done = connection.execute(
                update(delivery)
                .where(delivery.c.id == delivery_id, delivery.c.state == "unknown")
                .values(
                    state=state,
                    fence=None,
                    lease_until=None,
                    not_before=None,
                    changed_at=now,
                    decided_by=by,
                    may_duplicate=True if decision == "resend" else delivery.c.may_duplicate,
                )
                .returning(delivery.c.id)
            ).scalar()
            if done is not None:
                add_notice(connection, "audit", "resolve", f"{by} resolved delivery {delivery_id}: {decision}", now)
                complete_editions(connection, now)
            return done is not None

    def pause(self, name: str, reason: str, by: str, now: datetime) -> None:
        """Stop a channel before its next message, until `resume`."""
        with self._database.write("decisions.pause") as connection:
            set_pause(connection, name, True, reason, by, now)

    def resume(self, name: str, by: str, now: datetime) -> None:
        """Open a channel again; what waited for it is queued."""
        with self._database.write("decisions.resume") as connection:
            set_pause(connection, name, False, "", by, now)
            ids = select(edition.c.id).where(edition.c.channel == name, edition.c.state == "frozen")
            is_late = delivery.c.reason.is_not_distinct_from("late")
            connection.execute(
                update(delivery)
                .where(delivery.c.edition_id.in_(ids), delivery.c.state == "held", ~is_late)
                .values(state="queued", reason=None, not_before=None, changed_at=now)
            )

    def list_paused(self) -> dict[str, str]:
        """Channel -> why it is paused."""
        with self._database.read() as connection:
            rows = connection.execute(select(channel.c.name, channel.c.reason).where(channel.c.is_paused)).all()
            return {row.name: row.reason for row in rows}
