"""Copies that nobody has to remember: in time, verified, few, and never in the way of sending."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from distributor.core.errors import StorageError
from distributor.storage import Storage, open_storage
from distributor.storage.backup import backup_sqlite
from distributor.storage.regular_backups import RegularBackups, backup_if_due, list_regular
from tests.storage.scene import add_edition, states

HOUR = timedelta(hours=1)


@pytest.fixture
def desk(tmp_path: Path, sqlite_ready: Path) -> Iterator[Storage]:
    path = tmp_path / "desk.db"
    shutil.copyfile(sqlite_ready, path)
    storage = open_storage(f"sqlite:///{path}")
    yield storage
    storage.close()


def test_a_copy_is_made_when_it_is_time_and_opens(desk: Storage, now: datetime) -> None:
    add_edition(desk, now)
    copy = backup_if_due(desk.database, HOUR, 3, now)
    assert copy is not None
    assert backup_if_due(desk.database, HOUR, 3, now + HOUR / 2) is None
    again = open_storage(f"sqlite:///{copy}")
    assert states(again) == {"queued": 1}
    again.close()


def test_only_the_newest_are_kept_and_none_that_somebody_asked_for(desk: Storage, now: datetime) -> None:
    mine = backup_sqlite(desk.database, desk.database.path.parent / "backups" / "desk-mine.db")
    made = [backup_if_due(desk.database, HOUR, 3, now + HOUR * n) for n in range(5)]
    assert list_regular(desk.database) == made[2:]
    assert mine.exists()


def test_none_are_made_where_none_are_wanted_nor_of_postgresql(
    desk: Storage, postgres_ready_storage: Storage, now: datetime
) -> None:
    assert backup_if_due(desk.database, HOUR, 0, now) is None
    assert backup_if_due(postgres_ready_storage.database, HOUR, 3, now) is None


def test_somebody_writes_while_a_copy_is_made(desk: Storage, now: datetime) -> None:
    with desk.database.write("test.hold") as connection:
        connection.exec_driver_sql("INSERT INTO meta (key, value) VALUES ('not', 'yet')")
        copy = backup_if_due(desk.database, HOUR, 3, now)
    assert copy is not None
    again = open_storage(f"sqlite:///{copy}")
    with again.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM meta WHERE key = 'not'").scalar() == 0
    again.close()


def test_a_failure_is_one_alarm_and_no_crash(desk: Storage, tmp_path: Path, now: datetime) -> None:
    (tmp_path / "backups").write_text("in the way")
    backups = RegularBackups(desk.database, tmp_path, HOUR, 3)
    for n in range(3):
        backups.work(now + n * HOUR)
    with desk.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT level, subject FROM notice").all()
    assert [tuple(row) for row in rows] == [("alarm", "backup")]
    (tmp_path / "backups").unlink()
    backups.work(now + 4 * HOUR)
    assert len(list_regular(desk.database)) == 1


def test_no_copy_takes_the_room_that_sending_needs(desk: Storage, now: datetime) -> None:
    size = 15 * 1024**4
    with desk.database.path.open("r+b") as file:
        try:
            file.truncate(size)
        except OSError:
            pytest.skip("this file system has no files with holes of that size")
    try:
        with pytest.raises(StorageError, match="no backup: it needs"):
            backup_if_due(desk.database, HOUR, 3, now)
    finally:
        with desk.database.path.open("r+b") as file:
            file.truncate(4096)


def test_keeping_up_returns_at_once_and_the_copy_comes(desk: Storage, tmp_path: Path, now: datetime) -> None:
    backups = RegularBackups(desk.database, tmp_path, HOUR, 3)
    backups.keep_up(now)
    backups.stop()
    backups.keep_up(now + timedelta(minutes=1))
    backups.stop()
    assert len(list_regular(desk.database)) == 1
