"""The send record: whole lines only, one installation's only, small, and in order."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.core.delivery import Settlement
from distributor.core.errors import StorageError
from distributor.core.sending import Batch, Evidence, Settled
from distributor.storage import Storage
from distributor.storage.aftermath import recover
from distributor.storage.kept import judge_open, read_kept
from distributor.storage.recorded import RecordedLedger
from distributor.storage.send_record import (
    FOLDER,
    KEPT_DAYS,
    SendRecord,
    forget_old_days,
    join_runs,
    list_files,
    pack,
    read_lines,
    split_runs,
    unpack,
)
from tests.storage.scene import add_edition, add_readers, states

US = "0123456789abcdef"


def leave_a_dead_process(folder: Path, fence: str) -> None:
    """What kill -9 leaves in a state_dir: the file is there, nobody holds it."""
    (folder / f"process-{fence}.lock").touch()


def read_all(folder: Path, instance: str = US) -> list[tuple[str, str, tuple[int, ...]]]:
    lines = [line for path in list_files(folder) for line in read_lines(path, instance)]
    return [(line.kind, line.word, line.recipients) for line in lines]


@given(st.lists(st.integers(0, 10**12), min_size=1))
def test_numbers_come_back_in_their_order(numbers: list[int]) -> None:
    assert split_runs(join_runs(numbers)) == tuple(numbers)


def test_a_batch_of_a_thousand_is_one_short_line(tmp_path: Path, now: datetime) -> None:
    record = SendRecord(tmp_path, US, "f1")
    record.note_begun("t" * 16, range(5001, 6001), range(1, 1001), True, now)
    record.note_ended("t" * 16, {"sent": range(1, 1001)}, {}, now)
    record.close()
    assert list_files(tmp_path)[0].stat().st_size < 200
    assert [(kind, word, len(people)) for kind, word, people in read_all(tmp_path)] == [
        ("b", "f1", 1000),
        ("e", "sent", 1000),
    ]


def test_a_torn_line_proves_nothing_and_spoils_nothing(tmp_path: Path, now: datetime) -> None:
    for number in (1, 2):
        record = SendRecord(tmp_path, US, "f1")
        record.note_ended("t", {"sent": [number]}, {}, now)
        record.close()
        with list_files(tmp_path)[0].open("ab") as file:
            file.write(b"e " + US.encode() + b" 1.0 t sent 99")
    assert read_all(tmp_path) == [("e", "sent", (1,)), ("e", "sent", (2,))]


def test_lines_of_another_installation_are_not_ours(tmp_path: Path, now: datetime) -> None:
    record = SendRecord(tmp_path, "another", "f1")
    record.note_ended("t", {"sent": [1]}, {}, now)
    record.close()
    assert read_all(tmp_path) == []


@pytest.mark.parametrize(
    "line", ["", " .", "e .", f"e {US} x t sent 1 - .", f"e {US} 1.0 t sent a-b - .", f"q {US} ."]
)
def test_lines_that_mean_nothing_are_passed_over(tmp_path: Path, line: str) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "2026-01-01.log").write_text(line + "\n")
    assert read_all(tmp_path) == []


def test_a_full_disk_is_told_and_the_next_line_is_whole(tmp_path: Path, now: datetime) -> None:
    record = SendRecord(tmp_path, US, "f1")
    record.note_ended("t", {"sent": [1]}, {}, now)
    record._is_torn = True  # a write was cut off
    record.note_ended("t", {"sent": [2]}, {}, now)
    record.close()
    assert [people for _, _, people in read_all(tmp_path)] == [(1,), (2,)]


def test_each_day_has_a_file_and_old_days_go(tmp_path: Path, now: datetime) -> None:
    record = SendRecord(tmp_path, US, "f1")
    for days in (0, 1, KEPT_DAYS, KEPT_DAYS + 1):
        record.note_ended("t", {"sent": [days]}, {}, now + timedelta(days=days))
    record.close()
    assert len(list_files(tmp_path)) == 4
    assert forget_old_days(tmp_path, now + timedelta(days=KEPT_DAYS + 1)) == 1
    assert [people for _, _, people in read_all(tmp_path)] == [(1,), (KEPT_DAYS,), (KEPT_DAYS + 1,)]


def test_nobody_else_on_the_machine_may_read_it(tmp_path: Path, now: datetime) -> None:
    record = SendRecord(tmp_path, US, "f1")
    record.note_ended("t", {"sent": [1]}, {}, now)
    record.close()
    assert list_files(tmp_path)[0].stat().st_mode & 0o077 == 0
    assert (tmp_path / FOLDER).stat().st_mode & 0o077 == 0


def test_what_is_packed_is_one_word_and_comes_back() -> None:
    data = {"title": "Сніг у\nКиєві .", "ids": [1, 2]}
    assert unpack(pack(data)) == data
    assert not set(pack(data)) & set(" \n")
    with pytest.raises(ValueError):
        unpack("AAAA")


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (Evidence({10: "sent r"}, frozenset()), "sent"),
        (Evidence({10: "started"}, frozenset({"f1"})), "unknown"),
        (Evidence({}, frozenset({"f1"})), None),
        (Evidence({}, frozenset()), "unknown"),
    ],
)
def test_a_batch_without_an_end_is_judged_by_the_send_journals(
    tmp_path: Path, now: datetime, evidence: Evidence, expected: str | None
) -> None:
    record = SendRecord(tmp_path, US, "f1")
    record.note_begun("t", [10], [1], True, now)
    record.close()
    one = read_kept(list_files(tmp_path), US, lambda token: True).editions["t"]
    judge_open(one, evidence)
    assert one.ended.get(1, (None,))[0] == expected


def test_a_message_of_one_voice_without_an_end_is_unknown(tmp_path: Path, now: datetime) -> None:
    record = SendRecord(tmp_path, US, "f1")
    record.note_begun("t", [10], [0], False, now)
    record.close()
    one = read_kept(list_files(tmp_path), US, lambda token: True).editions["t"]
    judge_open(one, Evidence({}, frozenset({"f1"})))
    assert one.ended[0][0] == "unknown"


def test_a_bulk_batch_that_cannot_be_recorded_goes_back_untouched(
    storage: Storage, tmp_path: Path, now: datetime
) -> None:
    add_readers(storage, now, 3)
    add_edition(storage, now, channel="letter", list_name="readers")
    (tmp_path / FOLDER).write_text("in the way")
    ledger = RecordedLedger(storage, tmp_path, "f1")
    with pytest.raises(StorageError, match="nothing is sent"):
        ledger.claim("letter", limit=1000, paces=(), fence="f1", lease=60, now=now)
    assert states(storage) == {"queued": 3}


def test_an_answer_that_the_database_never_got_is_proved_by_the_record(
    storage: Storage, tmp_path: Path, now: datetime
) -> None:
    """Killed between the record and the commit: one voice's message is sent, not unknown."""
    add_edition(storage, now)
    ledger = RecordedLedger(storage, tmp_path, "f1")
    batch = ledger.claim("tg", limit=1, paces=(), fence="f1", lease=60, now=now)
    assert isinstance(batch, Batch)
    number = batch.claimed[0].delivery_id
    ledger.start([number], "f1", now)
    ledger._note_ended([Settled(number, 1, now, now, Settlement("sent", receipt="4711"))], now)
    leave_a_dead_process(tmp_path, "f1")
    assert recover(storage, tmp_path, "f2", now)["sent"] == 1
    assert [row.receipt for row in storage.reports.list_deliveries(limit=10)] == ["4711"]


def test_after_a_crash_the_record_gets_the_ends_it_lacks(storage: Storage, tmp_path: Path, now: datetime) -> None:
    add_edition(storage, now)
    ledger = RecordedLedger(storage, tmp_path, "f1")
    batch = ledger.claim("tg", limit=1, paces=(), fence="f1", lease=60, now=now)
    assert isinstance(batch, Batch)
    ledger.start([batch.claimed[0].delivery_id], "f1", now)
    leave_a_dead_process(tmp_path, "f1")
    assert recover(storage, tmp_path, "f2", now)["unknown"] == 1
    assert read_all(tmp_path, storage.instance)[-1] == ("e", "unknown", (0,))
    size = list_files(tmp_path)[0].stat().st_size
    recover(storage, tmp_path, "f3", now)
    assert list_files(tmp_path)[0].stat().st_size == size


@pytest.mark.parametrize(
    ("state", "expected"), [("presumed", "unknown"), ("failed", "failed"), ("queued", None), ("skipped", None)]
)
def test_only_what_may_have_gone_is_told_to_a_restored_database(
    tmp_path: Path, now: datetime, state: str, expected: str | None
) -> None:
    record = SendRecord(tmp_path, US, "f1")
    record.note_begun("t", [10], [1], True, now)
    record.note_ended("t", {state: [1]}, {}, now)
    record.close()
    one = read_kept(list_files(tmp_path), US, lambda token: True).editions["t"]
    assert one.ended.get(1, (None,))[0] == expected
    assert not one.open
