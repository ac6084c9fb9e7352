"""An older database learns from the send record what went out after it was copied; everything else is held."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, or_, select, update

from distributor.core.sending import Evidence
from distributor.storage.among import is_among
from distributor.storage.database import run_quickly
from distributor.storage.freezing import complete_editions
from distributor.storage.kept import Kept, KeptEdition, judge_open
from distributor.storage.notices import UPSERT_ATTEMPT
from distributor.storage.recreating import recreate_edition, reset_counts
from distributor.storage.tables import delivery, edition

#: What is written for the person who looks at it.
BY = "send record"
NO_END = "it was started before the restore, and no answer is on record"
RESTORED = "restored"
_OPEN = ("queued", "claimed", "sending", "held")
_MANY = 1000


@dataclass
class Merged:
    """What the record changed, and what waits for a person now."""

    lines: int = 0
    sent: int = 0
    failed: int = 0
    unknown: int = 0
    held: int = 0
    #: Editions that were begun after the database was copied.
    later_editions: int = 0
    held_editions: int = 0
    #: Readers who have left or were barred since the database was copied.
    left: int = 0
    #: Editions of which the record lost the description: their messages cannot be placed.
    lost: list[str] = field(default_factory=list)


def is_open_edition(connection: Connection, token: str) -> bool:
    """Whether the record can say anything new about this edition."""
    state = connection.execute(select(edition.c.state).where(edition.c.token == token)).scalar()
    return state not in ("complete", "dropped")


def merge(connection: Connection, kept: Kept, evidence: Evidence, now: datetime) -> Merged:
    """Bring what the record knows into the database, then hold what nobody knows to have gone. Safe to repeat, and
    with the records of several nodes one after another."""
    merged = Merged(lines=kept.lines)
    for token, one in kept.editions.items():
        judge_open(one, evidence)
        edition_id = _find(connection, token, one)
        if edition_id is not None and _is_frozen(connection, edition_id):
            _count(merged, apply_ends(connection, edition_id, one, now))
        elif not one.ended:
            continue
        elif one.facts is not None:
            _count(merged, recreate_edition(connection, edition_id, one, kept.posts, now))
            merged.later_editions += 1
        else:
            merged.lost.append(token)
    _hold(connection, merged, now)
    reset_counts(connection)
    complete_editions(connection, now)
    return merged


def _find(connection: Connection, token: str, one: KeptEdition) -> int | None:
    """The edition of this token, or the one that was planned anew for the same due time."""
    key = one.facts["edition"]["key"] if one.facts else ""
    rows = select(edition.c.id).where(or_(edition.c.token == token, edition.c.key == key))
    found = connection.execute(rows.order_by(edition.c.token != token).limit(1)).scalar()
    return None if found is None else int(found)


def _is_frozen(connection: Connection, edition_id: int) -> bool:
    return connection.execute(select(edition.c.state).where(edition.c.id == edition_id)).scalar() == "frozen"


def _count(merged: Merged, counts: Counter[str]) -> None:
    merged.sent += counts["sent"]
    merged.failed += counts["failed"]
    merged.unknown += counts["unknown"]


def apply_ends(connection: Connection, edition_id: int, one: KeptEdition, now: datetime) -> Counter[str]:
    """What the record says of the deliveries of a frozen edition; returns how many changed, by state."""
    counts: Counter[str] = Counter()
    for state, recipients in _by_state(one).items():
        may_be = (*_OPEN, "unknown") if state == "sent" else _OPEN
        values = {"state": state, "decided_by": BY, "changed_at": now, "fence": None, "lease_until": None}
        values |= {"reason": NO_END if state == "unknown" else None, "not_before": None}
        for some in _slices(recipients):
            # By number: the index over edition and state would be read from end to end for each slice.
            mine = select(delivery.c.id).where(
                delivery.c.edition_id == edition_id, is_among(connection, delivery.c.recipient_id, some)
            )
            ids = list(connection.execute(mine).scalars())
            rows = connection.execute(
                update(delivery)
                .where(is_among(connection, delivery.c.id, ids), delivery.c.state.in_(may_be))
                .values(**values)
                .returning(delivery.c.id, delivery.c.recipient_id, delivery.c.attempts)
            ).all()
            _write_proofs(connection, rows, one, now)
            counts[state] += len(rows)
    return counts


def _by_state(one: KeptEdition) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for recipient, (state, _, _) in one.ended.items():
        found.setdefault(state, []).append(recipient)
    return found


def _slices(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), _MANY):
        yield numbers[start : start + _MANY]


def _write_proofs(connection: Connection, rows: Sequence[Any], one: KeptEdition, now: datetime) -> None:
    """One try for each, numbered after those that the database knows of."""
    proofs = [_proof(row, *one.ended[row.recipient_id], now) for row in rows]
    if proofs:
        run_quickly(connection, UPSERT_ATTEMPT.text, proofs)
        ids = [row.id for row in rows if not row.attempts]
        first = update(delivery).where(is_among(connection, delivery.c.id, ids))
        connection.execute(first.values(attempts=1))


def _proof(row: Any, state: str, receipt: str, at: float, now: datetime) -> dict[str, object]:
    moment = at or now.timestamp()
    return {
        "delivery_id": row.id,
        "number": max(row.attempts, 1),
        "started_at": moment,
        "ended_at": moment,
        "outcome": state,
        "detail": NO_END if state == "unknown" else "by the send record",
        "receipt": receipt,
    }


def _hold(connection: Connection, merged: Merged, now: datetime) -> None:
    """What was on the wire when the database was copied, and is not on record, may be anywhere."""
    lists = select(edition.c.id).where(edition.c.list != "")
    is_lost = or_(
        delivery.c.state == "sending", and_(delivery.c.state == "claimed", delivery.c.edition_id.in_(lists))
    )
    lost = _move(connection, is_lost, "unknown", NO_END, now)
    merged.unknown += lost
    waits = delivery.c.state.in_(("queued", "claimed"))
    merged.held += _move(connection, waits, "held", RESTORED, now)
    planned = update(edition).where(edition.c.state == "planned").values(state="held", reason=RESTORED)
    connection.execute(planned)
    held = select(edition.c.id).where(edition.c.state == "held", edition.c.reason.startswith(RESTORED))
    merged.held_editions = len(connection.execute(held).all())


def _move(connection: Connection, which: Any, state: str, reason: str, now: datetime) -> int:
    values: Mapping[str, Any] = {"state": state, "reason": reason, "changed_at": now, "decided_by": BY}
    return connection.execute(update(delivery).where(which).values(fence=None, lease_until=None, **values)).rowcount
