"""From an SQLite file to PostgreSQL: everything or nothing, and never two that send."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from distributor.core.delivery import Settlement
from distributor.core.errors import StorageError
from distributor.core.points import arm
from distributor.core.sending import Batch, Settled
from distributor.storage import Storage, join_stores, open_storage
from distributor.storage.aftermath import check_in
from distributor.storage.database import Database
from distributor.storage.lock import lock_database
from distributor.storage.move import Digest, list_tables, move, read_rows
from distributor.storage.tables import channel, metadata
from tests.storage.scene import add_edition, add_readers, states


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def old(sqlite_ready: Path, tmp_path: Path, state_dir: Path, now: datetime) -> Iterator[Storage]:
    """A file with a bit of everything: a whole edition, half an edition, a reader who left, a paused channel."""
    path = tmp_path / "old.db"
    shutil.copyfile(sqlite_ready, path)
    storage = open_storage(f"sqlite:///{path}")
    check_in(storage.database, state_dir, now)
    add_readers(storage, now, 12)
    add_edition(storage, now)
    add_edition(storage, now, channel="letter", list_name="readers", number=2)
    send(storage, now, 5)
    storage.decisions.pause("tg", "wrong: «цитата»", "anna", now)
    yield storage
    storage.close()


@pytest.fixture
def new(postgres_database_url: str) -> Iterator[Database]:
    database = Database(postgres_database_url)
    yield database
    database.close()


def send(storage: Storage, now: datetime, count: int) -> None:
    batch = storage.ledger.claim("letter", limit=count, paces=(), fence="f1", lease=60, now=now)
    assert isinstance(batch, Batch)
    done = [Settled(one.delivery_id, 1, now, now, Settlement("sent", receipt="r")) for one in batch.claimed]
    storage.ledger.settle("letter", "f1", done, now)


def quiet(table: str, done: int, total: int) -> None:
    return


def test_everything_is_there_and_the_half_sent_edition_goes_on(
    old: Storage, new: Database, state_dir: Path, now: datetime
) -> None:
    told: list[tuple[str, int, int]] = []
    before = states(old)
    moved = move(old.database, new, state_dir, lambda *one: told.append(one))
    assert moved.rows["delivery"] == 13
    assert ("subscriber", 12, 12) in told
    assert {name for name, _, _ in told} == {table.name for table in list_tables()}
    there = join_stores(new)
    assert states(there) == before == {"queued": 8, "sent": 5}
    assert there.secret == old.secret
    assert check_in(new, state_dir, now) == "", "a move is no copy"
    assert there.decisions.list_paused() == {"tg": "wrong: «цитата»"}
    send(there, now, 100)
    assert states(there) == {"queued": 1, "sent": 12}
    assert there.reports.find_mismatches() == []


def test_new_rows_get_new_numbers(old: Storage, new: Database, state_dir: Path, now: datetime) -> None:
    move(old.database, new, state_dir, quiet)
    there = join_stores(new)
    add_readers(there, now, 20)
    add_edition(there, now, channel="letter", list_name="readers", number=3)
    assert states(there) == {"queued": 28, "sent": 5}


def test_the_old_file_says_where_it_went_and_sends_no_more(old: Storage, new: Database, state_dir: Path) -> None:
    move(old.database, new, state_dir, quiet)
    with pytest.raises(StorageError, match="has moved to postgresql"):
        open_storage(str(old.database.url))
    with pytest.raises(StorageError, match="has moved to postgresql"):
        move(old.database, new, state_dir, quiet)


def test_a_password_is_not_written_into_the_old_file(
    old: Storage, new: Database, state_dir: Path, postgres_database_url: str
) -> None:
    with_password = Database(postgres_database_url.replace("postgres@", "postgres:hunter2@"))
    move(old.database, with_password, state_dir, quiet)
    with_password.close()
    with old.database.read() as connection:
        values = dict(tuple(row) for row in connection.execute(select(metadata.tables["meta"])))
    assert "hunter2" not in values["moved_to"]


def test_a_target_that_holds_something_is_refused(
    old: Storage, postgres_ready_storage: Storage, state_dir: Path, now: datetime
) -> None:
    add_readers(postgres_ready_storage, now, 1)
    with pytest.raises(StorageError, match=r"holds something already \(subscriber, list_member\)"):
        move(old.database, postgres_ready_storage.database, state_dir, quiet)
    assert states(old) == {"queued": 8, "sent": 5}
    open_storage(str(old.database.url)).close()


def test_a_target_with_only_tables_is_fine(
    old: Storage, postgres_ready_storage: Storage, state_dir: Path, now: datetime
) -> None:
    assert move(old.database, postgres_ready_storage.database, state_dir, quiet).rows["delivery"] == 13


def test_it_is_refused_while_the_program_runs(old: Storage, new: Database, state_dir: Path) -> None:
    unlock = lock_database(old.database)
    with pytest.raises(StorageError, match="another distributor"):
        move(old.database, new, state_dir, quiet)
    unlock()


def test_what_postgresql_cannot_hold_is_named_and_nothing_has_changed(
    old: Storage, new: Database, state_dir: Path
) -> None:
    with old.database.write("test.spoil") as connection:
        connection.execute(insert(channel).values(name="x\0y", is_paused=False))
    with pytest.raises(StorageError, match="the old database is in charge"):
        move(old.database, new, state_dir, quiet)
    with pytest.raises(StorageError, match="was broken off"):
        open_storage(new.url.render_as_string(hide_password=False))
    open_storage(str(old.database.url)).close()


class Fell(BaseException):
    """As if the process ended here."""


POINTS = [
    "move.prepare written",
    "move.prepare committed",
    "move.copy written",
    "move.copy committed",
    "move.leave written",
    "move.leave committed",
    "move.arrive written",
    "move.arrive committed",
    "move.done",
]


@pytest.mark.parametrize("point", POINTS)
def test_wherever_it_breaks_off_at_most_one_sends_and_typing_it_again_ends_it(
    old: Storage, new: Database, state_dir: Path, now: datetime, point: str
) -> None:
    def fall(name: str) -> None:
        if name == point:
            raise Fell

    arm(fall)
    try:
        with pytest.raises(Fell):
            move(old.database, new, state_dir, quiet)
    finally:
        arm(None)
    is_there = is_usable(new) and bool(states(join_stores(new)))
    assert not (is_usable(old.database) and is_there)
    if is_there:
        with pytest.raises(StorageError, match="has moved to"):
            move(old.database, new, state_dir, quiet)
    else:
        move(old.database, new, state_dir, quiet)
    assert not is_usable(old.database)
    assert states(join_stores(new)) == {"queued": 8, "sent": 5}
    assert check_in(new, state_dir, now) == ""


def is_usable(database: Database) -> bool:
    try:
        open_storage(database.url.render_as_string(hide_password=False)).close()
    except StorageError:
        return False
    return True


def test_contents_that_differ_in_one_letter_differ(old: Storage) -> None:
    table = metadata.tables["subscriber"]
    with old.database.read() as connection:
        rows = list(read_rows(connection, table))
    one, other = Digest(), Digest()
    for row in rows:
        one.add(row)
    for row in reversed([*rows[:-1], (*rows[-1][:-1], "other")]):
        other.add(row)
    assert one.count == other.count
    assert one != other
