"""Copies of SQLite files that are in use, and whether a copy is sound."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from distributor.core.errors import StorageError
from distributor.core.points import reach


def copy_sqlite(source: Path, target: Path) -> None:
    """SQLite's own online backup, in one step: its writers go on, and cannot make it begin again.

    Raises StorageError, OSError or sqlite3.Error.
    """
    if not source.exists():
        raise StorageError(f"{source} does not exist; there is nothing to back up")
    reach("copying.copy")
    with _open_to_read(source) as one, contextlib.closing(sqlite3.connect(target)) as two:
        target.chmod(0o600)
        one.backup(two)
    reach("copying.copied")


@contextlib.contextmanager
def _open_to_read(path: Path) -> Iterator[sqlite3.Connection]:
    """A file in a folder that cannot be written is only read when nothing can be changing it."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError:
        connection.close()
        if Path(f"{path}-wal").exists():
            raise
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    with contextlib.closing(connection):
        yield connection


def find_damage(path: Path, is_quick: bool = False) -> str:
    """What SQLite finds wrong with a file, "" when it is sound. `is_quick` leaves the indexes out."""
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            word = "quick_check" if is_quick else "integrity_check"
            found = [row[0] for row in connection.execute(f"PRAGMA {word}(5)")]
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if found == ["ok"] else "; ".join(found)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        reach("copying.sync")
        os.fsync(handle)
    finally:
        os.close(handle)
