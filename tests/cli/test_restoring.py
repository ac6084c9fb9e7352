"""db restore, merge-journal, adopt, hold, move: what is typed at three in the morning, and what it answers."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from distributor.storage.aftermath import check_in
from distributor.storage.instance import read_safe_mode
from distributor.storage.lock import lock_database
from tests.cli.desk import Folder, lately


def back_up(busy: Folder) -> str:
    done = busy.type("db", "backup")
    assert done.code == 0
    return done.out.strip()


def read_sentence(busy: Folder) -> str:
    with busy.open() as storage:
        return read_safe_mode(storage.database)


def test_a_restore_says_what_it_did_and_what_to_type_next(busy: Folder) -> None:
    copy = back_up(busy)
    done = busy.type("db", "restore", copy)
    assert done.code == 0
    assert re.search(r"held, not known to have gone +\d", done.out)
    assert "the database that was there is kept in" in done.told
    assert "then type: distributor db adopt" in done.told
    assert "the database was restored" in read_sentence(busy)


def test_adopting_shows_what_waits_and_changes_nothing_until_it_is_told(busy: Folder) -> None:
    busy.type("db", "restore", back_up(busy))
    shown = busy.type("db", "adopt")
    assert shown.code == 1
    assert "deliveries wait" in shown.out
    assert "--release, --hold or --drop" in shown.told
    assert read_sentence(busy) != ""
    assert busy.type("db", "adopt", "--release", "--drop").code == 2
    done = busy.type("db", "adopt", "--hold")
    assert done.code == 0
    assert "adopted; held:" in done.told
    assert read_sentence(busy) == ""
    again = busy.type("db", "adopt", "--drop")
    assert again.code == 0
    assert "nothing to decide" in again.told


def test_a_copied_folder_is_adopted_with_one_command(busy: Folder, tmp_path: Path) -> None:
    with busy.open() as storage:
        check_in(storage.database, busy.database.parent, lately())
    second = Folder(tmp_path / "second", busy.channels, busy.sources)
    shutil.copytree(busy.path, second.path, ignore=shutil.ignore_patterns("second"))
    assert "is a copy or was restored" in second.type("db", "check").told
    assert second.type("db", "adopt").code == 1, "also before it was ever started there"
    assert second.type("db", "adopt", "--drop").code == 0
    assert read_sentence(second) == ""
    assert read_sentence(busy) == ""


def test_holding_by_hand_is_told_by_check_and_ended_by_adopting(busy: Folder) -> None:
    done = busy.type("db", "hold", "--reason", "snapshot of 08:00")
    assert done.code == 0
    assert "snapshot of 08:00" in done.told
    assert "safe mode:" in busy.type("db", "check").told
    assert busy.type("db", "adopt", "--release").code == 0


def test_merging_is_refused_while_the_program_runs(busy: Folder) -> None:
    with busy.open() as storage:
        unlock = lock_database(storage.database)
        done = busy.type("db", "merge-journal")
        unlock()
    assert done.code == 4
    assert "another distributor" in done.told


def test_a_merge_without_any_record_holds_everything(busy: Folder) -> None:
    done = busy.type("db", "merge-journal")
    assert done.code == 0
    assert "proved sent by the send record  0" in done.out


@pytest.mark.parametrize("name", ["nothing.db", "."])
def test_what_is_no_backup_is_refused(busy: Folder, name: str) -> None:
    done = busy.type("db", "restore", name)
    assert done.code == 4
    assert "is not a backup" in done.told


def test_a_move_names_every_table_and_says_what_to_write(busy: Folder, postgres_database_url: str) -> None:
    done = busy.type("db", "move", postgres_database_url)
    assert done.code == 0, done.told
    assert re.search(r"delivery +4 of 4", done.told)
    assert "all compared" in done.told
    assert "database.url" in done.told
    refused = busy.type("status")
    assert refused.code == 4
    assert "has moved to" in refused.told


def test_a_move_to_something_else_is_refused(busy: Folder) -> None:
    assert busy.type("db", "move", "sqlite:///other.db").code == 2


def test_after_a_move_a_copy_of_the_old_file_can_be_gone_back_to(busy: Folder, postgres_database_url: str) -> None:
    assert busy.type("db", "move", postgres_database_url).code == 0
    copy = back_up(busy)
    assert busy.type("db", "restore", copy).code == 0
    assert busy.type("status").code == 1, "it waits for a person"
    assert busy.type("db", "adopt", "--release").code == 0
