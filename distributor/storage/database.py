"""One database, two dialects: how a transaction is opened, and what it leaves behind.

SQLite: WAL, one writing connection behind a lock, `BEGIN IMMEDIATE` for every writing transaction. The driver's
default mode loses updates without an error (libraries.md section 8), and two writing connections in one process
meet a WAL-reset bug in SQLite before 3.51.3 (reliability.md 0.12).
PostgreSQL: a pool; decisions are made by conditional UPDATEs, so READ COMMITTED is enough.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from weakref import WeakSet

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

from distributor.core.errors import StorageError
from distributor.core.points import reach
from distributor.core.waking import Waker, Wakeup
from distributor.storage.failures import explain

BUSY_SECONDS = 10.0
#: A mistake of ours goes to the log with its statement, but not with its values: they may be readers' addresses.
_POOL: dict[str, Any] = {"poolclass": QueuePool, "pool_size": 8, "max_overflow": 24, "hide_parameters": True}
_WOKEN = "channels to wake after the commit"


class Database:
    """Opens transactions. Safe to share between threads."""

    def __init__(self, url: str, busy_seconds: float = BUSY_SECONDS) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        #: The address without its password.
        self.label = self.url.render_as_string(hide_password=True)
        self._lock = threading.RLock()
        self._explain = partial(explain, self.label)
        self._looking = threading.Lock()
        self._busy_seconds = busy_seconds
        #: Set by the process that sends or wakes senders; commands have none, what they queue is found by looking.
        self.waker: Waker | None = None
        if self.is_sqlite:
            self._writer, self._reader = _open_sqlite(self.path, busy_seconds)
        else:
            self._writer = self._reader = _open_postgres(url)

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return Path(self.url.database or "")

    @contextmanager
    def write(self, name: str = "") -> Iterator[Connection]:
        """A transaction that may change things; commits at the end, rolls back on any exception.

        `name` ("ledger.claim") makes its two boundaries points of core/points.py.
        """
        lock = self._lock if self.is_sqlite else nullcontext()
        with lock, self._explain(), self._writer.begin() as connection:
            connection.info.pop(_WOKEN, None)
            yield connection
            reach(f"{name} written")
            woken = connection.info.pop(_WOKEN, ())
        reach(f"{name} committed")
        if self.waker is not None:
            for channel in woken:
                self.waker.wake(channel)

    def announce(self, connection: Connection, wakeup: Wakeup) -> None:
        """This transaction makes deliveries ready: tell the waker, if there is one, in it and after its commit."""
        if self.waker is not None:
            self.waker.enqueue(connection.connection.driver_connection, wakeup)
            connection.info.setdefault(_WOKEN, set()).add(wakeup.channel)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent look that cannot change anything and never waits for a writer."""
        with self._explain(), self._reader.connect() as connection:
            yield connection

    # SQLAlchemy takes ten times as long to say a short sentence as SQLite to do it, so what runs each second goes
    # to the driver itself.

    def look(self, sentence: str) -> list[Any]:
        """The rows of one query without values, as tuples."""
        if not self.is_sqlite:
            with self.read() as connection:
                return run_quickly(connection, sentence)
        with self._looking, self._explain():
            return list(self._looker.execute(sentence).fetchall())

    def read_mark(self) -> object:
        """A value that differs after every commit, by whatever process: SQLite counts those of other connections
        than the one that asks, PostgreSQL says which transactions have ended. Raises StorageError."""
        return self.look("PRAGMA data_version" if self.is_sqlite else "SELECT CAST(pg_current_snapshot() AS text)")

    def note(self, sentence: str, rows: Sequence[Mapping[str, object]]) -> None:
        """One statement for each of `rows`, in a transaction that does not wait for the disk: safe from kill -9,
        but a power cut may undo it, and what was noted just before. Never for what a message depends on."""
        if not self.is_sqlite:
            with self.write("database.note") as connection:
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
                run_quickly(connection, sentence, rows)
            return
        with self.drive() as driver, self._explain():
            driver.execute("PRAGMA synchronous=NORMAL")
            try:
                driver.execute("BEGIN IMMEDIATE")
                driver.executemany(sentence, rows)
                reach("database.note written")
                driver.execute("COMMIT")
            except BaseException:
                driver.rollback()
                raise
            finally:
                driver.execute("PRAGMA synchronous=FULL")
        reach("database.note committed")

    @contextmanager
    def trust_references(self) -> Iterator[None]:
        """On SQLite, transactions in it do not look up whether the rows exist that theirs refer to: only for those
        that read them in the same transaction, and never for one that deletes. Nobody else writes meanwhile."""
        if not self.is_sqlite:
            yield
            return
        with self.drive() as driver:
            driver.execute("PRAGMA foreign_keys=OFF")
            try:
                yield
            finally:
                driver.execute("PRAGMA foreign_keys=ON")

    @contextmanager
    def drive(self) -> Iterator[sqlite3.Connection]:
        """SQLite's one writing connection, between transactions; for what stands beside our own tables."""
        with self._lock:
            yield self._noter

    def close(self) -> None:
        with self._looking:
            if "_looker" in self.__dict__:
                self.__dict__.pop("_looker").close()
        self._reader.dispose()
        with self._lock if self.is_sqlite else nullcontext():
            self.__dict__.pop("_noter", None)
            self._writer.dispose()

    @cached_property
    def _looker(self) -> Any:
        connection = sqlite3.connect(self.path, **_sqlite_arguments(self._busy_seconds))
        _prepare_reader(connection, None)
        return connection

    @cached_property
    def _noter(self) -> Any:
        """The one writing connection there is."""
        with self._writer.connect() as connection:
            return connection.connection.driver_connection


def run_quickly(connection: Connection, sentence: str, rows: Sequence[Mapping[str, object]] = ()) -> list[Any]:
    """Rows of a query without values, or one statement for each of `rows`, said to the driver itself.

    For what runs each second or for each reader: SQLAlchemy takes ten times as long to say it as the database to
    do it. Values are texts, numbers or None, and stand as `:name`.
    """
    is_sqlite = connection.dialect.name == "sqlite"
    cursor = connection.connection.cursor()
    try:
        if rows:
            cursor.executemany(sentence if is_sqlite else _VALUE.sub(r"%(\1)s", sentence), rows)
            return []
        cursor.execute(sentence)
        return list(cursor.fetchall())
    finally:
        cursor.close()


_VALUE = re.compile(r"(?<!:):([a-z_]+)")


def _open_sqlite(path: Path, busy_seconds: float) -> tuple[Engine, Engine]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make the folder of the database, {path.parent}: {error.strerror}") from None
    arguments = _sqlite_arguments(busy_seconds)
    url = f"sqlite:///{path}"
    writer = create_engine(url, poolclass=StaticPool, connect_args=arguments, hide_parameters=True)
    reader = create_engine(url, connect_args=arguments, pool_reset_on_return=None, **_POOL)
    event.listen(writer, "connect", _prepare_writer)
    event.listen(reader, "connect", _prepare_reader)
    for engine in (writer, reader):
        event.listen(engine, "checkin", _end_statements)
    event.listen(writer, "begin", lambda connection: _begin(connection, "BEGIN IMMEDIATE"))
    event.listen(reader, "begin", lambda connection: _begin(connection, "BEGIN"))
    return writer, reader


class TidyConnection(sqlite3.Connection):
    """Knows its cursors. A query that was not read to its end keeps the database as it was for the connection, even
    after ROLLBACK, as long as its cursor lives; a cursor lives as long as somebody has the exception that left it
    behind. Looks then see old rows, and changes find the database locked once another process has changed it."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._cursors: WeakSet[sqlite3.Cursor] = WeakSet()

    def cursor(self, factory: Any = sqlite3.Cursor) -> Any:
        made = super().cursor(factory)
        self._cursors.add(made)
        return made

    def end_statements(self) -> None:
        for one in list(self._cursors):
            one.close()
        self._cursors.clear()


def _end_statements(connection: TidyConnection | None, _record: Any) -> None:
    if connection is not None:  # it was closed for a failure
        connection.end_statements()


def _sqlite_arguments(busy_seconds: float) -> dict[str, Any]:
    plain = {"check_same_thread": False, "timeout": busy_seconds, "isolation_level": None}
    return {**plain, "factory": TidyConnection}


def _begin(connection: Connection, sentence: str) -> None:
    """Straight to the driver: SQLAlchemy's way to say one word costs four times what SQLite takes for a write."""
    driver: Any = connection.connection.driver_connection
    driver.execute(sentence)


def _prepare_writer(connection: sqlite3.Connection, _record: Any) -> None:
    _keep_to_owner(connection)
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "mmap_size=0",
        "cache_size=-8000",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _keep_to_owner(connection: sqlite3.Connection) -> None:
    """A new database holds readers' addresses: nobody else on this machine may read it, nor its -wal beside it."""
    path = connection.execute("PRAGMA database_list").fetchone()[2]
    if path and Path(path).stat().st_size == 0:
        Path(path).chmod(0o600)


def _prepare_reader(connection: sqlite3.Connection, _record: Any) -> None:
    for pragma in ("query_only=ON", "mmap_size=0", "cache_size=-4000"):
        connection.execute(f"PRAGMA {pragma}")


def _open_postgres(url: str) -> Engine:
    return create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        connect_args={"connect_timeout": 10, "options": "-c lock_timeout=30s -c timezone=UTC"},
        **_POOL,
    )


def open_unpooled(url: str) -> Engine:
    """A connection for one command such as a migration; nothing stays open behind it."""
    return create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
