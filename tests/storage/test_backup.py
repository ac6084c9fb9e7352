"""Backup, check, versions."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from distributor.core.errors import StorageError
from distributor.storage import Storage, join_stores, open_storage, schema
from distributor.storage.backup import backup_sqlite, name_backup
from distributor.storage.checking import check
from distributor.storage.database import Database
from distributor.storage.tables import metadata
from tests.storage.scene import add_edition


def test_the_newest_migration_is_the_one_the_program_asks_for() -> None:
    from alembic.script import ScriptDirectory

    folder = ScriptDirectory.from_config(schema.alembic_config())
    assert folder.get_current_head() == schema.HEAD
    assert {step.revision for step in folder.walk_revisions()} == set(schema.KNOWN)


def test_migrations_make_exactly_the_tables_of_the_program(storage: Storage) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with storage.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, metadata) == []


def test_a_newer_database_is_refused_and_left_alone(storage: Storage, ready_database_url: str) -> None:
    with storage.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match="newer than this program"):
        open_storage(ready_database_url)
    with pytest.raises(StorageError, match="newer than this program"):
        schema.upgrade(storage.database)


def test_an_empty_database_names_the_command_to_type(database_url: str) -> None:
    with pytest.raises(StorageError, match="distributor db upgrade"):
        open_storage(database_url)


def test_upgrading_twice_changes_nothing(storage: Storage) -> None:
    assert schema.upgrade(storage.database) == (schema.HEAD, schema.HEAD)


def test_check_finds_a_sound_database_sound(storage: Storage, now: datetime) -> None:
    add_edition(storage, now)
    result = check(storage.database)
    assert result.problems == ()
    assert result.rows["delivery"] == 1


def test_a_backup_made_during_use_opens_and_holds_everything(tmp_path: Path, now: datetime) -> None:
    database = Database(f"sqlite:///{tmp_path}/live.db")
    schema.upgrade(database)
    add_edition(join_stores(database), now)
    copy = backup_sqlite(database, name_backup(database, now))
    again = open_storage(f"sqlite:///{copy}")
    assert again.reports.count_deliveries() == {("tg", "queued"): 1}
    again.close()
    database.close()
    assert not list(copy.parent.glob("*.part*"))


def test_a_backup_never_overwrites(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/live.db")
    schema.upgrade(database)
    target = tmp_path / "copy.db"
    target.write_text("mine")
    with pytest.raises(StorageError, match="never overwritten"):
        backup_sqlite(database, target)
    assert target.read_text() == "mine"
    database.close()


def test_a_file_that_is_no_database_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("shopping list\n" * 100)
    database = Database(f"sqlite:///{path}")
    with pytest.raises(StorageError, match="not a database"):
        schema.upgrade(database)
    database.close()


def test_a_locked_database_is_a_sentence_and_loses_nothing(tmp_path: Path, now: datetime) -> None:
    database = Database(f"sqlite:///{tmp_path}/live.db", busy_seconds=0.05)
    schema.upgrade(database)
    other = sqlite3.connect(tmp_path / "live.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="locked by another program"):
        add_edition(join_stores(database), now)
    other.execute("ROLLBACK")
    other.close()
    add_edition(join_stores(database), now)
    database.close()


def test_no_update_is_lost_between_threads(storage: Storage) -> None:
    """The driver's default transactions lose updates without an error; ours must not."""
    import threading

    with storage.database.write() as connection:
        connection.execute(text("INSERT INTO meta (key, value) VALUES ('count', '0')"))

    def add() -> None:
        for _ in range(25):
            with storage.database.write() as connection:
                lock = "" if storage.database.is_sqlite else " FOR UPDATE"
                value = connection.execute(text(f"SELECT value FROM meta WHERE key = 'count'{lock}")).scalar_one()
                connection.execute(
                    text("UPDATE meta SET value = :v WHERE key = 'count'"), {"v": str(int(value) + 1)}
                )

    threads = [threading.Thread(target=add) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with storage.database.read() as connection:
        assert connection.execute(text("SELECT value FROM meta WHERE key = 'count'")).scalar_one() == "150"


def test_two_copies_within_one_second_do_not_get_in_each_others_way(storage: Storage, now: datetime) -> None:
    """A program that is killed while it upgrades is started again at once."""
    database = storage.database
    if not database.is_sqlite:
        pytest.skip("copies are made of SQLite")
    copies = [backup_sqlite(database, name_backup(database, now)) for _ in range(2)]
    assert len(set(copies)) == 2
    assert all(copy.exists() for copy in copies)
