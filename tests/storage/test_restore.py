"""A backup put in place learns what went out after it; what nobody knows to have gone waits for a person."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from distributor.core.delivery import Settlement, State
from distributor.core.errors import StorageError
from distributor.core.message import Content
from distributor.core.minting import MintedLink
from distributor.core.planning import EditionPlan, OccurrenceNote
from distributor.core.points import arm
from distributor.core.sending import Batch, Evidence, Settled
from distributor.storage import Storage, open_storage, schema
from distributor.storage.adoption import adopt
from distributor.storage.aftermath import check_in
from distributor.storage.backup import backup_sqlite, upgrade_with_backup
from distributor.storage.database import Database
from distributor.storage.instance import Mark, read_mark, read_safe_mode
from distributor.storage.lock import lock_database
from distributor.storage.merging import merge
from distributor.storage.recorded import RecordedLedger
from distributor.storage.restore import Restored, merge_journal, restore_sqlite
from distributor.storage.send_journal import SendJournal
from distributor.storage.tables import delivery, edition, edition_post, link
from tests.storage.scene import add_edition, add_post, add_readers, states


class Desk:
    """A file that is in use, with its state_dir."""

    def __init__(self, folder: Path, ready: Path, now: datetime) -> None:
        self.path, self.state_dir, self.now = folder / "desk.db", folder / "state", now
        shutil.copyfile(ready, self.path)
        self.storage = open_storage(f"sqlite:///{self.path}")
        check_in(self.storage.database, self.state_dir, now)

    def send(self, channel: str, count: int = 1, ends: Sequence[State] = (), forget_ends: bool = False) -> None:
        """`count` deliveries go out on the record; `ends` for those that end otherwise than well."""
        ledger = RecordedLedger(self.storage, self.state_dir, "f1")
        is_bulk = channel == "letter"
        limit = count if is_bulk else 1
        batch = ledger.claim(channel, limit=limit, paces=(), fence="f1", lease=60, now=self.now)
        assert isinstance(batch, Batch)
        ids = [one.delivery_id for one in batch.claimed]
        if not is_bulk:
            ledger.start(ids, "f1", self.now)
        if forget_ends:
            return
        states_ = [*ends, *["sent"] * (len(ids) - len(ends))]
        settled = [
            Settled(one, 1, self.now, self.now, Settlement(state, receipt=f"r{one}"))  # type: ignore[arg-type]
            for one, state in zip(ids, states_, strict=True)
        ]
        ledger.settle(channel, "f1", settled, self.now)

    def back_up(self) -> Path:
        return backup_sqlite(self.storage.database, self.path.with_name("copy.db"))

    def restore(self, copy: Path) -> Restored:
        self.storage.close()
        database = Database(f"sqlite:///{self.path}")
        done = restore_sqlite(database, copy, self.state_dir, (), self.now)
        database.close()
        self.storage = open_storage(f"sqlite:///{self.path}")
        return done


@pytest.fixture
def desk(tmp_path: Path, sqlite_ready: Path, now: datetime) -> Iterator[Desk]:
    made = Desk(tmp_path, sqlite_ready, now)
    add_readers(made.storage, now, 10)
    yield made
    made.storage.close()


def test_what_went_out_after_the_copy_is_sent_and_the_rest_is_held(desk: Desk) -> None:
    add_edition(desk.storage, desk.now, channel="letter", list_name="readers")
    desk.send("letter", 3)
    copy = desk.back_up()
    desk.send("letter", 4, ends=["failed", "unknown", "queued"])
    done = desk.restore(copy)
    assert states(desk.storage) == {"sent": 4, "failed": 1, "unknown": 1, "held": 4}
    assert (done.merged.sent, done.merged.failed, done.merged.unknown, done.merged.held) == (1, 1, 1, 4)
    assert "distributor db adopt" in read_safe_mode(desk.storage.database)
    with desk.storage.database.read() as connection:
        held = connection.execute(select(delivery.c.reason).where(delivery.c.state == "held")).scalars()
        assert set(held) == {"restored"}


def test_a_batch_that_never_ended_is_unknown_as_far_as_it_was_started(desk: Desk) -> None:
    """Killed in the middle of a batch, restored without a start between: the send journal still lies there."""
    add_edition(desk.storage, desk.now, channel="letter", list_name="readers")
    copy = desk.back_up()
    desk.send("letter", 6, forget_ends=True)
    journal = SendJournal(desk.state_dir, "f1", "letter")
    ids = sorted(row.id for row in desk.storage.reports.list_deliveries(state="claimed", limit=10))
    journal.note((), (), ids[:3])
    journal.note([(ids[0], "250 ok")], (), ())
    done = desk.restore(copy)
    assert states(desk.storage) == {"sent": 1, "unknown": 2, "held": 7}
    assert done.aside is not None
    assert journal.path.name in {path.name for path in done.aside.iterdir()}, "its numbers belong to the old file"


def test_a_batch_whose_journal_is_lost_is_unknown_as_a_whole(desk: Desk) -> None:
    add_edition(desk.storage, desk.now, channel="letter", list_name="readers")
    copy = desk.back_up()
    desk.send("letter", 6, forget_ends=True)
    desk.restore(copy)
    assert states(desk.storage) == {"unknown": 6, "held": 4}


def test_a_message_of_one_voice_without_an_answer_is_unknown(desk: Desk) -> None:
    add_edition(desk.storage, desk.now)
    copy = desk.back_up()
    desk.send("tg", forget_ends=True)
    desk.restore(copy)
    assert states(desk.storage) == {"unknown": 1}


def test_what_was_on_the_wire_when_the_copy_was_made_is_settled_by_the_record_or_unknown(desk: Desk) -> None:
    add_edition(desk.storage, desk.now)
    add_edition(desk.storage, desk.now, channel="x", number=2)
    desk.send("tg", forget_ends=True)
    desk.send("x", forget_ends=True)
    copy = desk.back_up()
    ledger = RecordedLedger(desk.storage, desk.state_dir, "f1")
    rows = {row.channel: row.id for row in desk.storage.reports.list_deliveries(limit=10)}
    found = desk.storage.reports.list_editions(limit=10)
    token = read_token(desk.storage, next(row.id for row in found if row.channel == "tg"))
    ledger._hand = {rows["tg"]: (token, 0)}
    ledger.settle("tg", "f1", [Settled(rows["tg"], 1, desk.now, desk.now, Settlement("sent"))], desk.now)
    desk.restore(copy)
    assert states(desk.storage) == {"sent": 1, "unknown": 1}


def read_token(storage: Storage, edition_id: int) -> str:
    with storage.database.read() as connection:
        return str(connection.execute(select(edition.c.token).where(edition.c.id == edition_id)).scalar_one())


def test_a_story_told_after_the_copy_is_not_told_again(desk: Desk) -> None:
    """Its post, its edition and its links come back with the numbers they had; the poll finds the story known."""
    copy = desk.back_up()
    add_edition(desk.storage, desk.now)
    desk.send("tg")
    before = desk.storage.reports.list_deliveries(limit=10)
    done = desk.restore(copy)
    assert done.merged.later_editions == 1
    assert [(row.id, row.title, row.state) for row in desk.storage.reports.list_deliveries(limit=10)] == [
        (row.id, row.title, "sent") for row in before
    ]
    assert desk.storage.reports.list_editions(limit=10)[0].state == "complete"
    adopt(desk.storage.database, desk.state_dir, "release", "anna", desk.now)
    post_id = add_post(desk.storage, desk.now)
    plan = EditionPlan(
        key=f"tg:post:{post_id}",
        schedule="now-tg",
        channel="tg",
        form="each",
        title="again",
        due_at=desk.now,
        late_after=None,
        post_ids=(post_id,),
    )
    assert desk.storage.editions.add_edition(plan, desk.now) is None


def test_another_schedule_still_tells_that_story(desk: Desk) -> None:
    copy = desk.back_up()
    add_edition(desk.storage, desk.now)
    desk.send("tg")
    desk.restore(copy)
    args = {"started_at": desk.now - timedelta(days=1), "changed_since": desk.now - timedelta(days=1)}
    for schedule, expected in (("now-tg", []), ("now-x", ["Story number 1"])):
        rows = desk.storage.posts.list_candidates(schedule, after_id=0, now=desk.now, **args)
        assert [row.post.headline for row in rows] == expected


def add_digest(storage: Storage, now: datetime, is_frozen: bool) -> int:
    """The morning digest, planned; with a tracked link when it is frozen."""
    post_id = add_post(storage, now, 7)
    note = OccurrenceNote("morning:2026-11-23T07:30", now, "edition")
    plan = EditionPlan(
        key=note.key,
        schedule="morning",
        channel="letter",
        form="digest",
        title="Morning",
        due_at=now,
        late_after=now + timedelta(hours=1),
        post_ids=(post_id,),
        note=note,
    )
    edition_id = storage.editions.add_edition(plan, now)
    if edition_id is None:
        with storage.database.read() as connection:
            found = connection.execute(select(edition.c.id).where(edition.c.key == note.key)).scalar_one()
            edition_id = int(found)
    if is_frozen:
        freeze(storage, edition_id, post_id, now)
    return edition_id


def freeze(storage: Storage, edition_id: int, post_id: int, now: datetime) -> int:
    minted = MintedLink(
        "slug7", f"{edition_id}:{post_id}:read:t", "https://news.example/7", edition_id, post_id, "read"
    )
    words = Content({"html": "<p>words</p>"})
    return storage.editions.freeze(
        edition_id, words, list_name="readers", revisions={post_id: 1}, links=(minted,), now=now
    )


@pytest.mark.parametrize("was_planned", [True, False])
def test_a_digest_begun_after_the_copy_is_held_and_only_the_others_get_it(desk: Desk, was_planned: bool) -> None:
    if was_planned:
        edition_id = add_digest(desk.storage, desk.now, is_frozen=False)
        copy = desk.back_up()
        with desk.storage.database.read() as connection:
            post_id = int(connection.execute(select(edition_post.c.post_id)).scalar_one())
        freeze(desk.storage, edition_id, post_id, desk.now)
    else:
        copy = desk.back_up()
        edition_id = add_digest(desk.storage, desk.now, is_frozen=True)
    desk.send("letter", 6, ends=["failed"])
    desk.restore(copy)
    row = desk.storage.reports.list_editions(limit=10)[0]
    assert (row.id, row.state) == (edition_id, "held")
    assert row.reason == "restored: 5 of 10 went out before, 0 are unknown"
    assert states(desk.storage) == {"sent": 5, "failed": 1}
    adopt(desk.storage.database, desk.state_dir, "release", "anna", desk.now)
    planned = desk.storage.editions.load_planned(edition_id)
    assert planned is not None and planned.state == "planned"
    assert freeze(desk.storage, edition_id, planned.post_ids[0], desk.now) == 10
    assert states(desk.storage) == {"sent": 5, "failed": 1, "queued": 4}
    desk.send("letter", 10)
    assert states(desk.storage) == {"sent": 9, "failed": 1}
    assert desk.storage.reports.find_mismatches() == []
    assert desk.storage.reports.list_editions(limit=10)[0].state == "complete"


def test_a_digest_that_all_had_is_complete_and_its_links_lead_where_they_led(desk: Desk) -> None:
    copy = desk.back_up()
    add_digest(desk.storage, desk.now, is_frozen=True)
    desk.send("letter", 10)
    desk.restore(copy)
    row = desk.storage.reports.list_editions(limit=10)[0]
    assert (row.state, row.counts) == ("complete", {"sent": 10})
    with desk.storage.database.read() as connection:
        assert connection.execute(select(link.c.slug, link.c.target)).all() == [("slug7", "https://news.example/7")]


def test_readers_who_joined_after_the_copy_are_not_taken_for_others(desk: Desk) -> None:
    copy = desk.back_up()
    add_readers(desk.storage, desk.now, 15)
    add_digest(desk.storage, desk.now, is_frozen=True)
    desk.send("letter", 15)
    desk.restore(copy)
    assert states(desk.storage) == {"sent": 10}
    assert desk.storage.reports.list_editions(limit=10)[0].state == "complete"


def test_an_edition_that_was_claimed_and_not_sent_is_simply_planned_again(desk: Desk) -> None:
    copy = desk.back_up()
    add_edition(desk.storage, desk.now)
    desk.send("tg", ends=["queued"])
    desk.restore(copy)
    assert desk.storage.reports.list_editions(limit=10) == []


def test_a_newly_planned_edition_of_the_copy_waits_for_a_person(desk: Desk) -> None:
    add_digest(desk.storage, desk.now, is_frozen=False)
    copy = desk.back_up()
    done = desk.restore(copy)
    assert done.merged.held_editions == 1
    assert desk.storage.editions.list_planned() == []


def test_restoring_twice_changes_nothing_more(desk: Desk) -> None:
    add_edition(desk.storage, desk.now, channel="letter", list_name="readers")
    copy = desk.back_up()
    desk.send("letter", 4)
    add_edition(desk.storage, desk.now, number=2)
    desk.send("tg")
    desk.restore(copy)
    first = states(desk.storage)
    desk.now += timedelta(minutes=1)
    desk.restore(copy)
    assert states(desk.storage) == first == {"sent": 5, "held": 6}


def test_the_fence_rises_and_the_replaced_file_is_refused_when_it_comes_back(desk: Desk) -> None:
    copy = desk.back_up()
    done = desk.restore(copy)
    assert read_mark(desk.state_dir) == Mark(desk.storage.instance, 2)
    assert done.aside is not None
    desk.storage.close()
    shutil.copyfile(done.aside / "desk.db", desk.path)
    again = open_storage(f"sqlite:///{desk.path}")
    assert check_in(again.database, desk.state_dir, desk.now) != ""
    again.close()


def test_nothing_of_the_old_files_is_left_beside_the_restored_one(desk: Desk) -> None:
    add_edition(desk.storage, desk.now)
    copy = desk.back_up()
    keeper = sqlite3.connect(desk.path)
    keeper.execute("SELECT count(*) FROM delivery").fetchone()
    add_readers(desk.storage, desk.now, 30)
    assert Path(f"{desk.path}-wal").stat().st_size > 0
    desk.storage.close()
    done = restore_sqlite(Database(f"sqlite:///{desk.path}"), copy, desk.state_dir, (), desk.now)
    keeper.close()
    assert not Path(f"{desk.path}-wal").exists()
    assert done.aside is not None
    assert (done.aside / "desk.db").exists()
    kept = sqlite3.connect(done.aside / "desk.db")
    assert kept.execute("SELECT count(*) FROM subscriber").fetchone() == (30,)
    kept.close()
    desk.storage = open_storage(f"sqlite:///{desk.path}")
    assert copy.exists()


def test_it_is_refused_while_the_program_runs(desk: Desk) -> None:
    copy = desk.back_up()
    unlock = lock_database(desk.storage.database)
    with pytest.raises(StorageError, match="another distributor"):
        restore_sqlite(desk.storage.database, copy, desk.state_dir, (), desk.now)
    unlock()


def spoil(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096)


def make_newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (spoil, "is damaged"),
        (make_newer, "newer than this program"),
        (lambda path: path.write_text("shopping list\n" * 500), "could not be restored"),
        (lambda path: (path.unlink(), sqlite3.connect(path).close()), "holds no database|is not a backup"),
        (lambda path: path.unlink(), "is not a backup"),
    ],
)
def test_a_backup_that_is_none_is_refused_and_nothing_has_changed(desk: Desk, change: object, words: str) -> None:
    add_edition(desk.storage, desk.now)
    copy = desk.back_up()
    change(copy)  # type: ignore[operator]
    with pytest.raises(StorageError, match=words):
        restore_sqlite(desk.storage.database, copy, desk.state_dir, (), desk.now)
    assert states(desk.storage) == {"queued": 1}
    assert read_safe_mode(desk.storage.database) == ""
    assert sorted(path.name for path in desk.path.parent.glob("*restor*")) == []


class Fell(BaseException):
    """As if the process ended here."""


POINTS = [
    "restore.merge written",
    "restore.merge committed",
    "restore.begin",
    "restore.set_aside",
    "restore.put_in_place",
    "restore.done",
    "instance.write_mark",
]


@pytest.mark.parametrize("point", POINTS)
def test_wherever_it_breaks_off_nothing_is_sent_and_typing_it_again_ends_it(desk: Desk, point: str) -> None:
    add_edition(desk.storage, desk.now, channel="letter", list_name="readers")
    copy = desk.back_up()
    desk.send("letter", 4)

    def fall(name: str) -> None:
        if name == point:
            raise Fell

    desk.storage.close()
    arm(fall)
    try:
        with pytest.raises(Fell):
            restore_sqlite(Database(f"sqlite:///{desk.path}"), copy, desk.state_dir, (), desk.now)
    finally:
        arm(None)
    assert_old_new_or_refused(desk)
    desk.storage = open_storage_safely(desk, copy)
    assert states(desk.storage) == {"sent": 4, "held": 6}


def assert_old_new_or_refused(desk: Desk) -> None:
    database = Database(f"sqlite:///{desk.path}")
    try:
        upgrade_with_backup(database, desk.now)
        schema.require_current(database)
    except StorageError as error:
        assert "a restore was broken off" in str(error)
        return
    finally:
        database.close()
    found = open_storage(f"sqlite:///{desk.path}")
    assert states(found) in ({"sent": 4, "queued": 6}, {"sent": 4, "held": 6})
    found.close()


def open_storage_safely(desk: Desk, copy: Path) -> Storage:
    database = Database(f"sqlite:///{desk.path}")
    restore_sqlite(database, copy, desk.state_dir, (), desk.now + timedelta(minutes=1))
    database.close()
    return open_storage(f"sqlite:///{desk.path}")


def test_a_database_restored_by_other_means_learns_the_same(
    storage: Storage, tmp_path: Path, now: datetime
) -> None:
    """PostgreSQL after pg_restore, or a file that was copied by hand; two nodes have sent."""
    nodes = [tmp_path / "one", tmp_path / "two"]
    for node in nodes:
        check_in(storage.database, node, now)
    add_readers(storage, now, 10)
    add_edition(storage, now, channel="letter", list_name="readers")
    for node, count in zip(nodes, (3, 4), strict=True):
        ledger = RecordedLedger(storage, node, node.name)
        batch = ledger.claim("letter", limit=count, paces=(), fence=node.name, lease=60, now=now)
        assert isinstance(batch, Batch)
        done = [Settled(one.delivery_id, 1, now, now, Settlement("sent")) for one in batch.claimed]
        ledger.settle("letter", node.name, done, now)
    with storage.database.write("test.go_back") as connection:
        connection.exec_driver_sql("UPDATE delivery SET state = 'queued', attempts = 0")
    merged = merge_journal(storage.database, nodes[0], [nodes[1] / "sent"], now)
    assert (merged.sent, merged.held) == (7, 3)
    assert states(storage) == {"sent": 7, "held": 3}
    assert read_safe_mode(storage.database) != ""
    assert check_in(storage.database, nodes[1], now) != ""
    adopt(storage.database, nodes[0], "release", "anna", now)
    assert states(storage) == {"sent": 7, "queued": 3}
    assert check_in(storage.database, nodes[1], now) == ""


def test_a_folder_without_a_record_is_named(storage: Storage, tmp_path: Path, now: datetime) -> None:
    with pytest.raises(StorageError, match="holds no send record"):
        merge_journal(storage.database, tmp_path, [tmp_path / "nowhere"], now)


def test_merging_on_both_databases_makes_lost_editions_again(
    storage: Storage, tmp_path: Path, now: datetime
) -> None:
    """The record of a database that went further than this one, which is then told."""
    from distributor.storage.kept import read_kept
    from distributor.storage.send_record import list_files

    check_in(storage.database, tmp_path, now)
    add_readers(storage, now, 10)
    digest = add_digest(storage, now, is_frozen=True)
    ledger = RecordedLedger(storage, tmp_path, "f1")
    batch = ledger.claim("letter", limit=6, paces=(), fence="f1", lease=60, now=now)
    assert isinstance(batch, Batch)
    done = [Settled(one.delivery_id, 1, now, now, Settlement("sent")) for one in batch.claimed]
    ledger.settle("letter", "f1", done, now)
    with storage.database.write("test.forget") as connection:
        tables = "receipt_page attempt delivery link edition_post edition post_key revision post"
        for name in tables.split():
            connection.exec_driver_sql(f"DELETE FROM {name}")
    kept = read_kept(list_files(tmp_path), storage.instance, lambda token: True)
    with storage.database.write("test.merge") as connection:
        merged = merge(connection, kept, Evidence(), now)
    assert (merged.sent, merged.later_editions) == (6, 1)
    row = storage.reports.list_editions(limit=10)[0]
    assert (row.id, row.state) == (digest, "held")
    assert storage.editions.unpark(digest, None)
    planned = storage.editions.load_planned(digest)
    assert planned is not None
    assert freeze(storage, digest, planned.post_ids[0], now) == 10
    assert states(storage) == {"sent": 6, "queued": 4}
    add_edition(storage, now, number=9)
