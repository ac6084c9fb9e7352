"""After a crash: claimed -> queued, sending -> unknown, and what a send journal proves; nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, or_, select, update

from distributor.core.message import Content, Edition, Recipient
from distributor.core.sending import Evidence, UnknownDelivery
from distributor.core.tally import count as tally
from distributor.core.waking import Wakeup
from distributor.storage.among import prefer_indexes
from distributor.storage.database import Database
from distributor.storage.doubts import presume_overdue
from distributor.storage.freezing import complete_editions, has_open_edition
from distributor.storage.notices import UPSERT_ATTEMPT, add_notice
from distributor.storage.tables import delivery, edition, subscriber

_STOPPED = "the program was stopped before the answer came"
_EXPIRED = "no answer before the lease ended"
#: State, reason, receipt.
_Verdict = tuple[str, str, str]


class Recovery:
    """Puts deliveries of dead holders where they belong. Running it twice changes nothing more."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def recover(self, evidence: Evidence, live_fences: Sequence[str], now: datetime) -> dict[str, int]:
        """After a crash: settle what holders other than `live_fences` left behind; returns state -> how many."""
        with self._database.write("recovery.recover") as connection:
            dead = (delivery.c.state.in_(("claimed", "sending"))) & (delivery.c.fence.not_in(live_fences))
            rows = connection.execute(_held_by_others(dead)).all()
            return self._settle(connection, [(row, _judge(row, evidence)) for row in rows], _STOPPED, now)

    def housekeep(self, now: datetime) -> None:
        """What is due by itself: leases, lateness, accounts. Small, and safe to repeat on any machine."""
        self.expire_leases(now)
        self.hold_late(now)
        self.complete_finished(now)
        presume_overdue(self._database, now)

    def recover_dead(self, evidence: Evidence, dead: Sequence[str], now: datetime) -> dict[str, int]:
        """As `recover` where several machines share the database: only what these fences left behind is judged.

        Bulk deliveries whose journal is on another machine wait for it, or for the end of their lease. A journal
        that comes late still proves what was sent of what became unknown meanwhile.
        """
        with self._database.read() as connection:
            if not connection.execute(_left_behind(dead, evidence).limit(1)).all():
                return {"queued": 0, "unknown": 0, "sent": 0}
        with self._database.write("recovery.recover_dead") as connection:
            verdicts = []
            for row in connection.execute(_left_behind(dead, evidence)).all():
                verdict = _judge_late(row, evidence) if row.state == "unknown" else _judge(row, evidence)
                if verdict is not None:
                    verdicts.append((row, verdict))
            return self._settle(connection, verdicts, _STOPPED, now)

    def list_holders(self) -> set[str]:
        """The fences that hold deliveries now."""
        with self._database.read() as connection:
            prefer_indexes(connection)
            rows = connection.execute(select(delivery.c.fence).distinct().where(_is_open()))
            return {fence for fence in rows.scalars() if fence}

    def complete_finished(self, now: datetime) -> int:
        """Close editions whose last deliveries two machines settled in one moment: neither saw the other."""
        with self._database.read() as connection:
            prefer_indexes(connection)
            if connection.execute(_finished().limit(1)).scalar() is None:
                return 0
        with self._database.write("recovery.complete_finished") as connection:
            return len(complete_editions(connection, now))

    def _settle(
        self, connection: Connection, verdicts: Sequence[tuple[Any, _Verdict]], why: str, now: datetime
    ) -> dict[str, int]:
        counts = {"queued": 0, "unknown": 0, "sent": 0}
        channels = Counter(row.channel for row, verdict in verdicts if verdict[0] == "queued")
        for row, verdict in verdicts:
            _apply(connection, row, verdict, now)
            counts[verdict[0]] += 1
        for state, number in counts.items():
            tally("lease_expiries" if why == _EXPIRED else "recoveries", state, by=number)
        for name, count in sorted(channels.items()):
            self._database.announce(connection, Wakeup(name, audience=count))
        _alarm(connection, counts["unknown"], why, now)
        complete_editions(connection, now)
        return counts

    def expire_leases(self, now: datetime) -> dict[str, int]:
        """Deliveries whose holder let the lease run out.

        A claimed delivery of one voice is queued: its holder cannot start it any more. A claimed bulk delivery
        may have been started on a machine whose journal is not here, and a `sending` one was: unknown.
        """
        late = _is_open() & (delivery.c.lease_until < now)
        with self._database.read() as connection:
            prefer_indexes(connection)
            if connection.execute(select(delivery.c.id).where(late).limit(1)).scalar() is None:
                return {"queued": 0, "unknown": 0}
        with self._database.write("recovery.expire_leases") as connection:
            rows = connection.execute(_held_by_others(late)).all()
            verdicts = [(row, _judge_expired(row)) for row in rows]
            counts = self._settle(connection, verdicts, _EXPIRED, now)
            return {name: counts[name] for name in ("queued", "unknown")}

    def list_unknown(self, channel_name: str, since: datetime) -> list[UnknownDelivery]:
        """Unknown deliveries of a channel that became so after `since`, oldest first; 50 at most."""
        if not has_open_edition(self._database, channel_name):
            return []
        with self._database.read() as connection:
            rows = connection.execute(
                select(delivery, edition, subscriber.c.address)
                .join(edition, edition.c.id == delivery.c.edition_id)
                .outerjoin(subscriber, subscriber.c.id == delivery.c.recipient_id)
                .where(
                    edition.c.channel == channel_name,
                    edition.c.state == "frozen",
                    delivery.c.state == "unknown",
                    delivery.c.changed_at >= since,
                )
                .order_by(delivery.c.id)
                .limit(50)
            ).all()
        return [
            UnknownDelivery(
                row.id,
                Edition(
                    row.edition_id, row.channel, row.schedule, row.form, row.token, Content.from_json(row.content)
                ),
                Recipient(row.recipient_id, row.address or ""),
                row.attempts,
                row.changed_at,
            )
            for row in rows
        ]

    def prove_sent(self, delivery_id: int, receipt: str, evidence: str, now: datetime) -> bool:
        """unknown -> sent on evidence from the service itself; True when it was still unknown."""
        with self._database.write("recovery.prove_sent") as connection:
            row = connection.execute(
                update(delivery)
                .where(delivery.c.id == delivery_id, delivery.c.state.in_(("unknown", "presumed")))
                .values(state="sent", reason=None, changed_at=now, decided_by="evidence")
                .returning(delivery.c.attempts, delivery.c.edition_id)
            ).one_or_none()
            if row is None:
                return False
            proof = {
                "delivery_id": delivery_id,
                "number": max(row.attempts, 1),
                "started_at": now.timestamp(),
                "ended_at": now.timestamp(),
                "outcome": "sent",
                "detail": evidence[:500],
                "receipt": receipt,
            }
            connection.execute(UPSERT_ATTEMPT, proof)
            # An edition that is complete already has counted it as presumed.
            connection.execute(
                update(edition)
                .where(edition.c.id == row.edition_id, edition.c.state == "complete")
                .values(sent=edition.c.sent + 1, presumed=edition.c.presumed - 1)
            )
            complete_editions(connection, now, row.edition_id)
            return True

    def hold_late(self, now: datetime) -> int:
        """Queued deliveries of editions past their `max_lateness` wait for a person instead of going out late."""
        late = select(edition.c.id).where(edition.c.state == "frozen", edition.c.late_after < now)
        with self._database.read() as connection:
            waiting = connection.execute(
                select(delivery.c.id).where(delivery.c.edition_id.in_(late), delivery.c.state == "queued").limit(1)
            ).scalar()
        if waiting is None:
            return 0
        with self._database.write("recovery.hold_late") as connection:
            rows = connection.execute(
                update(delivery)
                .where(delivery.c.edition_id.in_(late), delivery.c.state == "queued")
                .values(state="held", reason="late", changed_at=now)
                .returning(delivery.c.id)
            ).all()
            add_notice(connection, "alarm", "late", f"{len(rows)} deliveries are past their hour and are held", now)
            return len(rows)


def _is_open() -> ColumnElement[bool]:
    """Held by somebody. Only frozen editions have such deliveries: few, and found by index."""
    frozen = select(edition.c.id).where(edition.c.state == "frozen")
    return delivery.c.edition_id.in_(frozen) & delivery.c.state.in_(("claimed", "sending"))


def _held_by_others(which: ColumnElement[bool]) -> Select[Any]:
    columns = (delivery.c.id, delivery.c.state, delivery.c.attempts, delivery.c.fence)
    joined = select(*columns, edition.c.list, edition.c.channel).join(
        edition, edition.c.id == delivery.c.edition_id
    )
    return joined.where(which)


def _left_behind(dead: Sequence[str], evidence: Evidence) -> Select[Any]:
    """What these fences hold, and what is unknown of those whose journals are here and nobody has decided about."""
    frozen = select(edition.c.id).where(edition.c.state == "frozen")
    is_unknown = (delivery.c.state == "unknown") & delivery.c.decided_by.is_(None)
    is_here = (edition.c.list == "") | (delivery.c.state == "sending") | delivery.c.fence.in_(evidence.known)
    is_held = delivery.c.state.in_(("claimed", "sending")) & delivery.c.fence.in_(dead) & is_here
    is_late = is_unknown & delivery.c.fence.in_(evidence.known)
    return _held_by_others(delivery.c.edition_id.in_(frozen) & or_(is_held, is_late))


def _finished() -> Select[Any]:
    still = delivery.c.state.in_(("queued", "claimed", "sending", "held", "unknown"))
    is_open = select(delivery.c.id).where(delivery.c.edition_id == edition.c.id, still).exists()
    return select(edition.c.id).where(edition.c.state == "frozen", ~is_open)


def _alarm(connection: Connection, count: int, why: str, now: datetime) -> None:
    if count:
        messages = "1 message" if count == 1 else f"{count} messages"
        sentence = f"{messages} may or may not have gone out: {why}"
        add_notice(connection, "alarm", "unknown deliveries", sentence, now)


def _judge_expired(row: Any) -> _Verdict:
    is_back = row.state == "claimed" and not row.list
    return ("queued", "", "") if is_back else ("unknown", _EXPIRED, "")


def _judge_late(row: Any, evidence: Evidence) -> _Verdict | None:
    """What a journal proves about a delivery that was given up for unknown before the journal came.

    Only a yes counts. That a journal says nothing of it proves nothing: a journal is emptied after each batch, and
    the holder may have told the ledger itself that it does not know.
    """
    proof = evidence.outcomes.get(row.id, "")
    return ("sent", "", proof[5:]) if proof.startswith("sent") else None


def _judge(row: Any, evidence: Evidence) -> _Verdict:
    """(state, reason, receipt) of a delivery whose holder is dead."""
    proof = evidence.outcomes.get(row.id, "")
    if proof.startswith("sent"):
        return "sent", "", proof[5:]
    if row.state == "sending" or proof == "started":
        return "unknown", _STOPPED, ""
    if row.list and row.fence not in evidence.complete:
        return "unknown", "the machine was stopped and the send journal may be incomplete", ""
    return "queued", "", ""


def _apply(connection: Connection, row: Any, verdict: _Verdict, now: datetime) -> None:
    state, reason, receipt = verdict
    tries = row.attempts + (row.state == "claimed" and state != "queued")
    is_back = row.state == "unknown" and state == "queued"
    values: dict[str, Any] = {"state": state, "reason": reason or None, "attempts": tries, "lease_until": None}
    if state == "queued":
        values |= {"fence": None, "reason": None, "attempts": tries - is_back}
    connection.execute(
        update(delivery)
        .where(delivery.c.id == row.id, delivery.c.state == row.state, delivery.c.fence == row.fence)
        .values(changed_at=now, **values)
    )
    if state == "queued" and not is_back:
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
