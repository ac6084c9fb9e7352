"""What every engine promises, on every database it works on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from distributor.core.waking import Wakeup
from tests.conftest import PostgresDatabases
from tests.engine.scene import Node, Public, read_clock, voice, wait_for

Start = Callable[[], Node]


@pytest.fixture(params=["local-sqlite", "local-postgresql", "procrastinate-postgresql"])
def make_node(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_databases: PostgresDatabases
) -> Iterator[Callable[[], Node]]:
    """Makes processes that are not started yet, over one fresh database."""
    kind, _, database = request.param.partition("-")
    if database == "sqlite":
        shutil.copyfile(request.getfixturevalue("sqlite_ready"), tmp_path / "d.db")
        url = f"sqlite:///{tmp_path / 'd.db'}"
    else:
        url = postgres_databases.lend_ready()
    public, nodes = Public(), list[Node]()

    def make() -> Node:
        nodes.append(Node(url, tmp_path, public, f"node{len(nodes)}", kind, {"tg": voice(), "x": voice()}))
        return nodes[-1]

    yield make
    for node in nodes:
        node.stop()
    if database != "sqlite":
        postgres_databases.take_back(url)


def test_what_becomes_ready_is_sent_at_once(make_node: Start) -> None:
    node = make_node().start()
    one = node.add_edition("tg", 1)
    wait_for("the story", lambda: node.public.editions() == [one])
    wait_for("its accounts", lambda: node.states() == {"sent": 1})


def test_a_wakeup_is_rolled_back_with_its_transaction(make_node: Start) -> None:
    node = make_node().start()
    node.add_edition("x", 1)
    wait_for("the engine to run", lambda: node.public.seen)
    wait_for("its end", lambda: is_quiet(node, "tg"))
    with pytest.raises(ZeroDivisionError), node.database.write("a test") as connection:
        node.database.announce(connection, Wakeup("tg", at=read_clock() + timedelta(hours=1)))
        raise ZeroDivisionError
    assert is_quiet(node, "tg")


def test_a_lost_wakeup_is_found(make_node: Start) -> None:
    node = make_node().start()
    node.database.waker = None
    one = node.add_edition("tg", 1)
    node.database.waker = node.engine
    wait_for("the story", lambda: node.public.editions() == [one], node.sweep)


def test_stale_and_doubled_wakeups_do_nothing(make_node: Start) -> None:
    node = make_node().start()
    one = node.add_edition("tg", 1)
    for _ in range(20):
        node.storage.lanes.put_down(Wakeup("tg", one))
    wait_for("the story", lambda: node.public.editions() == [one])
    wait_for("quiet", lambda: is_quiet(node, "tg"))
    assert node.public.editions() == [one]


def test_a_cancelled_wakeup_does_nothing_and_what_is_ready_is_found(make_node: Start) -> None:
    node = make_node().start()
    node.add_edition("x", 1)
    wait_for("the engine to run", lambda: node.public.seen)
    later = Wakeup("tg", at=read_clock() + timedelta(hours=1))
    node.storage.lanes.put_down(later)
    count = node.engine.cancel("tg")
    assert count == (0 if node.kind == "local" else 1)
    wait_for("quiet", lambda: is_quiet(node, "tg"))
    two = node.add_edition("tg", 2)
    wait_for("the story", lambda: two in node.public.editions(), node.sweep)


def test_a_wakeup_for_a_channel_of_another_process_is_left_alone(make_node: Start) -> None:
    node = make_node().start()
    node.storage.lanes.put_down(Wakeup("elsewhere", audience=10_000))
    one = node.add_edition("tg", 1)
    wait_for("the story", lambda: node.public.editions() == [one])


def test_stories_keep_their_order(make_node: Start) -> None:
    node = make_node()
    told = [node.add_edition("tg", number) for number in range(1, 8)]
    node.start()
    wait_for("all", lambda: len(node.public.seen) == 7, node.sweep)
    assert node.public.editions() == told


def test_a_single_story_goes_before_a_digest(make_node: Start) -> None:
    node = make_node()
    digest = node.add_edition("tg", 1, form="digest")
    story = node.add_edition("tg", 2)
    node.start()
    wait_for("both", lambda: len(node.public.seen) == 2, node.sweep)
    assert node.public.editions() == [story, digest]


def test_what_has_to_wait_is_sent_when_its_time_has_come(make_node: Start) -> None:
    node = make_node().start()
    until = read_clock() + timedelta(seconds=2)
    node.storage.ledger.rest_channel("tg", until)
    one = node.add_edition("tg", 1)
    wait_for("the story", lambda: node.public.editions() == [one], node.sweep)
    assert read_clock() >= until


def test_after_a_stop_nothing_is_begun(make_node: Start) -> None:
    node = make_node().start()
    node.add_edition("tg", 1)
    wait_for("the story", lambda: node.states() == {"sent": 1})
    assert node.engine.stop(20.0)
    node.add_edition("tg", 2)
    assert node.states() == {"sent": 1, "queued": 1}


def test_a_stop_lets_what_is_on_the_wire_finish(make_node: Start) -> None:
    node = make_node()
    node.pause = 1.0
    node.start()
    one = node.add_edition("tg", 1)
    node.add_edition("tg", 2)
    wait_for("the call to begin", lambda: node.public.speaking.get("tg"))
    assert node.engine.stop(20.0)
    assert node.public.editions() == [one]
    assert node.states() == {"sent": 1, "queued": 1}
    assert not node.storage.recovery.list_holders()


def is_quiet(node: Node, channel: str) -> bool:
    """Nobody thinks of this channel. A local lane always does."""
    return node.kind == "local" or not node.engine.is_live(channel)
