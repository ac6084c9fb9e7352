"""A database that is not where it was, or not what it was, sends nothing before a person has looked."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from distributor.core.delivery import Settlement
from distributor.core.errors import StorageError
from distributor.core.sending import Batch, Settled, Wait
from distributor.storage import Storage, open_storage, schema
from distributor.storage.adoption import adopt, count_waiting, is_adopted
from distributor.storage.aftermath import check_in
from distributor.storage.backup import backup_sqlite
from distributor.storage.database import Database
from distributor.storage.instance import MARK, Mark, enter_safe_mode, read_mark, read_safe_mode, write_mark
from distributor.storage.recorded import RecordedLedger
from tests.storage.scene import add_edition, add_readers, states


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


def send_one(storage: Storage, state_dir: Path, now: datetime, channel: str = "tg") -> None:
    """One delivery of one voice goes out, on the record."""
    ledger = RecordedLedger(storage, state_dir, "f1")
    batch = ledger.claim(channel, limit=1, paces=(), fence="f1", lease=60, now=now)
    assert isinstance(batch, Batch)
    number = batch.claimed[0].delivery_id
    assert ledger.start([number], "f1", now) == [number]
    ledger.settle(channel, "f1", [Settled(number, 1, now, now, Settlement("sent", receipt="4711"))], now)


def test_a_first_start_and_the_ones_after_it_are_not_disturbed(
    storage: Storage, state_dir: Path, now: datetime
) -> None:
    for _ in range(3):
        assert check_in(storage.database, state_dir, now) == ""
    assert read_mark(state_dir) == Mark(storage.instance, 1)
    assert read_safe_mode(storage.database) == ""


def test_a_further_node_without_a_mark_is_not_disturbed(storage: Storage, tmp_path: Path, now: datetime) -> None:
    add_edition(storage, now)
    for name in ("first", "second"):
        assert check_in(storage.database, tmp_path / name, now) == ""
    assert read_mark(tmp_path / "second") == Mark(storage.instance, 1)


def test_a_lost_mark_of_a_database_in_its_place_is_written_again_and_told(
    storage: Storage, state_dir: Path, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    check_in(storage.database, state_dir, now)
    (state_dir / MARK).unlink()
    assert check_in(storage.database, state_dir, now) == ""
    assert read_mark(state_dir) == Mark(storage.instance, 1)
    if storage.database.is_sqlite:
        assert "was missing and is written anew" in caplog.text


@pytest.mark.parametrize("text", ["", "{", "[]", '{"instance": "a"}', '{"instance": "a", "fence": "x"}'])
def test_a_mark_that_cannot_be_read_is_no_mark(storage: Storage, state_dir: Path, now: datetime, text: str) -> None:
    state_dir.mkdir()
    (state_dir / MARK).write_text(text)
    assert check_in(storage.database, state_dir, now) == ""


def test_a_copied_file_is_held_and_the_first_one_is_not(
    sqlite_ready: Path, tmp_path: Path, state_dir: Path, now: datetime
) -> None:
    first, second = tmp_path / "one.db", tmp_path / "elsewhere" / "one.db"
    shutil.copyfile(sqlite_ready, first)
    storage = open_storage(f"sqlite:///{first}")
    assert check_in(storage.database, state_dir, now) == ""
    add_edition(storage, now)
    storage.close()
    second.parent.mkdir()
    shutil.copyfile(first, second)
    shutil.copytree(state_dir, second.parent / "state")
    copy = open_storage(f"sqlite:///{second}")
    assert "is a copy or was restored" in check_in(copy.database, second.parent / "state", now)
    ledger = RecordedLedger(copy, second.parent / "state", "f1")
    assert ledger.claim("tg", limit=1, paces=(), fence="f1", lease=60, now=now) == Wait(None)
    copy.close()
    again = open_storage(f"sqlite:///{first}")
    assert check_in(again.database, state_dir, now) == ""
    again.close()


def test_a_file_replaced_under_its_own_name_is_held(sqlite_ready: Path, tmp_path: Path, now: datetime) -> None:
    path, kept = tmp_path / "one.db", tmp_path / "kept.db"
    shutil.copyfile(sqlite_ready, path)
    database = Database(f"sqlite:///{path}")
    check_in(database, tmp_path, now)
    backup_sqlite(database, kept)
    database.close()
    kept.replace(path)
    again = Database(f"sqlite:///{path}")
    assert "copy or was restored" in check_in(again, tmp_path, now)
    again.close()


def test_a_postgresql_database_copied_to_another_is_held(
    postgres_databases: object, postgres_ready_storage: Storage, state_dir: Path, now: datetime
) -> None:
    import psycopg

    from tests.conftest import PostgresDatabases

    assert isinstance(postgres_databases, PostgresDatabases)
    check_in(postgres_ready_storage.database, state_dir, now)
    with postgres_ready_storage.database.read() as connection:
        home = connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'home'").scalar_one()
        instance = connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'instance'").scalar_one()
    url = postgres_databases.lend_ready()
    with psycopg.connect(url) as other:
        for key, value in (("home", home), ("instance", instance), ("fence", "1")):
            other.execute("INSERT INTO meta (key, value) VALUES (%s, %s)", (key, value))
    copy = Database(url)
    assert "is a copy or was restored" in check_in(copy, state_dir, now)
    copy.close()
    postgres_databases.take_back(url)


def test_a_database_older_than_its_mark_is_held(storage: Storage, state_dir: Path, now: datetime) -> None:
    check_in(storage.database, state_dir, now)
    write_mark(state_dir, Mark(storage.instance, 2))
    assert "older than the one that was here" in check_in(storage.database, state_dir, now)


def test_another_node_that_has_seen_less_is_not_disturbed(storage: Storage, tmp_path: Path, now: datetime) -> None:
    for name in ("one", "two"):
        check_in(storage.database, tmp_path / name, now)
    adopt(storage.database, tmp_path / "one", "release", "anna", now)
    assert check_in(storage.database, tmp_path / "two", now) == ""
    assert read_mark(tmp_path / "two") == Mark(storage.instance, 2)


def test_a_folder_of_another_database_is_refused_until_a_person_means_it(
    storage: Storage, state_dir: Path, now: datetime
) -> None:
    check_in(storage.database, state_dir, now)
    write_mark(state_dir, Mark("another", 7))
    with pytest.raises(StorageError, match="belongs to another database"):
        check_in(storage.database, state_dir, now)
    assert is_adopted(storage.database, state_dir, now)
    assert check_in(storage.database, state_dir, now) == ""


def test_a_new_database_in_an_old_folder_is_not_disturbed(storage: Storage, state_dir: Path, now: datetime) -> None:
    write_mark(state_dir, Mark("another", 7))
    assert check_in(storage.database, state_dir, now) == ""
    assert read_mark(state_dir) == Mark(storage.instance, 1)


def test_a_database_put_back_in_place_is_betrayed_by_the_record(
    storage: Storage, state_dir: Path, now: datetime
) -> None:
    """What is in the file is older, the file itself is the same: `cp backup.db distributor.db`, or pg_restore."""
    check_in(storage.database, state_dir, now)
    edition_id = add_edition(storage, now)
    send_one(storage, state_dir, now)
    assert check_in(storage.database, state_dir, now) == ""
    with storage.database.write("test.go_back") as connection:
        connection.exec_driver_sql("UPDATE delivery SET state = 'queued', attempts = 0")
        connection.exec_driver_sql(f"UPDATE edition SET state = 'frozen' WHERE id = {edition_id}")
    assert "of which this database knows nothing" in check_in(storage.database, state_dir, now)
    adopt(storage.database, state_dir, "hold", "anna", now + timedelta(minutes=1))
    assert check_in(storage.database, state_dir, now) == "", "what a person has decided is not asked again"


def test_what_a_person_sends_again_does_not_look_like_a_restore(
    storage: Storage, state_dir: Path, now: datetime
) -> None:
    check_in(storage.database, state_dir, now)
    add_edition(storage, now)
    ledger = RecordedLedger(storage, state_dir, "f1")
    batch = ledger.claim("tg", limit=1, paces=(), fence="f1", lease=60, now=now)
    assert isinstance(batch, Batch)
    number = batch.claimed[0].delivery_id
    ledger.start([number], "f1", now)
    ledger.settle("tg", "f1", [Settled(number, 1, now, now, Settlement("unknown"))], now)
    assert storage.decisions.resolve(number, "resend", "anna", now)
    assert check_in(storage.database, state_dir, now) == ""


def test_safe_mode_stops_the_claim_and_the_start(storage: Storage, state_dir: Path, now: datetime) -> None:
    add_edition(storage, now)
    ledger = RecordedLedger(storage, state_dir, "f1")
    batch = ledger.claim("tg", limit=1, paces=(), fence="f1", lease=60, now=now)
    assert isinstance(batch, Batch)
    enter_safe_mode(storage.database, "by hand", now)
    assert ledger.start([batch.claimed[0].delivery_id], "f1", now) == []
    assert ledger.claim("tg", limit=1, paces=(), fence="f1", lease=60, now=now) == Wait(None)


@pytest.mark.parametrize(("choice", "expected"), [("release", "queued"), ("hold", "held"), ("drop", "skipped")])
def test_a_person_decides_what_becomes_of_what_waits(
    storage: Storage, state_dir: Path, now: datetime, choice: str, expected: str
) -> None:
    check_in(storage.database, state_dir, now)
    add_readers(storage, now, 3)
    add_edition(storage, now, channel="letter", list_name="readers")
    enter_safe_mode(storage.database, "it may be a copy", now)
    assert count_waiting(storage.database).deliveries == {"letter": 3}
    assert not is_adopted(storage.database, state_dir, now)
    waiting = adopt(storage.database, state_dir, choice, "anna", now)  # type: ignore[arg-type]
    assert waiting.total == 3
    assert states(storage) == {expected: 3}
    assert read_safe_mode(storage.database) == ""
    assert check_in(storage.database, state_dir, now) == ""
    assert read_mark(state_dir) == Mark(storage.instance, 2)


def test_a_moved_database_is_refused_with_the_place_it_went_to(storage: Storage, ready_database_url: str) -> None:
    with storage.database.write("test.move") as connection:
        connection.exec_driver_sql("INSERT INTO meta (key, value) VALUES ('moved_to', 'postgresql://there/desk')")
    with pytest.raises(StorageError, match="has moved to postgresql://there/desk"):
        schema.require_current(storage.database)


def test_the_mark_holds_no_secret(storage: Storage, state_dir: Path, now: datetime) -> None:
    check_in(storage.database, state_dir, now)
    assert json.loads((state_dir / MARK).read_text()) == {"instance": storage.instance, "fence": 1}
    assert [path.name for path in state_dir.iterdir()] == [MARK]
