"""Who may run: one program per SQLite file; on PostgreSQL one local engine per database, or any number of workers.

And who does run: a process holds a file in its state_dir locked as long as it lives, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from distributor.core.errors import StorageError
from distributor.core.points import reach
from distributor.storage.database import Database, open_unpooled
from distributor.storage.send_journal import list_journals

log = logging.getLogger(__name__)

#: "distributor" as a number, so that other programs' advisory locks are not in the way.
_ADVISORY = 0x6469737472
_ALONE = "a local engine runs on this database and sends alone; stop it first, or set engine: local nowhere"
_TAKEN = (
    "another distributor sends on this database, and a local engine sends alone; stop it first, or let both run "
    "with engine: procrastinate (docs/machines.md)"
)


class Lock(Protocol):
    """A database held for this process. Calling it gives it back; so does the end of the process."""

    def __call__(self) -> None: ...
    def renew(self) -> None:
        """Make sure that it is still held. Raises StorageError when it is not, or nobody knows."""


def lock_database(database: Database, is_shared: bool = False) -> Lock:
    """Hold the database for this process. `is_shared`: beside others that share it, on PostgreSQL.

    Raises StorageError, on SQLite with the other process's number, when somebody else holds it.
    """
    return FileLock(database) if database.is_sqlite else ServerLock(database, is_shared)


class FileLock:
    """A locked file beside the database's."""

    def __init__(self, database: Database) -> None:
        path = Path(f"{database.path}.lock")
        handle = self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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

    def __call__(self) -> None:
        os.close(self._handle)

    def renew(self) -> None:
        """The kernel keeps it."""


class ServerLock:
    """An advisory lock that lives as long as its connection; `renew` takes it again when the server was away."""

    def __init__(self, database: Database, is_shared: bool) -> None:
        self._label = database.label
        engine = open_unpooled(database.url.render_as_string(hide_password=False))
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._is_shared = is_shared
        self._connection = self._take()

    def renew(self) -> None:
        """Raises StorageError when the server is away, or when somebody else was faster."""
        try:
            if not self._connection.closed:
                self._connection.execute(text("SELECT 1"))
                return
        except DBAPIError:
            with contextlib.suppress(DBAPIError):
                self._connection.close()
        # Also after an earlier try that came while the server was still away.
        self._connection = self._take()

    def __call__(self) -> None:
        self._connection.close()

    def _take(self) -> Connection:
        function = f"pg_try_advisory_lock{'_shared' if self._is_shared else ''}"
        try:
            connection = self._engine.connect()
            is_held = connection.execute(text(f"SELECT {function}(:key)"), {"key": _ADVISORY}).scalar()
        except DBAPIError as error:
            raise StorageError(f"{self._label}: the database server cannot be reached") from error
        if not is_held:
            connection.close()
            raise StorageError(f"{self._label}: {_ALONE if self._is_shared else _TAKEN}")
        return connection


def hold_presence(folder: Path, fence: str) -> Callable[[], None]:
    """Say in this folder that the process with this fence lives; the returned function takes it back."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"process-{fence}.lock"
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:  # else somebody looked in between and took it for a dead one's
            break
        os.close(handle)

    def release() -> None:
        reach("presence.leave")
        path.unlink(missing_ok=True)
        os.close(handle)

    return release


def find_presences(folder: Path, fence: str) -> tuple[list[str], list[str]]:
    """(live, dead): the fences of other processes that keep or kept their state in this folder. Dead for sure."""
    live: list[str] = []
    dead: list[str] = []
    for path in sorted(folder.glob("process-*.lock")) if folder.is_dir() else []:
        found = path.stem.partition("-")[2]
        (live if _is_locked(path) else dead).append(found)
    left = {path.name.split("-")[1] for path in list_journals(folder)}
    return live, sorted({*dead, *left} - {*live, fence})


def forget_presences(folder: Path, dead: list[str]) -> None:
    for fence in dead:
        reach("presence.forget")
        (folder / f"process-{fence}.lock").unlink(missing_ok=True)


def _is_locked(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
