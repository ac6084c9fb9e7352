"""Opening a channel again: what waited behind the pause goes out, is skipped, is spread, or waits for a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Float, and_, func, literal, or_, select, update

from distributor.core.deciding import Resumed, ResumeMode
from distributor.core.delivery import CLOSED, LATE, REVIEW
from distributor.storage.freezing import complete_editions
from distributor.storage.notices import set_pause
from distributor.storage.tables import channel, delivery, edition

_MINUTE = 60.0


@dataclass(frozen=True)
class _Waiting:
    """An edition with messages that waited: how many, their first and last number."""

    id: int
    schedule: str
    late_after: datetime | None
    count: int
    first: int
    last: int
    is_late: bool


def resume_channel(
    connection: Connection, name: str, mode: ResumeMode, minutes: int, by: str, now: datetime
) -> Resumed | None:
    """Open the channel within the caller's transaction; None when it is not paused.

    Until that commits no lane begins anything: it waits for the channel's row, which is locked here.
    """
    row = connection.execute(select(channel).where(channel.c.name == name).with_for_update()).one_or_none()
    if row is None or not row.is_paused:
        return None
    _let_closed_go(connection, name, now)
    waiting = _find_waiting(connection, name, row.since or now, now)
    done = _ACTS[mode](connection, name, waiting, minutes, by, now)
    set_pause(connection, name, False, done.describe(), by, now)
    return done


def _let_closed_go(connection: Connection, name: str, now: datetime) -> None:
    """What the channel's own closing holds is queued; what is held for another reason is another decision."""
    ids = select(edition.c.id).where(edition.c.channel == name, edition.c.state == "frozen")
    connection.execute(
        update(delivery)
        .where(
            delivery.c.edition_id.in_(ids),
            delivery.c.state == "held",
            delivery.c.reason.startswith(CLOSED, autoescape=True),
        )
        .values(state="queued", reason=None, not_before=None, changed_at=now)
    )


def _is_late_since(since: datetime) -> ColumnElement[bool]:
    return and_(delivery.c.state == "held", delivery.c.reason == LATE, delivery.c.changed_at >= since)


def _find_waiting(connection: Connection, name: str, since: datetime, now: datetime) -> list[_Waiting]:
    """In the order in which they would go; what became late during the pause stands apart."""
    is_late = or_(delivery.c.state == "held", and_(edition.c.late_after.is_not(None), edition.c.late_after < now))
    rows = connection.execute(
        select(
            edition.c.id,
            edition.c.schedule,
            edition.c.late_after,
            is_late.label("is_late"),
            func.count().label("number"),
            func.min(delivery.c.id).label("first"),
            func.max(delivery.c.id).label("last"),
        )
        .join(delivery, delivery.c.edition_id == edition.c.id)
        .where(
            edition.c.channel == name,
            edition.c.state == "frozen",
            edition.c.due_at <= now,
            or_(delivery.c.state == "queued", _is_late_since(since)),
        )
        .group_by(edition.c.id, edition.c.schedule, edition.c.late_after, edition.c.due_at, is_late)
        .order_by(edition.c.due_at, edition.c.id)
    ).all()
    return [_Waiting(r.id, r.schedule, r.late_after, int(r.number), r.first, r.last, bool(r.is_late)) for r in rows]


def _send_all(
    connection: Connection, name: str, waiting: Sequence[_Waiting], minutes: int, by: str, now: datetime
) -> Resumed:
    going = [one for one in waiting if not one.is_late]
    return Resumed(name, "all", *_sums(going), late=_sum_late(waiting))


def _drop(
    connection: Connection, name: str, waiting: Sequence[_Waiting], minutes: int, by: str, now: datetime
) -> Resumed:
    _skip(connection, waiting, "dropped after a pause", by, now)
    skipped, editions = _sums(waiting)
    return Resumed(name, "drop", skipped=skipped, skipped_editions=editions)


def _keep_newest(
    connection: Connection, name: str, waiting: Sequence[_Waiting], minutes: int, by: str, now: datetime
) -> Resumed:
    newest = {one.schedule: one.id for one in waiting}
    old = [one for one in waiting if newest[one.schedule] != one.id]
    kept = [one for one in waiting if newest[one.schedule] == one.id]
    _skip(connection, old, "a newer one waited behind the same pause", by, now)
    going = [one for one in kept if not one.is_late]
    skipped, editions = _sums(old)
    return Resumed(name, "newest", *_sums(going), skipped=skipped, skipped_editions=editions, late=_sum_late(kept))


def _spread(
    connection: Connection, name: str, waiting: Sequence[_Waiting], minutes: int, by: str, now: datetime
) -> Resumed:
    """Each edition gets its share of the time; a list goes in portions, one a minute."""
    going = [one for one in waiting if not one.is_late]
    total = sum(one.count for one in going)
    before = 0
    for one in going:
        start = minutes * _MINUTE * before / total
        length = minutes * _MINUTE * one.count / total
        _set_times(connection, one, start, length, now)
        before += one.count
    return Resumed(name, "spread", *_sums(going), late=_sum_late(waiting), minutes=minutes)


def _set_times(connection: Connection, one: _Waiting, start: float, length: float, now: datetime) -> None:
    portions = max(int(length // _MINUTE), 1)
    portion = (delivery.c.id - one.first) * portions // (one.last - one.first + 1)
    connection.execute(
        update(delivery)
        .where(delivery.c.edition_id == one.id, delivery.c.state == "queued")
        .values(not_before=literal(now.timestamp() + start, Float) + portion * (length / portions), changed_at=now)
    )
    if one.late_after is not None:
        # Who spreads them wants them to arrive: the limit of lateness moves along.
        later = one.late_after + timedelta(seconds=start + length)
        connection.execute(update(edition).where(edition.c.id == one.id).values(late_after=later))


def _hold_for_review(
    connection: Connection, name: str, waiting: Sequence[_Waiting], minutes: int, by: str, now: datetime
) -> Resumed:
    fresh = [one for one in waiting if not one.is_late]
    connection.execute(
        update(delivery)
        .where(delivery.c.edition_id.in_([one.id for one in fresh]), delivery.c.state == "queued")
        .values(state="held", reason=f"{REVIEW}: waited behind a pause", not_before=None, changed_at=now)
    )
    reviewed, editions = _sums(fresh)
    return Resumed(name, "review", reviewed=reviewed, reviewed_editions=editions, late=_sum_late(waiting))


def _skip(connection: Connection, which: Sequence[_Waiting], reason: str, by: str, now: datetime) -> None:
    for is_late in (False, True):
        ids = [one.id for one in which if one.is_late == is_late]
        states = ("queued", "held") if is_late else ("queued",)
        late = or_(delivery.c.state == "queued", delivery.c.reason == LATE)
        connection.execute(
            update(delivery)
            .where(delivery.c.edition_id.in_(ids), delivery.c.state.in_(states), late)
            .values(state="skipped", reason=reason, not_before=None, changed_at=now, decided_by=by)
        )
    for edition_id in {one.id for one in which}:
        complete_editions(connection, now, edition_id)


def _sums(which: Sequence[_Waiting]) -> tuple[int, int]:
    return sum(one.count for one in which), len({one.id for one in which})


def _sum_late(which: Sequence[_Waiting]) -> int:
    return sum(one.count for one in which if one.is_late)


_ACTS = {"all": _send_all, "drop": _drop, "newest": _keep_newest, "spread": _spread, "review": _hold_for_review}
