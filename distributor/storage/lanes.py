"""Whose turn it is, among many machines: to speak on a channel with one voice, and to ask a source.

A lane is taken in the transaction that claims, under the lock of its row, so two machines never speak on one chat
at once and its messages keep their order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, exists, func, or_, select, update

from distributor.core.source_state import SourceState
from distributor.core.waking import Wakeup
from distributor.storage.arrivals import touch_source
from distributor.storage.database import Database
from distributor.storage.inserting import say_insert
from distributor.storage.tables import channel, delivery, edition, lane, source, worker
from distributor.storage.workers import DEAD_AFTER, read_clock

#: Seconds a lane stays with a holder that lives and does not come back: longer than any one send.
LANE_LEASE = 900.0


@dataclass(frozen=True)
class Turn:
    """How this process takes lanes. `may_inherit`: whether it may take one from a holder that gave no sign of life;
    not when it was itself cut off from the database a moment ago, as all others may have been."""

    may_inherit: Callable[[], bool]

    def take(self, connection: Connection, name: str, fence: str, now: datetime) -> bool:
        """Whether the lane is this fence's from now on. Another machine's attempt waits for this transaction."""
        clock = read_clock(connection, now)
        wished = say_insert(connection, lane).values(channel=name, fence=fence, lease_until=clock + LANE_LEASE)
        is_free = or_(lane.c.fence == fence, lane.c.lease_until < clock)
        if self.may_inherit():
            lives = (worker.c.fence == lane.c.fence) & (worker.c.beat_at > clock - DEAD_AFTER)
            is_free = or_(is_free, ~exists(select(worker.c.fence).where(lives)))
        statement = wished.on_conflict_do_update(
            index_elements=[lane.c.channel],
            set_={"fence": wished.excluded.fence, "lease_until": wished.excluded.lease_until},
            where=is_free,
        )
        return connection.execute(statement.returning(lane.c.fence)).scalar() is not None


class Lanes:
    """What is ready to go, and who may do it. Safe to call from any machine."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def release(self, name: str, fence: str) -> None:
        """Let others speak on this channel."""
        with self._database.write("lanes.release") as connection:
            connection.execute(delete(lane).where(lane.c.channel == name, lane.c.fence == fence))

    def list_ready(self, now: datetime) -> list[Wakeup]:
        """A wake-up for each channel that has something to send now and is not paused."""
        ready = (
            select(delivery.c.id)
            .where(
                delivery.c.edition_id == edition.c.id,
                delivery.c.state == "queued",
                or_(delivery.c.not_before.is_(None), delivery.c.not_before <= now),
            )
            .exists()
        )
        paused = select(channel.c.name).where(channel.c.is_paused)
        with self._database.read() as connection:
            rows = connection.execute(
                select(edition.c.channel, func.max(edition.c.audience))
                .where(
                    edition.c.state == "frozen",
                    edition.c.due_at <= now,
                    or_(edition.c.late_after.is_(None), edition.c.late_after >= now),
                    edition.c.channel.not_in(paused),
                    ready,
                )
                .group_by(edition.c.channel)
            ).all()
        return [Wakeup(row[0], audience=row[1] or 1) for row in rows]

    def put_down(self, wakeup: Wakeup) -> None:
        """Tell the waker, in a transaction of its own."""
        with self._database.write("lanes.put_down") as connection:
            self._database.announce(connection, wakeup)

    def claim_poll(self, name: str, seen: SourceState, claimed: SourceState) -> bool:
        """Whether this process may ask the source now: what it remembers is still what was `seen`.

        `claimed` is what other clocks are to see meanwhile; when nobody comes back with an answer it is due again.
        """
        with self._database.write("lanes.claim_poll") as connection:
            touch_source(connection, name)
            mine = select(source.c.state).where(source.c.name == name).with_for_update()
            if SourceState.from_json(connection.execute(mine).scalar_one()) != seen:
                return False
            values = {"state": claimed.to_json(), "next_poll_at": claimed.next_poll_at}
            connection.execute(update(source).where(source.c.name == name).values(values))
            return True
