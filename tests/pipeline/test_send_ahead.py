"""A list longer than a batch: the next one is claimed and the last one settled while mails are on the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from distributor.core.errors import StorageError
from distributor.core.sending import Batch, Settled
from distributor.pipeline.send_wire import MOST_BATCHES
from distributor.storage import Storage
from distributor.storage.send_journal import SendJournal
from tests.pipeline.sending_scene import Rig, open_rig

BATCH = 6


@dataclass
class Watched:
    """A ledger that does something before each claim and each settlement, whose numbers begin at 1."""

    inner: Any
    before_claim: Callable[[int], None] = lambda number: None
    before_settle: Callable[[int], None] = lambda number: None
    claimed: list[int] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def claim(self, *arguments: Any, **named: Any) -> Any:
        self.before_claim(len(self.claimed) + 1)
        found = self.inner.claim(*arguments, **named)
        self.claimed.append(len(found.claimed) if isinstance(found, Batch) else 0)
        return found

    def settle(self, name: str, fence: str, settled: list[Settled], now: datetime) -> None:
        self.before_settle(len(self.settled) + 1)
        self.settled.append(len(settled))
        self.inner.settle(name, fence, settled, now)


@pytest.fixture(params=["pipelined", "plain"])
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rigs(storage: Storage, now: datetime, tmp_path: Path, client: str) -> Iterator[Callable[[int], Rig]]:
    opened: list[Any] = []

    def make(readers: int) -> Rig:
        manager = open_rig("smtp", storage, now, tmp_path, readers, client=client, connections=2)
        rig = manager.__enter__()
        opened.append(manager)
        rig.channel.limits = replace(rig.channel.limits, batch=BATCH)
        return rig

    yield make
    for manager in opened:
        manager.__exit__(None, None, None)


def addresses(rig: Rig) -> list[str]:
    return sorted(sighting.recipient for sighting in rig.seen)


def test_everybody_on_a_long_list_gets_one_letter(rigs: Callable[[int], Rig], client: str) -> None:
    rig = rigs(4 * BATCH + 1)
    rig.ledger = watched = Watched(rig.storage.ledger)
    rig.add()
    assert rig.send() == 0
    if client == "pipelined":
        assert rig.states == {"sent": 4 * BATCH + 1}
        assert watched.settled == [BATCH, BATCH, BATCH, BATCH, 1]
    rig.send_all()
    assert rig.states == {"sent": 4 * BATCH + 1}
    assert len(addresses(rig)) == len(set(addresses(rig))) == 4 * BATCH + 1


def test_after_so_many_batches_all_is_settled_and_the_journal_is_emptied(rigs: Callable[[int], Rig]) -> None:
    rig = rigs((MOST_BATCHES + 1) * BATCH)
    sizes: list[int] = []

    class Seen(SendJournal):
        def forget(self) -> None:
            sizes.append(rig.states.get("sent", 0))
            super().forget()

    rig.journal = Seen(rig.folder, "me", "main")
    rig.add()
    rig.send_all()
    assert rig.states == {"sent": (MOST_BATCHES + 1) * BATCH}
    assert MOST_BATCHES * BATCH in sizes
    assert sizes[-1] == (MOST_BATCHES + 1) * BATCH
    assert b"\na " not in rig.journal.path.read_bytes()


def test_who_is_told_to_stop_gives_back_what_was_claimed_ahead(rigs: Callable[[int], Rig]) -> None:
    rig = rigs(5 * BATCH)

    def stop(number: int) -> None:
        rig.is_stopping = rig.is_stopping or number == 3

    rig.ledger = Watched(rig.storage.ledger, before_claim=stop)
    rig.add()
    while rig.send() == 0:
        pass
    sent = rig.states.get("sent", 0)
    assert rig.states == {"sent": sent, "queued": 5 * BATCH - sent}
    assert len(addresses(rig)) == sent >= BATCH
    rig.is_stopping = False
    rig.ledger = None
    rig.send_all()
    assert len(set(addresses(rig))) == len(addresses(rig)) == 5 * BATCH


def test_a_database_that_is_away_for_a_claim_ahead_stops_nothing_that_is_on_its_way(
    rigs: Callable[[int], Rig],
) -> None:
    rig = rigs(3 * BATCH)

    def fail(number: int) -> None:
        if number == 2 and len(failures) < 1:
            failures.append(number)
            raise StorageError("the database is locked by another program")

    failures: list[int] = []
    rig.ledger = Watched(rig.storage.ledger, before_claim=fail)
    rig.add()
    try:
        rig.send()
    except StorageError:
        pytest.fail("what was on its way is not disturbed")
    assert rig.states["sent"] >= BATCH
    try:
        rig.send_all()
    except StorageError:
        rig.send_all()
    assert rig.states == {"sent": 3 * BATCH}
    assert len(set(addresses(rig))) == len(addresses(rig)) == 3 * BATCH


def test_what_cannot_be_settled_behind_is_told_again(rigs: Callable[[int], Rig]) -> None:
    rig = rigs(3 * BATCH)

    def fail(number: int) -> None:
        if number == 1 and len(failures) < 2:
            failures.append(number)
            raise StorageError("the database is locked by another program")

    failures: list[int] = []
    rig.ledger = Watched(rig.storage.ledger, before_settle=fail)
    rig.add()
    rig.send_all()
    assert len(rig.pauses) == 2
    assert rig.states == {"sent": 3 * BATCH}


def test_the_next_edition_follows_with_its_own_words(rigs: Callable[[int], Rig]) -> None:
    rig = rigs(BATCH)
    rig.add(1)
    rig.add(2)
    rig.send_all()
    assert rig.states == {"sent": 2 * BATCH}
    for number in (1, 2):
        theirs = [one.recipient for one in rig.seen if f"Story number {number}" in one.text]
        assert len(theirs) == len(set(theirs)) == BATCH


def test_the_answer_is_on_record_before_the_next_mail_starts_there(rigs: Callable[[int], Rig]) -> None:
    """At each write, what is started and not answered is never more than there are connections."""
    rig = rigs(3 * BATCH)
    most = 0

    class Counting(SendJournal):
        def note(self, accepted: Any, refused: Any, started: Any) -> None:
            nonlocal most
            super().note(accepted, refused, started)
            lines = self.path.read_bytes().splitlines()
            open_ = {line.split()[1] for line in lines if line.startswith(b"s ")}
            most = max(most, len(open_ - {line.split()[1] for line in lines if line[:2] in (b"a ", b"n ")}))

    rig.journal = Counting(rig.folder, "me", "main")
    rig.add()
    rig.send_all()
    assert rig.states == {"sent": 3 * BATCH}
    assert 1 <= most <= 2
