"""After a crash: claimed -> queued, sending -> unknown, and what a send journal proves; nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from distributor.core.sending import Evidence
from distributor.storage.database import Database
from distributor.storage.freezing import complete_editions
from distributor.storage.notices import UPSERT_ATTEMPT, add_notice
from distributor.storage.tables import delivery, edition

_STOPPED = "the program was stopped before the answer came"


class Recovery:
    """Puts deliveries of dead holders where they belong. Running it twice changes nothing more."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def recover(self, evidence: Evidence, live_fences: Sequence[str], now: datetime) -> dict[str, int]:
        """After a crash: settle what holders other than `live_fences` left behind; returns state -> how many."""
        with self._database.write() as connection:
            rows = connection.execute(
                select(delivery.c.id, delivery.c.state, delivery.c.attempts, delivery.c.fence, edition.c.list)
                .join(edition, edition.c.id == delivery.c.edition_id)
                .where(delivery.c.state.in_(("claimed", "sending")), delivery.c.fence.not_in(live_fences))
            ).all()
            counts = {"queued": 0, "unknown": 0, "sent": 0}
            for row in rows:
                verdict = _judge(row, evidence)
                _apply(connection, row, verdict, now)
                counts[verdict[0]] += 1
            if counts["unknown"]:
                sentence = f"{counts['unknown']} messages may or may not have gone out when the program was stopped"
                add_notice(connection, "alarm", "unknown deliveries", sentence, now)
            complete_editions(connection, now)
            return counts

    def expire_leases(self, now: datetime) -> dict[str, int]:
        """Deliveries whose holder let the lease run out.

        A claimed delivery of one voice is queued: its holder cannot start it any more. A claimed bulk delivery
        may have been started on a machine whose journal is not here, and a `sending` one was: unknown.
        """
        bulk = select(edition.c.id).where(edition.c.list != "")
        with self._database.read() as connection:
            late = (delivery.c.state.in_(("claimed", "sending"))) & (delivery.c.lease_until < now)
            if connection.execute(select(delivery.c.id).where(late).limit(1)).scalar() is None:
                return {"queued": 0, "unknown": 0}
        with self._database.write() as connection:
            is_voice = delivery.c.edition_id.not_in(bulk)
            back = connection.execute(
                update(delivery)
                .where(delivery.c.state == "claimed", delivery.c.lease_until < now, is_voice)
                .values(state="queued", fence=None, lease_until=None, changed_at=now)
                .returning(delivery.c.id)
            ).all()
            lost = connection.execute(
                update(delivery)
                .where(late)
                .values(state="unknown", reason="no answer before the lease ended", changed_at=now)
                .returning(delivery.c.id)
            ).all()
            return {"queued": len(back), "unknown": len(lost)}

    def hold_late(self, now: datetime) -> int:
        """Queued deliveries of editions past their `max_lateness` wait for a person instead of going out late."""
        late = select(edition.c.id).where(edition.c.state == "frozen", edition.c.late_after < now)
        with self._database.read() as connection:
            waiting = connection.execute(
                select(delivery.c.id).where(delivery.c.edition_id.in_(late), delivery.c.state == "queued").limit(1)
            ).scalar()
        if waiting is None:
            return 0
        with self._database.write() as connection:
            rows = connection.execute(
                update(delivery)
                .where(delivery.c.edition_id.in_(late), delivery.c.state == "queued")
                .values(state="held", reason="late", changed_at=now)
                .returning(delivery.c.id)
            ).all()
            add_notice(connection, "alarm", "late", f"{len(rows)} deliveries are past their hour and are held", now)
            return len(rows)


def _judge(row: Any, evidence: Evidence) -> tuple[str, str, str]:
    """(state, reason, receipt) of a delivery whose holder is dead."""
    proof = evidence.outcomes.get(row.id, "")
    if proof.startswith("sent"):
        return "sent", "", proof[5:]
    if row.state == "sending" or proof == "started":
        return "unknown", _STOPPED, ""
    if row.list and row.fence not in evidence.complete:
        return "unknown", "the machine was stopped and the send journal may be incomplete", ""
    return "queued", "", ""


def _apply(connection: Connection, row: Any, verdict: tuple[str, str, str], now: datetime) -> None:
    state, reason, receipt = verdict
    tries = row.attempts + (row.state == "claimed" and state != "queued")
    values: dict[str, Any] = {"state": state, "reason": reason or None, "attempts": tries, "lease_until": None}
    if state == "queued":
        values["fence"] = None
    connection.execute(
        update(delivery)
        .where(delivery.c.id == row.id, delivery.c.state == row.state, delivery.c.fence == row.fence)
        .values(changed_at=now, **values)
    )
    if state == "queued":
        return
    attempt = {
        "delivery_id": row.id,
        "number": max(tries, 1),
        "started_at": now.timestamp(),
        "ended_at": now.timestamp(),
        "outcome": state,
        "detail": reason or "proved by the send journal",
        "receipt": receipt,
    }
    connection.execute(UPSERT_ATTEMPT, attempt)
