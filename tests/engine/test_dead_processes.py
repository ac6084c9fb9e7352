"""What a dead process left behind, where others live: judged once, by whoever can prove something."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from distributor.core.delivery import settle
from distributor.core.errors import Unknown
from distributor.core.sending import Batch, Evidence, Settled
from distributor.core.waking import Wakeup
from distributor.storage import Storage
from distributor.storage.lock import find_presences, forget_presences, hold_presence
from distributor.storage.send_journal import SendJournal, read_evidence
from distributor.upkeep import Upkeep
from tests.storage.scene import add_edition, add_readers, states

NOTHING = {"queued": 0, "unknown": 0, "sent": 0}


def claim(storage: Storage, fence: str, now: datetime, channel: str = "tg", limit: int = 1) -> list[int]:
    batch = storage.ledger.claim(channel, limit=limit, paces=(), fence=fence, lease=900.0, now=now)
    assert isinstance(batch, Batch)
    return [one.delivery_id for one in batch.claimed]


def test_what_one_voice_had_claimed_is_queued_and_what_it_was_saying_is_unknown(
    storage: Storage, now: datetime
) -> None:
    for number in (1, 2, 3):
        add_edition(storage, now, number=number)
    storage.ledger.start(claim(storage, "dead", now), "dead", now)
    claim(storage, "dead", now)
    claim(storage, "alive", now)
    assert storage.recovery.recover_dead(Evidence(), ["dead"], now) == {"queued": 1, "unknown": 1, "sent": 0}
    assert storage.recovery.recover_dead(Evidence(), ["dead"], now) == NOTHING
    assert states(storage) == {"unknown": 1, "queued": 1, "claimed": 1}


def test_a_list_waits_for_the_journal_of_its_machine(storage: Storage, now: datetime) -> None:
    add_readers(storage, now, 4)
    add_edition(storage, now, channel="letter", list_name="readers")
    claim(storage, "dead", now, "letter", 4)
    assert storage.recovery.recover_dead(Evidence(), ["dead"], now) == NOTHING
    assert states(storage) == {"claimed": 4}


def test_a_journal_that_comes_late_settles_what_became_unknown(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    add_readers(storage, now, 4)
    add_edition(storage, now, channel="letter", list_name="readers")
    ids = claim(storage, "dead", now, "letter", 4)
    write_journal(tmp_path, "dead", started=ids[:2], accepted=ids[:1])
    later = now + timedelta(seconds=901)
    assert storage.recovery.expire_leases(later) == {"queued": 0, "unknown": 4}
    evidence, _ = read_evidence(tmp_path)
    assert storage.recovery.recover_dead(evidence, ["dead"], later) == {"queued": 0, "unknown": 0, "sent": 1}
    assert storage.recovery.recover_dead(evidence, ["dead"], later) == NOTHING
    assert states(storage) == {"sent": 1, "unknown": 3}


def test_a_journal_that_says_nothing_of_an_unknown_delivery_proves_nothing(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    """Found by a simulated seed: the holder had told the ledger "unknown" and emptied its journal, then died; the
    silence of the journal sent the letter a second time."""
    add_readers(storage, now, 1)
    add_edition(storage, now, channel="letter", list_name="readers")
    (number,) = claim(storage, "dead", now, "letter", 4)
    lost = Settled(number, 1, now, now, settle(Unknown("no answer"), 1, 3, number))
    storage.ledger.settle("letter", "dead", [lost], now)
    write_journal(tmp_path, "dead", started=(), accepted=())
    assert storage.recovery.recover_dead(read_evidence(tmp_path)[0], ["dead"], now) == NOTHING
    assert states(storage) == {"unknown": 1}


def test_a_journal_that_comes_late_leaves_what_a_person_has_decided(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    add_readers(storage, now, 1)
    add_edition(storage, now, channel="letter", list_name="readers")
    (number,) = claim(storage, "dead", now, "letter", 4)
    write_journal(tmp_path, "dead", started=(), accepted=())
    later = now + timedelta(seconds=901)
    storage.recovery.expire_leases(later)
    assert storage.decisions.resolve(number, "leave", "anna", later)
    assert storage.recovery.recover_dead(read_evidence(tmp_path)[0], ["dead"], later) == NOTHING
    assert states(storage) == {"presumed": 1}


def test_what_waits_is_woken_with_the_recovery(storage: Storage, now: datetime) -> None:
    class Listener:
        def __init__(self) -> None:
            self.heard: list[str] = []

        def enqueue(self, driver: object, wakeup: Wakeup) -> None:
            self.heard.append(wakeup.channel)

        def wake(self, channel: str | None = None) -> None:
            self.heard.append(f"{channel} committed")

    add_edition(storage, now)
    claim(storage, "dead", now)
    listener = storage.database.waker = Listener()
    storage.recovery.recover_dead(Evidence(), ["dead"], now)
    assert listener.heard == ["tg", "tg committed"]


def test_a_folder_tells_its_living_from_its_dead(tmp_path: Path) -> None:
    here, there = hold_presence(tmp_path, "here"), hold_presence(tmp_path, "there")
    (tmp_path / "process-gone.lock").touch()
    write_journal(tmp_path, "older", started=[1], accepted=())
    write_journal(tmp_path, "there", started=[2], accepted=())
    assert find_presences(tmp_path, "here") == (["here", "there"], ["gone", "older"])
    evidence, files = read_evidence(tmp_path, ["here", "there"])
    assert evidence.known == {"older"}
    assert [path.name.split("-")[1] for path in files] == ["older"]
    forget_presences(tmp_path, ["gone", "older"])
    there()
    here()
    assert not list(tmp_path.glob("process-*"))


def test_signs_of_life_tell_who_is_there(storage: Storage, now: datetime) -> None:
    storage.workers.beat("one", "here", 1, "worker", "0", now)
    storage.workers.beat("one", "here", 1, "worker", "0", now)
    storage.workers.beat("two", "there", 2, "clock", "0", now)
    assert set(storage.workers.list_live(now)) == {"one", "two"}
    storage.workers.leave(["one"])
    assert [one.host for one in storage.workers.list_all(now)] == ["there"]


def test_only_who_was_never_cut_off_may_call_others_dead() -> None:
    clock = [0.0]
    upkeep = Upkeep(FakeApp(), "worker", lambda: clock[0])  # type: ignore[arg-type]

    def live(seconds: int) -> bool:
        for _ in range(seconds // 5):
            clock[0] += 5.0
            upkeep.beat()
        return upkeep.is_steady()

    upkeep.beat()
    assert not live(20)
    assert live(10)
    clock[0] += 60.0  # the database was away
    assert not upkeep.is_steady()
    upkeep.beat()
    assert not upkeep.is_steady()
    assert live(30)


class FakeApp:
    """Beats go nowhere."""

    fence = "me"

    @property
    def storage(self) -> FakeApp:
        return self

    workers = storage

    def beat(self, *words: object) -> None: ...
    def clock(self) -> None: ...


def write_journal(folder: Path, fence: str, started: Sequence[int], accepted: Sequence[int]) -> None:
    journal = SendJournal(folder, fence, "letter")
    journal.note((), (), started)
    for number in accepted:
        journal.note([(number, "250 ok")], (), ())
    os.close(vars(journal)["_file"])
