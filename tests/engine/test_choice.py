"""Which engine a process runs, and what it needs for that."""

from __future__ import annotations

import threading

import pytest

from distributor.core.errors import StorageError
from distributor.run import choose_engine
from distributor.storage.database import Database
from distributor.storage.lock import lock_database

ALL = frozenset({"web", "clock", "worker"})
WORKER = frozenset({"worker"})


@pytest.mark.parametrize(
    ("wanted", "is_sqlite", "roles", "chosen"),
    [
        ("auto", True, ALL, "local"),
        ("auto", True, WORKER, "local"),
        ("auto", False, ALL, "local"),
        ("auto", False, WORKER, "procrastinate"),
        ("local", False, WORKER, "local"),
        ("procrastinate", False, ALL, "procrastinate"),
    ],
)
def test_auto_means_local_unless_roles_are_split(
    wanted: str, is_sqlite: bool, roles: frozenset[str], chosen: str
) -> None:
    assert choose_engine(wanted, is_sqlite, roles) == chosen


def test_a_local_engine_is_alone_and_workers_are_not(postgres_database_url: str) -> None:
    database = Database(postgres_database_url)
    alone = lock_database(database)
    with pytest.raises(StorageError, match="another distributor sends on this database"):
        lock_database(database)
    with pytest.raises(StorageError, match="a local engine runs on this database"):
        lock_database(database, is_shared=True)
    alone.renew()
    alone()
    shared = [lock_database(database, is_shared=True) for _ in range(2)]
    with pytest.raises(StorageError, match="another distributor sends on this database"):
        lock_database(database)
    for lock in shared:
        lock()
    database.close()


def test_the_queue_makes_its_tables_once_however_many_begin(postgres_database_url: str) -> None:
    from distributor.engine.procrastinate_tables import ensure_tables

    threads = [threading.Thread(target=ensure_tables, args=(postgres_database_url,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_version(postgres_database_url)


def test_the_queue_brings_older_tables_up_to_the_library(postgres_database_url: str) -> None:
    import psycopg

    from distributor.engine.procrastinate_tables import ensure_tables

    ensure_tables(postgres_database_url)
    newest = read_version(postgres_database_url)
    with psycopg.connect(postgres_database_url) as connection:
        connection.execute("COMMENT ON TABLE procrastinate_jobs IS '3.9.0'")
    ensure_tables(postgres_database_url)
    assert read_version(postgres_database_url) == newest


def test_a_server_that_is_away_is_said_to_be() -> None:
    from distributor.engine.procrastinate_tables import ensure_tables

    with pytest.raises(StorageError, match="the queue's tables"):
        ensure_tables("postgresql://postgres@127.0.0.1:1/nothing?connect_timeout=1")


def test_names_of_queues_fit_into_postgresqls_notifications() -> None:
    from distributor.engine.procrastinate import name_queue

    names = ["tg", "a" * 60, "a" * 59 + "b", "ї" * 60]
    queues = [name_queue(name) for name in names]
    assert queues[0] == "send.tg"
    assert len(set(queues)) == len(names)
    assert all(len(f"procrastinate_queue_v1#{queue}".encode()) < 64 for queue in queues)


def read_version(url: str) -> str:
    import psycopg

    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT obj_description('procrastinate_jobs'::regclass)").fetchone()
    assert row is not None
    return str(row[0])
