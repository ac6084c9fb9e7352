"""A transaction that fails in mid-reading leaves nothing behind, even while somebody keeps its exception."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from distributor.core.errors import StorageError
from distributor.storage import Storage
from distributor.storage.database import Database
from distributor.storage.tables import meta

Open = Callable[[], AbstractContextManager[Connection]]


@pytest.fixture
def databases(ready_database_url: str) -> Iterator[tuple[Database, Database]]:
    """The same one, as two processes have it."""
    pair = Database(ready_database_url, busy_seconds=1.0), Database(ready_database_url, busy_seconds=1.0)
    for number in range(3):
        put(pair[0], f"row {number}")
    yield pair
    for one in pair:
        one.close()


def put(database: Database, key: str) -> None:
    with database.write() as connection:
        connection.execute(insert(meta).values(key=key, value=""))


def fail_while_reading(transact: Open) -> Exception:
    """The exception, which holds all that its frames held, as a log or a debugger keeps it."""
    try:
        with transact() as connection:
            rows: Any = iter(connection.execute(select(meta.c.key)))
            next(rows)
            raise RuntimeError("in the middle of the rows")
    except RuntimeError as error:
        return error


def test_the_next_look_is_not_held_to_what_the_failed_one_saw(databases: tuple[Database, Database]) -> None:
    here, there = databases
    kept = fail_while_reading(here.read)
    put(there, "later")
    with here.read() as connection:
        assert connection.execute(select(meta.c.key).where(meta.c.key == "later")).all()
    assert kept.__traceback__ is not None


def test_the_next_change_is_not_kept_from_the_database(databases: tuple[Database, Database]) -> None:
    here, there = databases
    kept = fail_while_reading(here.write)
    put(there, "from another process")
    put(here, "later")
    assert kept.__traceback__ is not None


def test_a_short_look_at_a_server_that_goes_away_says_what_to_do(postgres_ready_storage: Storage) -> None:
    database = postgres_ready_storage.database
    with pytest.raises(StorageError, match="the database server is stopping or starting"):
        database.look("SELECT pg_terminate_backend(pg_backend_pid())")
    assert database.look("SELECT 1") == [(1,)]
