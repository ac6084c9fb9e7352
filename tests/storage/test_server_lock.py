"""The lock of a PostgreSQL database while its server comes and goes."""

from __future__ import annotations

import psycopg
import pytest

from distributor.core.errors import StorageError
from distributor.storage.database import Database
from distributor.storage.lock import ServerLock
from tests.conftest import name_in


def count_held(server: psycopg.Connection, name: str) -> int:
    row = server.execute(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database "
        "WHERE locktype = 'advisory' AND datname = %s",
        (name,),
    ).fetchone()
    assert row is not None
    return int(row[0])


def shut_out(server: psycopg.Connection, name: str, is_shut: bool) -> None:
    """As a server that is away looks to this database's clients."""
    server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {not is_shut}".encode())
    server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))


def test_the_lock_is_taken_again_after_an_outage_longer_than_one_look(
    postgres_url: str, postgres_database_url: str
) -> None:
    database, name = Database(postgres_database_url), name_in(postgres_database_url)
    lock = ServerLock(database, is_shared=False)
    with psycopg.connect(postgres_url, autocommit=True) as server:
        shut_out(server, name, is_shut=True)
        for _ in range(2):
            with pytest.raises(StorageError):
                lock.renew()
        shut_out(server, name, is_shut=False)
        lock.renew()
        assert count_held(server, name) == 1
        lock()
    database.close()
