"""The processes that run on this database: each says that it is there; who has not said so for a while is dead.

On PostgreSQL only the database's own clock is used, because the machines' clocks may differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Double, delete, func, literal, select, update

from distributor.core.reporting import ProcessRow
from distributor.storage.database import Database
from distributor.storage.inserting import insert_new
from distributor.storage.tables import lane, worker

#: Seconds between two signs of life, and without one until a process is taken for dead: three may be lost.
BEAT_SECONDS = 5.0
DEAD_AFTER = 20.0
#: Seconds for which a dead process is still listed.
LISTED_DEAD = 86_400.0


class Workers:
    """Signs of life. Safe to call from any machine."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, fence: str, host: str, process: int, roles: str, version: str, now: datetime) -> None:
        """I am here. The first time it enters the process into the list."""
        with self._database.write("workers.beat") as connection:
            clock = read_clock(connection, now)
            mine = update(worker).where(worker.c.fence == fence).values(beat_at=clock).returning(worker.c.fence)
            if connection.execute(mine).scalar() is not None:
                return
            row = {"fence": fence, "host": host, "process": process, "roles": roles, "version": version}
            connection.execute(insert_new(connection, worker).values(started_at=clock, beat_at=clock, **row))
            connection.execute(delete(worker).where(worker.c.beat_at < clock - LISTED_DEAD))

    def leave(self, fences: Sequence[str]) -> None:
        """These processes are gone and hold nothing any more."""
        if not fences:
            return
        with self._database.write("workers.leave") as connection:
            connection.execute(delete(worker).where(worker.c.fence.in_(fences)))
            connection.execute(delete(lane).where(lane.c.fence.in_(fences)))

    def leave_only(self, fence: str) -> None:
        """Where only one process can run, every other one is gone."""
        with self._database.write("workers.leave_only") as connection:
            connection.execute(delete(worker).where(worker.c.fence != fence))
            connection.execute(delete(lane).where(lane.c.fence != fence))

    def list_all(self, now: datetime) -> list[ProcessRow]:
        """Every process that is there, and those that died within a day; oldest first."""
        with self._database.read() as connection:
            age = read_clock(connection, now) - worker.c.beat_at
            rows = connection.execute(select(worker, age.label("age")).order_by(worker.c.started_at)).all()
        return [
            ProcessRow(r.fence, r.host, r.process, r.roles, r.version, r.started_at, age, age > DEAD_AFTER)
            for r in rows
            for age in (max(float(r.age), 0.0),)
        ]

    def list_live(self, now: datetime) -> list[str]:
        """The fences of processes that are not taken for dead."""
        return [one.fence for one in self.list_all(now) if not one.is_dead]


def read_clock(connection: Connection, now: datetime) -> ColumnElement[Any]:
    """Seconds since the epoch: by the server's clock where there is one, else `now`."""
    if connection.dialect.name == "sqlite":
        return literal(now.timestamp(), Double)
    return func.extract("epoch", func.clock_timestamp()).cast(Double)
