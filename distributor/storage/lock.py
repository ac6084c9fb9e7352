"""One running program per SQLite file; on PostgreSQL one local engine per database."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text

from distributor.core.errors import StorageError
from distributor.core.points import reach
from distributor.storage.database import Database, open_unpooled

#: "distributor" as a number, so that other programs' advisory locks are not in the way.
_ADVISORY = 0x6469737472


def lock_database(database: Database) -> Callable[[], None]:
    """Hold the database for this process until the returned function is called or the process ends.

    Raises StorageError with the other process's number when somebody holds it.
    """
    return _lock_file(database) if database.is_sqlite else _lock_server(database)


def _lock_file(database: Database) -> Callable[[], None]:
    path = Path(f"{database.path}.lock")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(handle, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(handle)
        raise StorageError(
            f"{database.label}: another distributor (process {holder}) runs on this database; "
            "stop it first, or use PostgreSQL to run several"
        ) from None
    reach("lock.write")
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    return lambda: os.close(handle)


def _lock_server(database: Database) -> Callable[[], None]:
    engine = open_unpooled(database.url.render_as_string(hide_password=False))
    connection = engine.connect()
    if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY}).scalar():
        connection.close()
        raise StorageError(
            f"{database.label}: another distributor runs its local engine on this database; stop it first"
        )
    connection.commit()
    return connection.close
