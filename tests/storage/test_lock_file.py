"""The lock of a SQLite file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from distributor.core.errors import StorageError
from distributor.storage.database import Database
from distributor.storage.lock import lock_database


def test_a_sqlite_file_is_held_by_one_and_free_after_it(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'distributor.db'}")
    unlock = lock_database(database)
    with pytest.raises(StorageError, match=rf"another distributor \(process {os.getpid()}\)"):
        lock_database(database)
    unlock()
    lock_database(database)()
    database.close()
