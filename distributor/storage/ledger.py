"""The ledger: every delivery's state, changed only by compare-and-set.

What a crash leaves behind is settled in recovery.py, what a person decides in decisions.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, or_, select, update

from distributor.core.errors import StorageError
from distributor.core.message import Content, Edition, Pace
from distributor.core.sending import Batch, Settled, Wait
from distributor.storage.among import prefer_indexes
from distributor.storage.asking import ask, ask_together, say, write_numbers
from distributor.storage.audience import Row, find_gone, load_allowed, skip_gone
from distributor.storage.database import Database
from distributor.storage.freezing import complete_editions
from distributor.storage.lanes import Turn
from distributor.storage.notices import BEGIN_ATTEMPT, is_paused
from distributor.storage.paces import reserve, rest
from distributor.storage.rechecks import hold_changed_bytes, hold_withdrawn
from distributor.storage.settling import note_channel, settle_accepted, settle_one, write_attempts
from distributor.storage.tables import delivery, edition


class Ledger:
    """Claims, starts, settles, recovers. Safe to call from several threads and machines."""

    def __init__(self, database: Database, turn: Turn | None = None) -> None:
        """`turn`: take the channel's lane with every claim, so that one machine at a time speaks on it."""
        self._database = database
        self._turn = turn
        #: Channel -> edition and the last delivery claimed of it: where the next ones stand, unless some came back.
        #: Whoever is not in it had nothing to claim when it last asked: it looks first, and takes no lock for that.
        self._reached: dict[str, tuple[int, int]] = {}
        #: Channel -> ends of the leases of claims that reached nobody.
        self._lost: dict[str, set[datetime]] = {}

    # -- claiming --------------------------------------------------------------------------------------------

    def claim(
        self,
        name: str,
        *,
        limit: int,
        paces: Sequence[Pace],
        fence: str,
        lease: float,
        now: datetime,
    ) -> Batch | Wait:
        """Take the next deliveries of one edition of a channel, or say how long to wait.

        Suppression, pause, hold and lateness are looked at in the same transaction. Pace is reserved here, so
        whoever holds a batch may send it. Single stories go before digests, older before newer. What a claim took
        whose acknowledgement was lost goes back at the next one, instead of being unknown when its lease ends.
        """
        lease_until = now + timedelta(seconds=lease)
        try:
            self._give_back_lost(name, fence, now)
            return self._claim(name, limit, paces, fence, lease_until, now)
        except StorageError:
            self.lose(name, lease_until)
            raise

    def lose(self, name: str, lease_until: datetime) -> None:
        """What was claimed until then reached nobody: nothing of it is started."""
        self._lost.setdefault(name, set()).add(lease_until)

    def _give_back_lost(self, name: str, fence: str, now: datetime) -> None:
        lost = self._lost.get(name)
        if not lost:
            return
        theirs = select(edition.c.id).where(edition.c.channel == name)
        with self._database.write("ledger.give_back") as connection:
            connection.execute(
                update(delivery)
                .where(
                    delivery.c.state == "claimed",
                    delivery.c.fence == fence,
                    delivery.c.lease_until.in_(lost),
                    delivery.c.edition_id.in_(theirs),
                )
                .values(state="queued", fence=None, lease_until=None, changed_at=now)
            )
        self._lost.pop(name)

    def _claim(
        self, name: str, limit: int, paces: Sequence[Pace], fence: str, lease_until: datetime, now: datetime
    ) -> Batch | Wait:
        if name not in self._reached:
            with self._database.read() as connection:
                prefer_indexes(connection)
                if _next_edition(connection, name, now, _IS_NEXT) is None:
                    return Wait(_seconds_to_next(connection, name, now))
        with self._database.write("ledger.claim") as connection:
            prefer_indexes(connection)
            if is_paused(connection, name):
                return Wait(None)
            if self._turn is not None and not self._turn.take(connection, name, fence, now):
                return Wait(None)
            row = _next_fit(connection, name, now)
            if row is None:
                self._reached.pop(name, None)
                return Wait(_seconds_to_next(connection, name, now))
            room = reserve(connection, f"channel:{name}", paces, limit, now)
            if isinstance(room, float):
                return Wait(room)
            edition_id, reached = self._reached.get(name, (0, 0))
            after = reached if edition_id == row.id else 0
            taken = _mark_claimed(connection, row.id, room, after, fence, lease_until, now)
            self._reached[name] = (row.id, taken[-1][0] if taken else 0)
            claimed = load_allowed(connection, sorted(taken), row.list)
            if skip_gone(connection, {one[0] for one in taken} - {one.delivery_id for one in claimed}, now):
                complete_editions(connection, now, row.id)
            return Batch(_edition(row), tuple(claimed))

    def start(self, delivery_ids: Sequence[int], fence: str, now: datetime) -> list[int]:
        """claimed -> sending, committed before the first byte. Returns the ids that may go.

        Pause, hold, the stories and suppression are looked at once more in this commit; a pause that is being
        written waits for it.
        """
        frozen = select(edition.c.id).where(edition.c.state == "frozen")
        with self._database.write("ledger.start") as connection:
            whole = connection.execute(_edition_of(delivery_ids)).one_or_none()
            if whole is None or is_paused(connection, whole.channel, is_binding=True):
                return []
            hold_withdrawn(connection, whole, now, ids=delivery_ids)
            skip_gone(connection, find_gone(connection, delivery_ids, whole.list), now)
            rows = connection.execute(
                update(delivery)
                .where(
                    delivery.c.id.in_(delivery_ids),
                    delivery.c.state == "claimed",
                    delivery.c.fence == fence,
                    delivery.c.edition_id.in_(frozen),
                )
                .values(state="sending", attempts=delivery.c.attempts + 1, changed_at=now)
                .returning(delivery.c.id, delivery.c.attempts)
            ).all()
            begun = [{"delivery_id": r.id, "number": r.attempts, "started_at": now.timestamp()} for r in rows]
            if begun:
                connection.execute(BEGIN_ATTEMPT, begun)
            return sorted(row.id for row in rows)

    def find_gone(self, delivery_ids: Sequence[int]) -> set[int]:
        """Of claimed deliveries of one edition: those whose reader may not be written to any more."""
        with self._database.read() as connection:
            prefer_indexes(connection)
            whole = connection.execute(_edition_of(delivery_ids)).one_or_none()
            return find_gone(connection, delivery_ids, whole.list) if whole is not None else set()

    # -- settling --------------------------------------------------------------------------------------------

    def settle(self, channel_name: str, fence: str, settled: Sequence[Settled], now: datetime) -> None:
        """Write what became of claimed or sending deliveries, if they are still this fence's and on this attempt.

        An acceptance that comes late wins over `unknown`; any other late answer is kept for the person who decides.
        """
        with self._database.write("ledger.settle") as connection:
            accepted = [item for item in settled if item.settlement.state == "sent"]
            others = [item for item in settled if item.settlement.state != "sent"]
            prefer_indexes(connection)
            theirs = settle_accepted(connection, fence, accepted, now)
            known = [item for item in others if settle_one(connection, fence, item, now)]
            write_attempts(connection, known)
            theirs.update(item.delivery_id for item in known)
            note_channel(connection, channel_name, settled, theirs, now)
            complete_editions(connection, now)

    def rest_channel(self, name: str, until: datetime) -> None:
        """No message of this channel before `until`: the service asked for it."""
        with self._database.write("ledger.rest_channel") as connection:
            rest(connection, f"channel:{name}", until)


def _edition_of(delivery_ids: Sequence[int]) -> Select[Any]:
    columns = (edition.c.id, edition.c.channel, edition.c.list)
    joined = select(*columns).join(delivery, delivery.c.edition_id == edition.c.id)
    return joined.where(delivery.c.id == min(delivery_ids)).limit(1)


def _edition(row: Any) -> Edition:
    return Edition(row.id, row.channel, row.schedule, row.form, row.token, Content.from_json(row.content))


def _next_fit(connection: Connection, name: str, now: datetime) -> Any:
    """The next edition that may go out as it is; what may not is held on the way."""
    while (row := _next_edition(connection, name, now)) is not None:
        if not hold_changed_bytes(connection, row, now) and not hold_withdrawn(connection, row, now):
            break
    return row


def _next_edition(connection: Connection, name: str, now: datetime, query: Select[Any] | None = None) -> Any:
    return connection.execute(_NEXT if query is None else query, {"channel": name, "now": now}).one_or_none()


def _build_next(what: Any) -> Select[Any]:
    """Built once: it is asked twice for each batch, and building it takes longer than its answer."""
    now = bindparam("now", type_=edition.c.due_at.type)
    ready = (
        select(delivery.c.id)
        .where(
            delivery.c.edition_id == edition.c.id,
            delivery.c.state == "queued",
            or_(delivery.c.not_before.is_(None), delivery.c.not_before <= now),
        )
        .exists()
    )
    return (
        select(what)
        .where(
            edition.c.channel == bindparam("channel"),
            edition.c.state == "frozen",
            edition.c.due_at <= now,
            or_(edition.c.late_after.is_(None), edition.c.late_after >= now),
            ready,
        )
        .order_by(edition.c.form == "digest", edition.c.due_at, edition.c.id)
        .limit(1)
    )


_NEXT, _IS_NEXT = _build_next(edition), _build_next(edition.c.id)


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


_CHOSEN = """
SELECT {columns} FROM delivery WHERE edition_id = :edition AND state = 'queued' AND id > :after
AND (not_before IS NULL OR not_before <= :now) ORDER BY id LIMIT :most
"""
_TAKE = """
UPDATE delivery SET state = 'claimed', fence = :fence, lease_until = :until, changed_at = :now
WHERE id {among} AND state = 'queued'
"""
_COLUMNS = "id, recipient_id, attempts"
#: As an array the choice is made once and looked up by key.
_TAKE_POSTGRES = _TAKE.format(among=f"= ANY(ARRAY({_CHOSEN.format(columns='id')} FOR UPDATE SKIP LOCKED))")
_TAKE_POSTGRES += f"RETURNING {_COLUMNS}"
#: Nobody else writes meanwhile, and RETURNING costs a third of the update.
_CHOOSE_SQLITE, _TAKE_SQLITE = _CHOSEN.format(columns=_COLUMNS), _TAKE.format(among="AMONG :ids")


def _mark_claimed(
    connection: Connection,
    edition_id: int,
    limit: int,
    after: int,
    fence: str,
    lease_until: datetime,
    now: datetime,
) -> list[Row]:
    """Claim the next queued deliveries behind `after`; where these are not enough, the ones before it too."""
    values = {
        "edition": edition_id,
        "most": limit,
        "after": after,
        "fence": fence,
        "until": lease_until.timestamp(),
        "now": now.timestamp(),
    }
    if connection.dialect.name == "sqlite":
        rows = ask_together(connection, _CHOOSE_SQLITE, ("id", "recipient_id", "attempts"), values)
        ids = write_numbers(connection, [row[0] for row in rows])
        say(connection, _TAKE_SQLITE, {**values, "ids": ids})
    else:
        rows = ask(connection, _TAKE_POSTGRES, values)
    rows.sort()
    if after and len(rows) < limit:
        rows += _mark_claimed(connection, edition_id, limit - len(rows), 0, fence, lease_until, now)
    return rows
