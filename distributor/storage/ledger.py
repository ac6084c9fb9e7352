"""The ledger: every delivery's state, changed only by compare-and-set.

A crash is settled by `recover`, which may do exactly two things: claimed -> queued and sending -> unknown (and, for
channels that keep a send journal, what the journal proves).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, insert, or_, select, text, update

from distributor.core.delivery import Settlement
from distributor.core.message import Content, Edition, Pace
from distributor.core.planning import Claimed
from distributor.storage.database import Database
from distributor.storage.editions import complete_editions
from distributor.storage.paces import reserve, rest
from distributor.storage.tables import (
    attempt,
    channel,
    delivery,
    edition,
    list_member,
    notice,
    subscriber,
    suppression,
)


@dataclass(frozen=True)
class Batch:
    """Deliveries of one edition, claimed together under one fence."""

    edition: Edition
    list_name: str
    fence: str
    claimed: tuple[Claimed, ...]


@dataclass(frozen=True)
class Wait:
    """Nothing may go out now; ask again in `seconds` (None: until somebody wakes the lane)."""

    seconds: float | None


@dataclass(frozen=True)
class Settled:
    """One delivery's settlement as the ledger stores it."""

    delivery_id: int
    number: int
    started_at: datetime
    ended_at: datetime
    settlement: Settlement


class Ledger:
    """Claims, starts, settles, recovers. Safe to call from several threads and machines."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- claiming --------------------------------------------------------------------------------------------

    def claim(
        self,
        name: str,
        *,
        list_name: str,
        limit: int,
        paces: Sequence[Pace],
        fence: str,
        lease: float,
        now: datetime,
    ) -> Batch | Wait:
        """Take the next deliveries of one edition of a channel, or say how long to wait.

        Suppression, pause, hold and lateness are looked at in the same transaction. Pace is reserved here, so
        whoever holds a batch may send it.
        """
        with self._database.read() as connection:
            if _next_edition(connection, name, now) is None:
                return Wait(_seconds_to_next(connection, name, now))
        with self._database.write() as connection:
            if _is_paused(connection, name):
                return Wait(None)
            row = _next_edition(connection, name, now)
            if row is None:
                return Wait(_seconds_to_next(connection, name, now))
            room = reserve(connection, f"channel:{name}", paces, limit, now)
            if isinstance(room, float):
                return Wait(room)
            ids = _mark_claimed(connection, row.id, room, fence, now + timedelta(seconds=lease), now)
            claimed = _load_claimed(connection, row.id, ids, list_name)
            _skip_suppressed(connection, row.id, ids, claimed, now)
            return Batch(_edition(row), list_name, fence, tuple(claimed))

    def start(self, delivery_ids: Sequence[int], fence: str, now: datetime) -> list[int]:
        """claimed -> sending, committed before the first byte. Returns the ids that may go.

        Pause, hold and suppression are checked once more in this commit.
        """
        with self._database.write() as connection:
            rows = connection.execute(
                select(delivery.c.id, delivery.c.attempts, edition.c.channel)
                .join(edition, edition.c.id == delivery.c.edition_id)
                .where(
                    delivery.c.id.in_(delivery_ids),
                    delivery.c.state == "claimed",
                    delivery.c.fence == fence,
                    edition.c.state == "frozen",
                )
            ).all()
            if not rows or _is_paused(connection, rows[0].channel):
                return []
            ids = [row.id for row in rows]
            connection.execute(
                update(delivery)
                .where(delivery.c.id.in_(ids))
                .values(state="sending", attempts=delivery.c.attempts + 1, changed_at=now)
            )
            connection.execute(
                insert(attempt),
                [{"delivery_id": r.id, "number": r.attempts + 1, "started_at": now, "outcome": ""} for r in rows],
            )
            return ids

    # -- settling --------------------------------------------------------------------------------------------

    def settle(self, channel_name: str, fence: str, settled: Sequence[Settled], now: datetime) -> None:
        """Write what became of claimed or sending deliveries. Late truth wins over `unknown`; nothing else."""
        with self._database.write() as connection:
            accepted = [item for item in settled if item.settlement.state == "sent"]
            others = [item for item in settled if item.settlement.state != "sent"]
            _settle_accepted(connection, fence, accepted, now)
            for item in others:
                _settle_one(connection, fence, item, now)
            _write_attempts(connection, settled)
            _note_channel(connection, channel_name, settled, now)
            complete_editions(connection, now)

    def rest_channel(self, name: str, until: datetime) -> None:
        """No message of this channel before `until`: the service asked for it."""
        with self._database.write() as connection:
            rest(connection, f"channel:{name}", until)

    # -- recovery --------------------------------------------------------------------------------------------

    def recover(self, evidence: Mapping[int, str], live_fences: Sequence[str], now: datetime) -> dict[str, int]:
        """After a crash: settle what dead processes left behind. Running it twice changes nothing more.

        `evidence` is what send journals prove about claimed deliveries: "started", or "sent <receipt>".
        """
        with self._database.write() as connection:
            mine = delivery.c.fence.not_in(live_fences) if live_fences else delivery.c.fence.is_not(None)
            rows = connection.execute(
                select(delivery.c.id, delivery.c.state, delivery.c.attempts).where(
                    delivery.c.state.in_(("claimed", "sending")), mine
                )
            ).all()
            counts = {"queued": 0, "unknown": 0, "sent": 0}
            for row in rows:
                state = _recover_row(connection, row, evidence.get(row.id, ""), now)
                counts[state] += 1
            if counts["unknown"]:
                sentence = f"{counts['unknown']} messages may or may not have gone out when the program was stopped"
                add_notice(connection, "alarm", "unknown deliveries", sentence, now)
            complete_editions(connection, now)
            return counts

    def expire_leases(self, now: datetime) -> dict[str, int]:
        """Deliveries whose holder let the lease run out: claimed -> queued, sending -> unknown."""
        with self._database.write() as connection:
            back = connection.execute(
                update(delivery)
                .where(delivery.c.state == "claimed", delivery.c.lease_until < now)
                .values(state="queued", fence=None, lease_until=None, changed_at=now)
                .returning(delivery.c.id)
            ).all()
            lost = connection.execute(
                update(delivery)
                .where(delivery.c.state == "sending", delivery.c.lease_until < now)
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

    # -- decisions of a person -------------------------------------------------------------------------------

    def release(self, edition_id: int, late_after: datetime | None, by: str, now: datetime) -> int:
        """held -> queued for a whole edition, with a new limit for lateness."""
        with self._database.write() as connection:
            connection.execute(update(edition).where(edition.c.id == edition_id).values(late_after=late_after))
            rows = connection.execute(
                update(delivery)
                .where(delivery.c.edition_id == edition_id, delivery.c.state == "held")
                .values(state="queued", reason=None, not_before=None, changed_at=now, decided_by=by)
                .returning(delivery.c.id)
            ).all()
            add_notice(connection, "audit", "release", f"{by} released {len(rows)} of edition {edition_id}", now)
            return len(rows)

    def resolve(self, delivery_id: int, decision: str, by: str, now: datetime) -> bool:
        """A person settles an unknown delivery: "sent", "resend" (may be a duplicate) or "leave" (presumed)."""
        state = {"sent": "sent", "resend": "queued", "leave": "presumed"}[decision]
        with self._database.write() as connection:
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
        with self._database.write() as connection:
            set_pause(connection, name, True, reason, by, now)

    def resume(self, name: str, by: str, now: datetime) -> None:
        """Open a channel again; what waited for it is queued."""
        with self._database.write() as connection:
            set_pause(connection, name, False, "", by, now)
            ids = select(edition.c.id).where(edition.c.channel == name, edition.c.state == "frozen")
            connection.execute(
                update(delivery)
                .where(delivery.c.edition_id.in_(ids), delivery.c.state == "held", delivery.c.reason != "late")
                .values(state="queued", reason=None, not_before=None, changed_at=now)
            )

    def list_paused(self) -> dict[str, str]:
        """Channel -> why it is paused."""
        with self._database.read() as connection:
            rows = connection.execute(select(channel.c.name, channel.c.reason).where(channel.c.is_paused)).all()
            return {row.name: row.reason for row in rows}


def set_pause(connection: Connection, name: str, is_paused: bool, reason: str, by: str, now: datetime) -> None:
    """Write the pause of a channel with who and why, and a notice of it."""
    _touch_channel(connection, name)
    connection.execute(
        update(channel)
        .where(channel.c.name == name)
        .values(is_paused=is_paused, reason=reason, since=now if is_paused else None, by=by)
    )
    word = "paused" if is_paused else "resumed"
    add_notice(
        connection,
        "audit",
        f"{word} {name}",
        f"{by} {word} {name}: {reason}" if reason else f"{by} {word} {name}",
        now,
    )


def add_notice(connection: Connection, level: str, subject: str, sentence: str, now: datetime) -> None:
    """One line for the operator's page and log. `level`: info | warning | alarm | audit."""
    connection.execute(insert(notice).values(at=now, level=level, subject=subject, text=sentence[:1000]))


def _edition(row: Any) -> Edition:
    return Edition(row.id, row.channel, row.schedule, row.form, row.token, Content.from_json(row.content))


def _is_paused(connection: Connection, name: str) -> bool:
    return bool(connection.execute(select(channel.c.is_paused).where(channel.c.name == name)).scalar())


def _next_edition(connection: Connection, name: str, now: datetime) -> Any:
    ready = (
        select(delivery.c.id)
        .where(
            delivery.c.edition_id == edition.c.id,
            delivery.c.state == "queued",
            or_(delivery.c.not_before.is_(None), delivery.c.not_before <= now),
        )
        .exists()
    )
    return connection.execute(
        select(edition)
        .where(
            edition.c.channel == name,
            edition.c.state == "frozen",
            edition.c.due_at <= now,
            or_(edition.c.late_after.is_(None), edition.c.late_after >= now),
            ready,
        )
        .order_by(edition.c.due_at, edition.c.id)
        .limit(1)
    ).one_or_none()


def _seconds_to_next(connection: Connection, name: str, now: datetime) -> float | None:
    soonest = connection.execute(
        select(func.min(delivery.c.not_before))
        .join(edition, edition.c.id == delivery.c.edition_id)
        .where(
            edition.c.channel == name,
            edition.c.state == "frozen",
            delivery.c.state == "queued",
            delivery.c.not_before > now,
        )
    ).scalar()
    return None if soonest is None else max((soonest - now).total_seconds(), 0.01)


def _mark_claimed(
    connection: Connection, edition_id: int, limit: int, fence: str, lease_until: datetime, now: datetime
) -> list[int]:
    candidates = (
        select(delivery.c.id)
        .where(
            delivery.c.edition_id == edition_id,
            delivery.c.state == "queued",
            or_(delivery.c.not_before.is_(None), delivery.c.not_before <= now),
        )
        .order_by(delivery.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = connection.execute(
        update(delivery)
        .where(delivery.c.id.in_(candidates.scalar_subquery()), delivery.c.state == "queued")
        .values(state="claimed", fence=fence, lease_until=lease_until, changed_at=now)
        .returning(delivery.c.id)
    ).all()
    return sorted(row.id for row in rows)


def _load_claimed(connection: Connection, edition_id: int, ids: Sequence[int], list_name: str) -> list[Claimed]:
    if not ids:
        return []
    span = (delivery.c.edition_id == edition_id) & delivery.c.id.in_(ids)
    if not list_name:
        voice = (
            select(delivery.c.id, delivery.c.recipient_id, delivery.c.attempts).where(span).order_by(delivery.c.id)
        )
        return [Claimed(r.id, edition_id, r.recipient_id, "", "", r.attempts) for r in connection.execute(voice)]
    rows = connection.execute(
        select(delivery.c.id, delivery.c.recipient_id, delivery.c.attempts, subscriber.c.address, subscriber.c.name)
        .join(subscriber, subscriber.c.id == delivery.c.recipient_id)
        .join(
            list_member,
            and_(list_member.c.subscriber_id == subscriber.c.id, list_member.c.list == list_name),
        )
        .outerjoin(
            suppression,
            and_(suppression.c.address_key == subscriber.c.address_key, suppression.c.list.in_(("", list_name))),
        )
        .where(
            span,
            list_member.c.state == "member",
            subscriber.c.status == "active",
            suppression.c.address_key.is_(None),
        )
        .order_by(delivery.c.id)
    ).all()
    return [Claimed(row.id, edition_id, row.recipient_id, row.address, row.name, row.attempts) for row in rows]


def _skip_suppressed(
    connection: Connection, edition_id: int, ids: Sequence[int], claimed: Sequence[Claimed], now: datetime
) -> None:
    gone = set(ids) - {item.delivery_id for item in claimed}
    if gone:
        connection.execute(
            update(delivery)
            .where(delivery.c.id.in_(gone))
            .values(
                state="skipped", reason="left the list after the edition was planned", fence=None, changed_at=now
            )
        )


_OPEN = ("claimed", "sending", "unknown")


def _settle_accepted(connection: Connection, fence: str, items: Sequence[Settled], now: datetime) -> None:
    if not items:
        return
    connection.execute(
        update(delivery)
        .where(delivery.c.id == bindparam("did"), delivery.c.fence == fence, delivery.c.state.in_(_OPEN))
        .values(
            state="sent",
            attempts=bindparam("tries"),
            reason=None,
            lease_until=None,
            not_before=None,
            changed_at=now,
        ),
        [{"did": item.delivery_id, "tries": item.number} for item in items],
    )


def _settle_one(connection: Connection, fence: str, item: Settled, now: datetime) -> None:
    what = item.settlement
    keeps_fence = what.state == "unknown"
    row = connection.execute(
        update(delivery)
        .where(delivery.c.id == item.delivery_id, delivery.c.fence == fence, delivery.c.state.in_(_OPEN))
        .values(
            state=what.state,
            attempts=item.number if what.is_attempt or what.state == "unknown" else item.number - 1,
            reason=what.reason or None,
            fence=fence if keeps_fence else None,
            lease_until=None,
            not_before=now + timedelta(seconds=what.wait) if what.wait else None,
            changed_at=now,
        )
        .returning(delivery.c.recipient_id)
    ).one_or_none()
    if row is not None and what.recipient_gone and row.recipient_id:
        connection.execute(
            update(subscriber)
            .where(subscriber.c.id == row.recipient_id)
            .values(status="unreachable", reason=f"{what.reason} {what.detail}".strip()[:500])
        )


def _write_attempts(connection: Connection, settled: Sequence[Settled]) -> None:
    rows = [
        item for item in settled if item.settlement.is_attempt or item.settlement.detail or item.settlement.reason
    ]
    if not rows:
        return
    values = [
        {
            "delivery_id": item.delivery_id,
            "number": item.number,
            "started_at": item.started_at.timestamp(),
            "ended_at": item.ended_at.timestamp(),
            "outcome": item.settlement.state,
            "detail": f"{item.settlement.reason} {item.settlement.detail}".strip()[:500],
            "receipt": item.settlement.receipt,
        }
        for item in rows
    ]
    connection.execute(_UPSERT_ATTEMPT, values)


_UPSERT_ATTEMPT = text(
    "INSERT INTO attempt (delivery_id, number, started_at, ended_at, outcome, detail, receipt) "
    "VALUES (:delivery_id, :number, :started_at, :ended_at, :outcome, :detail, :receipt) "
    "ON CONFLICT (delivery_id, number) DO UPDATE SET ended_at = excluded.ended_at, "
    "outcome = excluded.outcome, detail = excluded.detail, receipt = excluded.receipt"
)


def _touch_channel(connection: Connection, name: str) -> None:
    found = connection.execute(select(channel.c.name).where(channel.c.name == name)).scalar()
    if found is None:
        connection.execute(insert(channel).values(name=name, is_paused=False))


def _note_channel(connection: Connection, name: str, settled: Sequence[Settled], now: datetime) -> None:
    _touch_channel(connection, name)
    bad = [i.settlement for i in settled if i.settlement.state not in ("sent", "queued") or i.settlement.reason]
    values: dict[str, Any] = {}
    if any(item.settlement.state == "sent" for item in settled):
        values["last_ok_at"] = now
    if bad:
        values |= {"last_error": f"{bad[-1].reason} {bad[-1].detail}".strip()[:500], "last_error_at": now}
    if values:
        connection.execute(update(channel).where(channel.c.name == name).values(values))
    for what in bad:
        if what.closes_channel and not _is_paused(connection, name):
            set_pause(connection, name, True, f"{what.reason} {what.detail}".strip(), "the service", now)
            add_notice(connection, "alarm", f"channel {name} closed", what.reason, now)


def _recover_row(connection: Connection, row: Any, proof: str, now: datetime) -> str:
    if proof.startswith("sent"):
        state, reason, receipt = "sent", None, proof[5:]
    elif proof == "started" or row.state == "sending":
        state, reason, receipt = "unknown", "the program was stopped before the answer came", ""
    else:
        state, reason, receipt = "queued", None, ""
    tries = row.attempts + (1 if proof and row.state == "claimed" else 0)
    connection.execute(
        update(delivery)
        .where(delivery.c.id == row.id, delivery.c.state == row.state)
        .values(
            state=state,
            reason=reason,
            attempts=tries,
            fence=None if state == "queued" else delivery.c.fence,
            lease_until=None,
            changed_at=now,
        )
    )
    if state != "queued":
        values = {
            "delivery_id": row.id,
            "number": max(tries, 1),
            "started_at": now.timestamp(),
            "ended_at": now.timestamp(),
            "outcome": state,
            "detail": reason or "proved by the send journal",
            "receipt": receipt,
        }
        connection.execute(_UPSERT_ATTEMPT, values)
    return state
