"""PostgreSQL as operators save it, with the real pg_dump: a restore that learns, a clone that keeps still."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from distributor.core.delivery import Settlement
from distributor.core.sending import Batch, Settled
from distributor.storage import Storage, open_storage
from distributor.storage.adoption import adopt
from distributor.storage.aftermath import check_in
from distributor.storage.instance import read_safe_mode
from distributor.storage.recorded import RecordedLedger
from distributor.storage.restore import merge_journal
from tests.conftest import PostgresDatabases, upgrade_database
from tests.postgres_server import find_programs
from tests.storage.scene import add_edition, add_readers, states


def run_program(name: str, *words: str) -> None:
    """One of the server's own programs, else one of this machine's; skips where there is none that fits."""
    try:
        program: str | None = str(find_programs() / "bin" / name)
    except RuntimeError:
        program = shutil.which(name)
    if os.environ.get("DISTRIBUTOR_TEST_POSTGRES") or program is None or not Path(program).exists():
        program = shutil.which(name)
    if program is None:
        pytest.skip(f"there is no {name} on this machine")
    done = subprocess.run([program, *words], capture_output=True, text=True)
    if "server version mismatch" in done.stderr:
        pytest.skip(f"the {name} of this machine does not fit the tests' server")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def url(postgres_database_url: str) -> str:
    upgrade_database(postgres_database_url)
    return postgres_database_url


@pytest.fixture
def storage(url: str, tmp_path: Path, now: datetime) -> Iterator[Storage]:
    """At work, with ten readers, one letter and its state_dir."""
    opened = open_storage(url, tmp_path / "state")
    assert check_in(opened.database, tmp_path / "state", now) == ""
    add_readers(opened, now, 10)
    add_edition(opened, now, channel="letter", list_name="readers")
    yield opened
    opened.close()


def send(storage: Storage, state_dir: Path, count: int, now: datetime) -> None:
    ledger = RecordedLedger(storage, state_dir, "f1")
    batch = ledger.claim("letter", limit=count, paces=(), fence="f1", lease=60, now=now)
    assert isinstance(batch, Batch)
    done = [Settled(one.delivery_id, 1, now, now, Settlement("sent")) for one in batch.claimed]
    ledger.settle("letter", "f1", done, now)


def test_a_dump_of_half_a_send_is_restored_and_learns_what_went_out(
    storage: Storage, url: str, tmp_path: Path, now: datetime
) -> None:
    state_dir, dump = tmp_path / "state", str(tmp_path / "desk.dump")
    send(storage, state_dir, 3, now)
    run_program("pg_dump", "--format=custom", f"--file={dump}", url)
    send(storage, state_dir, 4, now)
    assert storage.recipients.unsubscribe(10, "readers", "unsubscribed", now)
    storage.close()
    run_program("pg_restore", "--clean", "--if-exists", f"--dbname={url}", dump)

    restored = open_storage(url, state_dir)
    assert states(restored) == {"sent": 3, "queued": 7}, "a journey back in time"
    assert check_in(restored.database, state_dir, now), "whoever starts it without a word sends nothing"
    merged = merge_journal(restored.database, state_dir, (), now)
    assert (merged.sent, merged.held, merged.left) == (4, 3, 1)
    assert states(restored) == {"sent": 7, "held": 3}
    assert not restored.recipients.is_member(10, "readers")
    assert "distributor db adopt" in read_safe_mode(restored.database)
    adopt(restored.database, state_dir, "release", "anna", now)
    assert check_in(restored.database, state_dir, now) == ""
    assert states(restored) == {"sent": 7, "queued": 3}
    add_edition(restored, now, channel="letter", list_name="readers", number=2)
    restored.close()


def test_a_clone_starts_held_and_the_first_one_goes_on(
    storage: Storage, url: str, tmp_path: Path, now: datetime, postgres_databases: PostgresDatabases
) -> None:
    dump, other = str(tmp_path / "desk.dump"), postgres_databases.create()
    run_program("pg_dump", "--format=custom", f"--file={dump}", url)
    run_program("pg_restore", f"--dbname={other}", dump)
    clone = open_storage(other)
    shutil.copytree(tmp_path / "state", tmp_path / "copied")
    assert "is a copy or was restored" in check_in(clone.database, tmp_path / "copied", now)
    ledger = RecordedLedger(clone, tmp_path / "copied", "f2")
    assert not isinstance(ledger.claim("letter", limit=5, paces=(), fence="f2", lease=60, now=now), Batch)
    assert check_in(storage.database, tmp_path / "state", now) == ""
    send(storage, tmp_path / "state", 10, now)
    assert (states(storage), states(clone)) == ({"sent": 10}, {"queued": 10})
    clone.close()
    postgres_databases.drop(other)
