"""Copies of the database while it is in use."""

from __future__ import annotations

import itertools
import sqlite3
from datetime import datetime
from pathlib import Path

from distributor.core.errors import StorageError
from distributor.core.points import reach
from distributor.storage import schema
from distributor.storage.copying import copy_sqlite, find_damage, sync
from distributor.storage.database import Database


def backup_sqlite(database: Database, target: Path, is_quick: bool = False) -> Path:
    """Copy a database in use by SQLite's own online backup, verify the copy, then give it its name.

    The copy is complete and consistent; copying the file by hand would miss what is still in its -wal file.
    `is_quick`: without comparing indexes with tables, for copies that are made each hour.
    Raises StorageError when the copy does not verify or cannot be written; then nothing is left behind.
    """
    if not database.is_sqlite:
        raise StorageError(
            "a PostgreSQL database is backed up with pg_dump: pg_dump --format=custom --file FILE URL"
        )
    if target.exists():
        raise StorageError(f"{target} exists already; choose another name, a backup is never overwritten")
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        reach("backup.copy")
        copy_sqlite(database.path, part)
        problem = find_damage(part, is_quick)
        if problem:
            raise StorageError(f"the copy does not verify ({problem}); it was deleted, the database is untouched")
        sync(part)
        reach("backup.rename")
        part.rename(target)
        reach("backup.renamed")
        sync(target.parent)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"the backup could not be written to {target}: {error}") from None
    finally:
        for leftover in (part, Path(f"{part}-wal"), Path(f"{part}-shm")):
            leftover.unlink(missing_ok=True)
    return target


def name_backup(database: Database, now: datetime) -> Path:
    """Where a backup goes when nobody says: beside the database, named by the UTC time. A name that is taken gets a
    number: a program that dies while it upgrades is started again within the same second."""
    folder, name = database.path.parent / "backups", f"{database.path.stem}-{now:%Y%m%dT%H%M%SZ}"
    names = (f"{name}-{number}.db" if number > 1 else f"{name}.db" for number in itertools.count(1))
    return next(folder / one for one in names if not (folder / one).exists())


def upgrade_with_backup(database: Database, now: datetime) -> tuple[str | None, str, Path | None]:
    """Raise the schema; an SQLite database that holds anything is copied first. Returns (before, after, copy)."""
    schema.refuse_half_restored(database)
    before = schema.read_version(database)
    copy = None
    if database.is_sqlite and before is not None and before != schema.HEAD and before in schema.KNOWN:
        copy = backup_sqlite(database, name_backup(database, now))
    found, after = schema.upgrade(database)
    return found, after, copy
