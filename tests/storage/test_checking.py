"""What `db check` finds, and that it changes nothing."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from distributor.storage import Storage
from distributor.storage.aftermath import check_in
from distributor.storage.backup import backup_sqlite, name_backup
from distributor.storage.checking import check
from distributor.storage.instance import Mark, enter_safe_mode, write_mark
from distributor.storage.send_record import SendRecord, list_files
from tests.storage.scene import add_edition, add_readers


@pytest.fixture
def state_dir(storage: Storage, tmp_path: Path, now: datetime) -> Path:
    folder = tmp_path / "state"
    check_in(storage.database, folder, now)
    return folder


def find(storage: Storage, state_dir: Path, now: datetime) -> str:
    return "\n".join(check(storage.database, state_dir, now).problems)


def test_a_sound_database_in_its_place_has_no_problems_and_says_who_it_is(
    storage: Storage, state_dir: Path, now: datetime
) -> None:
    add_edition(storage, now)
    result = check(storage.database, state_dir, now)
    assert result.problems == ()
    assert f"instance {storage.instance}, fence 1" in result.notes


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("UPDATE edition SET content = NULL", "is frozen and has no words"),
        (
            "DELETE FROM list_member; DELETE FROM subscriber WHERE id = 2",
            "1 deliveries are for readers who are not",
        ),
        ("UPDATE edition SET audience = 7", "do not add up"),
        ("INSERT INTO meta (key, value) VALUES ('moved_to', 'there')", "has moved to there"),
        ("INSERT INTO meta (key, value) VALUES ('arriving', 'x')", "move into this database was broken off"),
        ('UPDATE meta SET value = \'{"path": "/elsewhere", "database": "1"}\' WHERE key = \'home\'', "is a copy"),
    ],
)
def test_what_is_wrong_inside_is_found(
    storage: Storage, state_dir: Path, now: datetime, sentence: str, found: str
) -> None:
    add_readers(storage, now, 3)
    add_edition(storage, now, channel="letter", list_name="readers")
    with storage.database.write("test.spoil") as connection:
        for part in sentence.split(";"):
            connection.exec_driver_sql(part)
    assert found in find(storage, state_dir, now)


def test_safe_mode_and_a_higher_mark_and_another_mark_are_found(
    storage: Storage, state_dir: Path, now: datetime
) -> None:
    write_mark(state_dir, Mark(storage.instance, 5))
    assert "is older than the one" in find(storage, state_dir, now)
    write_mark(state_dir, Mark("other", 1))
    assert "belongs to another database" in find(storage, state_dir, now)
    enter_safe_mode(storage.database, "it may be a copy", now)
    assert "safe mode: it may be a copy" in find(storage, state_dir, now)


def test_lines_of_the_record_that_say_nothing_are_counted(storage: Storage, state_dir: Path, now: datetime) -> None:
    record = SendRecord(state_dir, storage.instance, "f1")
    record.note_ended("unheard-of", {"sent": [1]}, {}, now)
    record.close()
    with list_files(state_dir)[0].open("ab") as file:
        file.write(f"e {storage.instance} 1.0 t se\ne another 1.0\n\n".encode())
    problems = find(storage, state_dir, now)
    assert "1 lines cannot be read" in problems
    assert "of which this database knows nothing" in problems


def test_a_backup_that_is_too_old_is_found(storage: Storage, state_dir: Path, now: datetime) -> None:
    if not storage.database.is_sqlite:
        return
    assert "there is no backup yet; see: distributor db backup" in check(storage.database, state_dir, now).notes
    copy = backup_sqlite(storage.database, name_backup(storage.database, now))
    hours = now - timedelta(hours=25)
    os.utime(copy, (hours.timestamp(), hours.timestamp()))
    assert find(storage, state_dir, now) == ""
    assert "the last backup is 28 hours old" in find(storage, state_dir, now + timedelta(hours=3))
