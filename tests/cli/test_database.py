"""db upgrade, db backup, db check."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import text

from distributor.storage import schema
from distributor.storage.database import Database
from tests.cli.desk import Folder


def test_a_new_database_is_made_and_found_sound(tmp_path: Path, database_url: str) -> None:
    folder = Folder(tmp_path)
    folder.write_config(database={"url": database_url})
    done = folder.type("db", "upgrade")
    assert done.code == 0
    assert f"empty -> {schema.HEAD}" in done.told
    assert "is current" in folder.type("db", "upgrade").told
    checked = folder.type("db", "check", "--json")
    assert checked.code == 0
    assert checked.json["problems"] == []
    assert checked.json["rows"]["delivery"] == 0
    assert folder.type("status").code == 0


def test_the_password_of_a_database_is_never_told(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write_config(database={"url": "postgresql://desk:hunter2@127.0.0.1:9/desk"})
    done = folder.type("db", "check")
    assert done.code == 4
    assert "cannot be reached" in done.told
    assert "hunter2" not in done.told + done.out


def test_a_backup_is_named_by_the_hour_or_as_told_and_never_overwrites(busy: Folder, tmp_path: Path) -> None:
    named = Path(busy.type("db", "backup").out.strip())
    assert named.parent == busy.database.parent / "backups"
    target = tmp_path / "elsewhere" / "today.db"
    assert busy.type("db", "backup", str(target)).code == 0
    with sqlite3.connect(target) as copy:
        assert copy.execute("SELECT count(*) FROM delivery").fetchone() == (4,)
    copy.close()
    done = busy.type("db", "backup", str(target))
    assert done.code == 4
    assert "never overwritten" in done.told


def test_there_is_nothing_to_back_up_where_nothing_is(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write_config()
    done = folder.type("db", "backup")
    assert done.code == 4
    assert not list(tmp_path.rglob("*.part"))


def test_a_backup_of_postgresql_says_which_program_makes_it(tmp_path: Path, postgres_database_url: str) -> None:
    folder = Folder(tmp_path)
    folder.write_config(database={"url": postgres_database_url})
    done = folder.type("db", "backup")
    assert done.code == 4
    assert "pg_dump" in done.told


def test_sums_that_do_not_agree_are_found(busy: Folder) -> None:
    database = Database(f"sqlite:///{busy.database}")
    with database.write() as connection:
        connection.execute(text("DELETE FROM delivery WHERE recipient_id = 2"))
    database.close()
    done = busy.type("db", "check", "--json")
    assert done.code == 1
    assert done.json["problems"] == ["edition 2: its deliveries do not add up to its audience"]
    assert "deliveries of edition 2 do not add up" in busy.type("status").out


def test_checking_changes_nothing_and_makes_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write_config()
    done = folder.type("db", "check")
    assert done.code == 1
    assert "the database is empty; run: distributor db upgrade" in done.told
