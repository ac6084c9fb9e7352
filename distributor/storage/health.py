"""Whether the database can be worked with, and the few counts that only watching needs."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import func, select

from distributor.core.errors import StorageError
from distributor.storage import schema
from distributor.storage.database import Database
from distributor.storage.instance import read_safe_mode
from distributor.storage.tables import edition

#: The folder of copies, beside the database.
BACKUPS = "backups"


class Health:
    """Looks that leave nothing behind."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_problem(self) -> str:
        """Why nothing can be written, or that the version is not ours; "" when all is well. Changes nothing.

        Takes its turn among the writers, so it may wait as long as one of them.
        """
        try:
            schema.require_current(self._database)
            # A real write, which changes nothing: a full disk and a read-only file are found by nothing less.
            self._database.note("UPDATE meta SET value = value WHERE key = :key", [{"key": "instance"}])
        except StorageError as error:
            return str(error)
        return ""

    def read_safe_mode(self) -> str:
        """Why nothing is sent, in a sentence that names the command; "" when all is well."""
        return read_safe_mode(self._database)

    def find_backup(self) -> datetime | None:
        """When the last backup was made that this program knows of; None when it knows of none."""
        if not self._database.is_sqlite:
            return None
        folder = self._database.path.parent / BACKUPS
        stamps = [path.stat().st_mtime for path in folder.glob("*.db")] if folder.is_dir() else []
        return datetime.fromtimestamp(max(stamps), UTC) if stamps else None

    def count_editions(self) -> dict[tuple[str, str], int]:
        """(channel, state) -> editions."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(edition.c.channel, edition.c.state, func.count()).group_by(
                    edition.c.channel, edition.c.state
                )
            )
            return {(row[0], row[1]): int(row[2]) for row in rows}
