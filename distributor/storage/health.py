"""Whether the database can be worked with, and the few counts that only watching needs."""

from __future__ import annotations

from sqlalchemy import func, insert, select

from distributor.core.errors import StorageError
from distributor.storage import schema
from distributor.storage.database import Database
from distributor.storage.tables import edition, meta


class _TakeBack(Exception):
    """Ends a trial write without a trace."""


class Health:
    """Looks that leave nothing behind."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_problem(self) -> str:
        """Why nothing can be written, or that the version is not ours; "" when all is well.

        Takes its turn among the writers, so it may wait as long as one of them.
        """
        try:
            schema.require_current(self._database)
            self._try_to_write()
        except StorageError as error:
            return str(error)
        return ""

    def count_editions(self) -> dict[tuple[str, str], int]:
        """(channel, state) -> editions."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(edition.c.channel, edition.c.state, func.count()).group_by(
                    edition.c.channel, edition.c.state
                )
            )
            return {(row[0], row[1]): int(row[2]) for row in rows}

    def _try_to_write(self) -> None:
        try:
            with self._database.write("health.try_to_write") as connection:
                connection.execute(insert(meta).values(key="trial", value=""))
                raise _TakeBack
        except _TakeBack:
            pass
