"""The send journal: what it proves after a kill, and what it does not."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.storage.send_journal import SendJournal, read_boot_id, read_evidence


@pytest.fixture
def journal(tmp_path: Path) -> SendJournal:
    return SendJournal(tmp_path / "var", "f1", "letter")


def outcomes(folder: Path) -> dict[int, str]:
    return dict(read_evidence(folder)[0].outcomes)


def test_what_was_started_accepted_and_refused_is_told_apart(journal: SendJournal, tmp_path: Path) -> None:
    journal.note((), (), [1, 2, 3, 4])
    journal.note([(1, "250 queued as A1")], (), ())
    journal.note([(2, "")], (), ())
    journal.note((), [3], ())
    evidence, files = read_evidence(tmp_path / "var")
    assert evidence.outcomes == {1: "sent 250 queued as A1", 2: "sent ", 4: "started"}
    assert evidence.complete == {"f1"}
    assert files == [journal.path]


def test_without_a_folder_there_is_no_evidence(tmp_path: Path) -> None:
    evidence, files = read_evidence(tmp_path / "nothing")
    assert (evidence.outcomes, evidence.complete, files) == ({}, frozenset(), [])


def test_what_the_ledger_has_is_forgotten_and_the_file_goes_with_the_lane(journal: SendJournal) -> None:
    journal.note((), (), [1, 2])
    journal.forget()
    assert outcomes(journal.path.parent) == {}
    journal.note((), (), [3])
    assert outcomes(journal.path.parent) == {3: "started"}
    journal.forget()
    journal.close()
    assert not journal.path.exists()


def test_a_lane_that_could_not_settle_leaves_its_evidence(journal: SendJournal) -> None:
    journal.note((), (), [1])
    journal.close()
    assert outcomes(journal.path.parent) == {1: "started"}


def test_a_receipt_cannot_write_lines_of_its_own(journal: SendJournal) -> None:
    journal.note([(1, "ok\ns 99\na 98 x\r\nn 1" + "x" * 500)], (), ())
    assert list(outcomes(journal.path.parent)) == [1]


def test_two_lanes_never_share_a_file_however_alike_their_names(tmp_path: Path) -> None:
    names = ["letter.a", "letter_a", "letter+a", "лист", "мист", "x" * 60, "x" * 59 + "y"]
    journals = [SendJournal(tmp_path, "f1", name) for name in names]
    assert len({journal.path for journal in journals}) == len(names)
    for number, journal in enumerate(journals, 1):
        journal.note((), (), [number])
    journals[0].forget()
    assert sorted(outcomes(tmp_path)) == [2, 3, 4, 5, 6, 7]


def test_a_journal_of_an_earlier_boot_proves_only_what_it_holds(journal: SendJournal) -> None:
    """A power cut may have taken the unsynced tail with it."""
    journal.note([(1, "A1")], (), ())
    text = journal.path.read_text().replace(read_boot_id(), "another-boot")
    journal.path.write_text(text)
    evidence, _ = read_evidence(journal.path.parent)
    assert evidence.outcomes == {1: "sent A1"}
    assert evidence.complete == frozenset()


@given(cut=st.integers(0, 200))
def test_wherever_the_last_line_broke_off_nothing_is_taken_for_sent_that_was_not(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    journal = SendJournal(tmp_path_factory.mktemp("cut"), "f1", "letter")
    journal.note((), (), [12, 1234])
    journal.note([(1234, "A1")], (), ())
    whole = journal.path.read_bytes()
    cut %= len(whole)
    journal.path.write_bytes(whole[:cut])
    found = outcomes(journal.path.parent)
    assert found.get(12) in (None, "started"), "1234, cut to 12, is not 12"
    if whole.index(b"s 1234\n") + 7 <= cut:
        assert found[1234] in ("started", "sent A1")
    if cut < len(whole):
        assert found.get(1234) != "sent A"


class FullDisk(SendJournal):
    """A disk that takes only so many bytes more."""

    room = 10**9

    def _append(self, data: bytes) -> int:
        taken = min(self.room, len(data))
        self.room -= taken
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(self._file, data[:taken])


def test_on_a_full_disk_nothing_may_start(tmp_path: Path) -> None:
    journal = FullDisk(tmp_path, "f1", "letter")
    for room in (0, 4):
        journal.room = room
        with pytest.raises(OSError, match="is the disk full"):
            journal.note((), (), [1, 2, 3])


def test_an_answer_that_finds_no_room_is_no_error_because_the_database_is_told_next(tmp_path: Path) -> None:
    journal = FullDisk(tmp_path, "f1", "letter")
    journal.note((), (), [7])
    journal.room = 0
    journal.note([(7, "A1")], (), ())
    journal.note((), [7], ())
    assert outcomes(tmp_path) == {7: "started"}


@pytest.mark.parametrize("room", range(10))
def test_a_line_cut_by_a_full_disk_does_not_spoil_the_next(tmp_path: Path, room: int) -> None:
    journal = FullDisk(tmp_path, "f1", "letter")
    journal.note((), (), [1234])
    journal.room = room
    journal.note([(1234, "A1")], (), ())
    journal.room = 10**9
    journal.note((), (), [13])
    journal.note([(13, "B1")], (), ())
    found = outcomes(tmp_path)
    assert found[13] == "sent B1"
    assert found[1234] in ("started", "sent A1")
    assert set(found) == {13, 1234}
