"""What a person decides at the command line reaches workers elsewhere at once: nobody looks by itself here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from distributor.core.delivery import settle
from distributor.core.errors import Unknown
from distributor.core.sending import Batch, Settled
from tests.cli.desk import Folder
from tests.conftest import PostgresDatabases
from tests.engine.scene import Node, Public, read_clock, voice, wait_for


@pytest.fixture
def node(tmp_path: Path, postgres_databases: PostgresDatabases) -> Iterator[Node]:
    """A worker among others, without the rounds that find what was forgotten."""
    url = postgres_databases.lend_ready()
    made = Node(url, tmp_path, Public(), "worker1", "procrastinate", {"tg": voice(), "letter": voice()}).start()
    yield made
    made.stop()
    postgres_databases.take_back(url)


@pytest.fixture
def folder(tmp_path: Path, node: Node) -> Folder:
    made = Folder(tmp_path)
    made.write_config(database={"url": node.url})
    return made


def add_quietly(node: Node, number: int = 1) -> int:
    """An edition whose wake-up is lost."""
    waker, node.database.waker = node.database.waker, None
    edition = node.add_edition("tg", number)
    node.database.waker = waker
    return edition


def test_what_waited_behind_a_pause_goes_when_it_ends(node: Node, folder: Folder) -> None:
    assert folder.type("pause", "tg", "--reason", "wrong headline").code == 0
    edition = add_quietly(node)
    assert folder.type("resume", "tg").told == "tg is open: 1 message of 1 edition goes out in order\n"
    wait_for("the story", lambda: node.public.editions() == [edition])


def test_what_was_held_goes_when_it_is_released(node: Node, folder: Folder) -> None:
    edition = add_quietly(node)
    assert node.storage.recovery.hold_late(read_clock() + timedelta(days=1)) == 1
    assert folder.type("editions", "release", str(edition)).told == "released: 1\n"
    wait_for("the story", lambda: node.public.editions() == [edition])


def test_what_is_sent_again_goes_when_it_is_said(node: Node, folder: Folder) -> None:
    edition, now = add_quietly(node), read_clock()
    batch = node.storage.ledger.claim("tg", limit=1, paces=(), fence="lost", lease=900, now=now)
    assert isinstance(batch, Batch)
    (one,) = batch.claimed
    node.storage.ledger.start([one.delivery_id], "lost", now)
    what = settle(Unknown("reset"), 1, 20, 1)
    node.storage.ledger.settle("tg", "lost", [Settled(one.delivery_id, 1, now, now, what)], now)
    node.storage.lanes.release("tg", "lost")
    done = folder.type("deliveries", "resolve", str(one.delivery_id), "--resend")
    assert (done.code, done.told) == (0, "resend: 1\n")
    wait_for("the story", lambda: node.public.editions() == [edition])


def test_what_an_adoption_releases_goes_at_once(node: Node, folder: Folder) -> None:
    assert folder.type("db", "hold", "--reason", "a test").code == 0
    edition = add_quietly(node)
    assert folder.type("db", "adopt", "--release").code == 0
    wait_for("the story", lambda: node.public.editions() == [edition])


def test_a_command_without_workers_to_tell_works_too(tmp_path: Path, postgres_databases: PostgresDatabases) -> None:
    """Nobody has run here yet, so there is no queue to put anything into."""
    url = postgres_databases.lend_ready()
    folder = Folder(tmp_path)
    folder.write_config(database={"url": url})
    assert folder.type("pause", "tg", "--reason", "wrong headline").code == 0
    assert folder.type("resume", "tg").code == 0
    postgres_databases.take_back(url)
