"""What a person decides about deliveries and channels. Every decision leaves an audit line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from distributor.core.deciding import Resumed, ResumeMode
from distributor.core.waking import Wakeup
from distributor.storage.among import is_among
from distributor.storage.database import Database
from distributor.storage.doubts import count_as_sent, find_presumed
from distributor.storage.freezing import complete_editions
from distributor.storage.notices import add_notice, is_paused, set_pause
from distributor.storage.resuming import resume_channel
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
            self._wake(connection, [row.id for row in rows])
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
        """As `resolve_all` for one delivery; whether it was unknown."""
        return bool(self.resolve_all([delivery_id], decision, by, now))

    def resolve_all(self, delivery_ids: Sequence[int], decision: str, by: str, now: datetime) -> list[int]:
        """A person settles unknown deliveries: "sent", "resend" (may be a duplicate) or "leave" (presumed).

        "sent" also for what was presumed already. Returns the ids that were still open; one audit line for all.
        """
        state = {"sent": "sent", "resend": "queued", "leave": "presumed"}[decision]
        values: dict[str, Any] = {"state": state, "fence": None, "lease_until": None, "not_before": None}
        if decision == "resend":
            values["may_duplicate"] = True
        with self._database.write("decisions.resolve") as connection:
            counted = find_presumed(connection, delivery_ids) if decision == "sent" else []
            may_be = ("unknown", "presumed") if decision == "sent" else ("unknown",)
            done = connection.execute(
                update(delivery)
                .where(is_among(connection, delivery.c.id, delivery_ids), delivery.c.state.in_(may_be))
                .values(changed_at=now, decided_by=by, **values)
                .returning(delivery.c.id)
            ).scalars()
            ids = sorted(done)
            if ids:
                count_as_sent(connection, counted)
                add_notice(connection, "audit", "resolve", _say_resolved(ids, decision, by), now)
                if decision == "resend":
                    self._wake(connection, ids)
                complete_editions(connection, now)
            return ids

    def pause(self, name: str, reason: str, by: str, now: datetime) -> None:
        """Stop a channel before its next message, until `resume`."""
        with self._database.write("decisions.pause") as connection:
            set_pause(connection, name, True, reason, by, now)

    def pause_all(self, names: Sequence[str], reason: str, by: str, now: datetime) -> list[str]:
        """Stop these channels before their next messages; returns those that were open."""
        with self._database.write("decisions.pause_all") as connection:
            fresh = [name for name in names if not is_paused(connection, name)]
            for name in fresh:
                set_pause(connection, name, True, reason, by, now)
            return fresh

    def resume(
        self, name: str, by: str, now: datetime, mode: ResumeMode = "all", minutes: int = 0
    ) -> Resumed | None:
        """Open a channel again and decide about what waited; None when it is not paused.

        all: it goes out in order. drop: it is skipped. newest: of each schedule only its newest edition goes.
        spread: it goes evenly over `minutes`. review: it is held for a person. What is late by now stays held,
        except with drop, and with newest where a newer edition is there.
        """
        with self._database.write("decisions.resume") as connection:
            done = resume_channel(connection, name, mode, minutes, by, now)
            if done is not None:
                self._database.announce(connection, Wakeup(name, audience=done.going))
            return done

    def _wake(self, connection: Connection, ids: Sequence[int]) -> None:
        """These deliveries are ready again."""
        joined = select(edition.c.channel).join(delivery, delivery.c.edition_id == edition.c.id).distinct()
        names = connection.execute(joined.where(is_among(connection, delivery.c.id, ids))).scalars()
        for name in sorted(names):
            self._database.announce(connection, Wakeup(name, audience=len(ids)))

    def list_paused(self) -> dict[str, str]:
        """Channel -> why it is paused."""
        with self._database.read() as connection:
            rows = connection.execute(select(channel.c.name, channel.c.reason).where(channel.c.is_paused)).all()
            return {row.name: row.reason for row in rows}


def _say_resolved(ids: Sequence[int], decision: str, by: str) -> str:
    if len(ids) == 1:
        return f"{by} resolved delivery {ids[0]}: {decision}"
    shown = ", ".join(map(str, ids[:20])) + (", ..." if len(ids) > 20 else "")
    return f"{by} resolved {len(ids)} deliveries: {decision}: {shown}"
