"""Databases and files whose n-th call fails: by the engine's events and at named boundaries, nothing patched."""

from __future__ import annotations

import errno
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import psycopg
from sqlalchemy import event

from distributor.core import points
from distributor.storage.database import Database, TidyConnection

#: How a statement fails before it is carried out, and how a commit fails after it was.
SQLITE_KINDS = ("busy", "full", "io")
POSTGRES_KINDS = ("busy", "full", "io", "gone")
LOST = "lost"
FILE_KINDS = {"no space": errno.ENOSPC, "bad disk": errno.EIO}
#: The files that sending depends on: the send journal and the send record.
FILE_POINTS = ("send_journal.", "send_record.")

_SQLITE_WORDS = {
    "busy": "database is locked",
    "full": "database or disk is full",
    "io": "disk I/O error",
    LOST: "disk I/O error",
}
_POSTGRES_ERRORS: dict[str, type[psycopg.Error]] = {
    "busy": psycopg.errors.LockNotAvailable,
    "full": psycopg.errors.DiskFull,
    "io": psycopg.errors.IoError,
    "gone": psycopg.OperationalError,
    LOST: psycopg.OperationalError,
}


class Breaks:
    """Counts calls, and fails one of them once it is armed. Once: what comes after goes on unharmed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kind, self._at = "", 0
        self.statements = self.commits = self.files = 0

    def arm(self, kind: str = "", at: int = 0) -> None:
        """Count from here; fail the call number `at` in this way (none: only count)."""
        with self._lock:
            self._kind, self._at = kind, at
            self.statements = self.commits = self.files = 0
        points.arm(self._reach)

    def disarm(self) -> None:
        points.arm(None)
        self._kind = ""

    def count_statement(self) -> str:
        """The kind of failure of this statement, "" for none."""
        with self._lock:
            self.statements += 1
            is_it = self.statements == self._at and self._kind not in (LOST, *FILE_KINDS)
            return self._take() if is_it else ""

    def count_commit(self) -> str:
        with self._lock:
            self.commits += 1
            return self._take() if self.commits == self._at and self._kind == LOST else ""

    def _take(self) -> str:
        kind, self._kind = self._kind, ""
        return kind

    def _reach(self, name: str) -> None:
        if not name.startswith(FILE_POINTS):
            return
        with self._lock:
            self.files += 1
            kind = self._take() if self.files == self._at and self._kind in FILE_KINDS else ""
        if kind:
            raise OSError(FILE_KINDS[kind], f"{kind} at {name}")


def break_database(database: Database, breaks: Breaks) -> None:
    """Every connection that the database opens from now on can fail."""
    connect = _make_sqlite(breaks) if database.is_sqlite else _make_postgres(breaks)
    for engine in {database._writer, database._reader}:
        event.listen(engine, "do_connect", lambda dialect, record, words, named: connect(*words, **named))


def _make_sqlite(breaks: Breaks) -> Callable[..., Any]:
    def fail(kind: str) -> None:
        if kind:
            raise sqlite3.OperationalError(_SQLITE_WORDS[kind])

    class Cursor(sqlite3.Cursor):
        def execute(self, sentence: str, *values: Any) -> Any:
            return self._carry_out(sentence, super().execute, values)

        def executemany(self, sentence: str, *values: Any) -> Any:
            return self._carry_out(sentence, super().executemany, values)

        def _carry_out(self, sentence: str, execute: Callable[..., Any], values: tuple[Any, ...]) -> Any:
            if not sentence.startswith("PRAGMA"):
                fail(breaks.count_statement())
            result = execute(sentence, *values)
            if sentence == "COMMIT":
                fail(breaks.count_commit())
            return result

    class Connection(TidyConnection):
        def cursor(self, factory: Any = None) -> Any:
            return super().cursor(Cursor)

        def commit(self) -> None:
            if not self.in_transaction:
                return
            fail(breaks.count_statement())
            super().commit()
            fail(breaks.count_commit())

    return lambda *words, **named: sqlite3.connect(*words, **{**named, "factory": Connection})


def _make_postgres(breaks: Breaks) -> Callable[..., Any]:
    def fail(connection: psycopg.Connection[Any], kind: str) -> None:
        if kind in ("gone", LOST):
            connection.close()
        if kind:
            raise _POSTGRES_ERRORS[kind](f"the server says: {kind}")

    class Cursor(psycopg.Cursor[Any]):
        def execute(self, *words: Any, **named: Any) -> Any:
            fail(self.connection, breaks.count_statement())
            return super().execute(*words, **named)

        def executemany(self, *words: Any, **named: Any) -> None:
            fail(self.connection, breaks.count_statement())
            super().executemany(*words, **named)

    class Connection(psycopg.Connection[Any]):
        def commit(self) -> None:
            is_busy = self.info.transaction_status != psycopg.pq.TransactionStatus.IDLE
            if is_busy:
                fail(self, breaks.count_statement())
            super().commit()
            if is_busy:
                fail(self, breaks.count_commit())

    return lambda *words, **named: Connection.connect(*words, **{**named, "cursor_factory": Cursor})
