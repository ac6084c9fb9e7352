"""What is wrong now and whom we told; and which of several processes does the telling."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, select, update

from distributor.core.alerting import Trouble
from distributor.core.telling import KnownTrouble
from distributor.storage.database import Database
from distributor.storage.inserting import insert_new
from distributor.storage.tables import alert, meta

_WATCH = "alerts.watch"


class Alerts:
    """The table of troubles. Each method is one transaction, and none writes what is written already."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> dict[str, KnownTrouble]:
        with self._database.read() as connection:
            return _load(connection)

    def note(self, troubles: Sequence[Trouble], now: datetime) -> dict[str, KnownTrouble]:
        """Write down what is wrong; what has ended and was never told is forgotten. Returns what is written."""
        known = self.load()
        present = {one.key for one in troubles}
        fresh = [one for one in troubles if one.key not in known]
        other = [one for one in troubles if one.key in known and known[one.key].text != one.text]
        gone = [key for key, row in known.items() if key not in present and row.told_at is None]
        if not (fresh or other or gone):
            return known
        with self._database.write("alerts.note") as connection:
            for one in fresh:
                connection.execute(insert_new(connection, alert).values(key=one.key, text=one.text, since=now))
            for one in other:
                connection.execute(update(alert).where(alert.c.key == one.key).values(text=one.text))
            connection.execute(delete(alert).where(alert.c.key.in_(gone), alert.c.told_at.is_(None)))
            return _load(connection)

    def note_told(self, told: Collection[str], over: Collection[str], now: datetime) -> None:
        """Somebody was told of the first ones, and of the end of the others."""
        if not told and not over:
            return
        with self._database.write("alerts.note_told") as connection:
            connection.execute(update(alert).where(alert.c.key.in_(told)).values(told_at=now))
            connection.execute(delete(alert).where(alert.c.key.in_(over)))

    def count(self) -> int:
        """How many troubles there are now."""
        with self._database.read() as connection:
            return int(connection.execute(select(func.count()).select_from(alert)).scalar_one())

    def take_watch(self, fence: str, seconds: float, now: datetime) -> bool:
        """Whether this process is the one that watches for the next seconds; it must ask again before they end."""
        until = now + timedelta(seconds=seconds)
        mine = f"{fence} {until.timestamp()}"
        with self._database.write("alerts.take_watch") as connection:
            found = connection.execute(select(meta.c.value).where(meta.c.key == _WATCH)).scalar()
            if found is None:
                added = insert_new(connection, meta).values(key=_WATCH, value=mine).returning(meta.c.key)
                return connection.execute(added).scalar() is not None
            holder, _, end = found.partition(" ")
            if holder != fence and now.timestamp() < float(end) < until.timestamp() + 2 * seconds:
                return False
            # Compare and set: another process may have taken it between the two statements.
            taken = update(meta).where(meta.c.key == _WATCH, meta.c.value == found).values(value=mine)
            return connection.execute(taken.returning(meta.c.key)).scalar() is not None

    def leave_watch(self, fence: str) -> None:
        """Let another process watch at once."""
        with self._database.write("alerts.leave_watch") as connection:
            connection.execute(delete(meta).where(meta.c.key == _WATCH, meta.c.value.startswith(f"{fence} ")))


def _load(connection: Connection) -> dict[str, KnownTrouble]:
    rows = connection.execute(select(alert).order_by(alert.c.since, alert.c.key))
    return {row.key: KnownTrouble(row.key, row.text, row.since, row.told_at) for row in rows}
