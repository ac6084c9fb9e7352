"""Databases to measure on: a SQLite file, and one on PostgreSQL where there is a server."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from benchmarks.rigs.letters import make_edition
from benchmarks.rigs.product import read_cpu_of
from benchmarks.rigs.rounds import read_cpu
from distributor.core.planning import EditionPlan
from distributor.core.subscriber import NewSubscriber
from distributor.storage import Storage, join_stores, schema
from distributor.storage.database import Database

KINDS = ("sqlite", "postgresql")
LIST = "readers"
PATIENCE = 60.0


@dataclass(frozen=True)
class Bench:
    """A database with our tables. CPU is this process's and, on PostgreSQL, that of the server's processes."""

    storage: Storage
    database: Database
    #: Says one statement with `:name` values to the driver itself, on a connection of its own: a transaction each.
    say: Callable[[str, dict[str, object]], object]

    def read_cpu(self) -> float:
        """User and system seconds so far, here and in the server's processes for this database."""
        return read_cpu() + sum(read_cpu_of(pid) for pid in self._list_backends())

    def _list_backends(self) -> list[int]:
        if self.database.is_sqlite:
            return []
        with self.database.read() as connection:
            rows = connection.exec_driver_sql(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid IS NOT NULL"
            )
            return [int(row[0]) for row in rows]


@contextmanager
def open_server(folder: Path) -> Iterator[str]:
    """The URL of the tests' PostgreSQL (or the one DISTRIBUTOR_TEST_POSTGRES names) until the block ends."""
    from tests.postgres_server import join_server

    named = os.environ.get("DISTRIBUTOR_TEST_POSTGRES")
    if named:
        yield named
        return
    url, held = join_server(folder)
    try:
        yield url
    finally:
        os.close(held)
        _wait_for_end(Path(url.rpartition("host=")[2]))


def _wait_for_end(home: Path) -> None:
    """Until the server's keeper has stopped it and put its folder away: who comes next has the machine alone."""
    deadline = time.monotonic() + PATIENCE
    while home.exists() and time.monotonic() < deadline:
        time.sleep(0.02)


@contextmanager
def open_bench(kind: str, folder: Path, server: str = "") -> Iterator[Bench]:
    """An empty database of its own with our tables; gone afterwards."""
    if kind == "sqlite":
        with _open(f"sqlite:///{folder}/bench.db") as bench:
            yield bench
        return
    import psycopg

    name = f"bench_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            with _open(urlunsplit(urlsplit(server)._replace(path=f"/{name}"))) as bench:
                yield bench
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextmanager
def _open(url: str) -> Iterator[Bench]:
    database = Database(url)
    try:
        schema.upgrade(database)
        with _open_driver(database, url) as say:
            yield Bench(join_stores(database), database, say)
    finally:
        database.close()


@contextmanager
def _open_driver(database: Database, url: str) -> Iterator[Callable[[str, dict[str, object]], object]]:
    if database.is_sqlite:
        with closing(sqlite3.connect(database.path, isolation_level=None)) as file:
            file.execute("PRAGMA synchronous=FULL")
            yield file.execute
        return
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        yield lambda sentence, row: connection.execute(re.sub(r":(\w+)", r"%(\1)s", sentence).encode(), row)


def add_readers(storage: Storage, count: int, gone_each: int = 20) -> int:
    """Readers on one list, one in `gone_each` of them suppressed; returns how many are left."""
    for _ in storage.recipients.add_subscribers(_make_readers(count), LIST, datetime.now(UTC)):
        pass
    with storage.database.write("bench.suppress") as connection:
        connection.exec_driver_sql(
            "INSERT INTO suppression (address_key, list, reason, at) SELECT address_key, '', 'bench', 0"
            f" FROM subscriber WHERE id - id / {gone_each} * {gone_each} = 0"
        )
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("ANALYZE")
    return count - count // gone_each


def _make_readers(count: int) -> Iterable[NewSubscriber]:
    for number in range(1, count + 1):
        address = f"reader{number}@mail{number % 977}.example.org"
        yield NewSubscriber(address, address, f"Reader {number}")


def plan_edition(storage: Storage, number: int, now: datetime) -> int:
    """A planned edition of a schedule of its own, whose audience nobody compares with the last one's; its id."""
    key = f"letter:{number}"
    plan = EditionPlan(key, key, "letter", "digest", "Letter", now, now + timedelta(days=1), ())
    edition_id = storage.editions.add_edition(plan, now)
    assert edition_id is not None
    return edition_id


def freeze_edition(storage: Storage, edition_id: int, now: datetime) -> int:
    """Freeze it to everybody on the list; the audience."""
    content = make_edition().content
    return storage.editions.freeze(edition_id, content, list_name=LIST, revisions={}, links=(), now=now)
