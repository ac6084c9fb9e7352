"""Processes that can be seen to live, on PostgreSQL: each holds an advisory lock of its own over one connection.

The server closes the connection of a process that was killed and gives the lock back at once. Of a machine that
lost its power or its network it hears nothing for long: its missing signs of life tell (workers.py).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from hashlib import blake2b

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from distributor.core.errors import StorageError
from distributor.storage.database import Database, open_unpooled
from distributor.storage.workers import BEAT_SECONDS

#: "here" as a number.
_HERE = 0x68657265
#: Seconds for which the connection must have held before others' locks are missed: the server may have been away,
#: and the others may not have taken theirs again, which they do with each sign of life.
STEADY_AFTER = BEAT_SECONDS * 2
_TAKE = text("SELECT pg_advisory_lock(:here, :number)")
_FIND = text(
    "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted "
    "AND classid = :here AND objid = CAST(:number AS bigint) "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
)


class ServerPresence:
    """Of one process. Safe to use from several threads. `monotonic` counts seconds that no clock change touches."""

    def __init__(self, database: Database, fence: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Raises StorageError."""
        self._label = database.label
        engine = open_unpooled(database.url.render_as_string(hide_password=False))
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._fence = fence
        self._monotonic = monotonic
        self._guard = threading.Lock()
        self._since = 0.0
        self._connection: Connection | None = None
        self.renew()

    def renew(self) -> None:
        """Make sure that this process can be seen. Raises StorageError."""
        with self._guard:
            self._ask(lambda connection: connection.execute(text("SELECT 1")))

    def has_gone(self, fence: str) -> bool:
        """Whether the process with this fence is dead for sure. Raises StorageError."""
        with self._guard:
            sought = {"here": _HERE, "number": _number(fence) % 2**32}
            is_here = self._ask(lambda connection: connection.execute(_FIND, sought).scalar())
            return not is_here and self._monotonic() - self._since > STEADY_AFTER

    def close(self) -> None:
        with self._guard:
            self._drop()

    def _ask(self, question: Callable[[Connection], object]) -> object:
        """Over the connection that holds the lock: an answer tells that it held until now."""
        try:
            if self._connection is not None:
                return question(self._connection)
        except DBAPIError:
            self._drop()
        try:
            self._connection = self._engine.connect()
            self._connection.execute(_TAKE, {"here": _HERE, "number": _number(self._fence)})
            self._since = self._monotonic()
            return question(self._connection)
        except DBAPIError as error:
            self._drop()
            raise StorageError(f"{self._label}: the database server cannot be reached") from error

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(DBAPIError):
                connection.close()


def _number(fence: str) -> int:
    return int.from_bytes(blake2b(fence.encode(), digest_size=4).digest(), "big", signed=True)
