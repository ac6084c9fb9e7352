"""Copies made while the program runs, each verified, the oldest ones deleted; and the send record's old days."""

from __future__ import annotations

import logging
import shutil
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from distributor.core.errors import StorageError
from distributor.core.points import reach
from distributor.storage.backup import backup_sqlite
from distributor.storage.database import Database
from distributor.storage.notices import add_notice
from distributor.storage.send_record import forget_old_days

log = logging.getLogger(__name__)

#: Part of the name of every copy made here; others are never deleted.
_REGULAR = "regular"
#: After a copy that could not be made.
_TRY_AGAIN = timedelta(minutes=10)
#: How many times its own size must be free for a copy.
_ROOM = 1.2


def backup_if_due(database: Database, every: timedelta, kept: int, now: datetime) -> Path | None:
    """Copy an SQLite database when the last regular copy is older than `every`, then delete all but the `kept`
    newest regular ones; returns the copy, None when it is not time. `kept` 0: none are made.

    Writers go on meanwhile. Raises StorageError when the copy cannot be made or does not verify, and when there is
    not enough room for it: the disk is needed for sending.
    """
    if not database.is_sqlite or not kept:
        return None
    copies = list_regular(database)
    if copies and now - _made_at(copies[-1]) < every:
        return None
    size = database.path.stat().st_size
    free = shutil.disk_usage(database.path.parent).free
    if free < size * _ROOM:
        needed = size * _ROOM / 1e6
        raise StorageError(f"no backup: it needs {needed:.0f} MB, {free / 1e6:.0f} MB of the disk are free")
    name = f"{database.path.stem}-{_REGULAR}-{now:%Y%m%dT%H%M%SZ}.db"
    made = backup_sqlite(database, database.path.parent / "backups" / name, is_quick=True)
    for old in list_regular(database)[:-kept]:
        reach("regular_backups.forget")
        old.unlink(missing_ok=True)
    return made


def list_regular(database: Database) -> list[Path]:
    """The copies made here, oldest first."""
    return sorted((database.path.parent / "backups").glob(f"{database.path.stem}-{_REGULAR}-*Z.db"))


def _made_at(copy: Path) -> datetime:
    try:
        return datetime.strptime(copy.stem.rpartition("-")[2], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


class RegularBackups:
    """Keeps copies coming, in a thread of its own while one is made: a large copy takes minutes."""

    def __init__(self, database: Database, state_dir: Path, every: timedelta, kept: int) -> None:
        self._database = database
        self._state_dir = state_dir
        self._every = every
        self._kept = kept
        self._thread: threading.Thread | None = None
        self._not_before: datetime | None = None
        self._is_failing = False

    def keep_up(self, now: datetime) -> None:
        """A chore: asks whether it is time, and returns at once."""
        if self._thread is not None and self._thread.is_alive():
            return
        if self._not_before is not None and now < self._not_before:
            return
        self._not_before = now + min(self._every, _TRY_AGAIN)
        self._thread = threading.Thread(target=self.work, args=(now,), name="backup", daemon=True)
        self._thread.start()

    def work(self, now: datetime) -> None:
        """What `keep_up` does in its thread. A failure is an alarm on the operator's page, once, and never more."""
        try:
            forget_old_days(self._state_dir, now)
            made = backup_if_due(self._database, self._every, self._kept, now)
            if made is not None:
                log.info("backup: %s", made)
                self._is_failing = False
        except (StorageError, OSError) as error:
            log.error("backup: %s", error)
            self._alarm(str(error), now)

    def stop(self, timeout: float = 30.0) -> None:
        """Wait for the copy that is being made; one that takes longer is given up, half of it is no copy."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _alarm(self, text: str, now: datetime) -> None:
        if self._is_failing:
            return
        self._is_failing = True
        try:
            with self._database.write("regular_backups.alarm") as connection:
                add_notice(connection, "alarm", "backup", text, now)
        except StorageError as error:
            log.error("the failed backup could not be noted: %s", error)
