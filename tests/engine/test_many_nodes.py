"""Several processes on one PostgreSQL: each message once, one voice at a time, in order, at the allowed speed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from distributor.core.message import Limits, Pace
from tests.conftest import PostgresDatabases
from tests.engine.scene import Node, Public, crowd, read_clock, voice, wait_for
from tests.storage.scene import add_readers

MakeNodes = Callable[..., list[Node]]


@pytest.fixture
def make_nodes(tmp_path: Path, postgres_databases: PostgresDatabases) -> Iterator[MakeNodes]:
    url = postgres_databases.lend_ready()
    nodes: list[Node] = []

    def make(count: int, limits: Mapping[str, Limits], **more: Any) -> list[Node]:
        public = nodes[0].public if nodes else Public()
        made = [
            Node(url, tmp_path, public, f"node{len(nodes) + i}", "procrastinate", limits, **more)
            for i in range(count)
        ]
        nodes.extend(made)
        return made

    yield make
    for node in nodes:
        node.stop()
    postgres_databases.take_back(url)


def test_two_machines_send_each_story_once_and_in_order(make_nodes: MakeNodes) -> None:
    one, two = (node.start() for node in make_nodes(2, {"tg": voice(), "x": voice()}, pause=0.02))
    told: dict[str, list[int]] = {"tg": [], "x": []}
    for number in range(1, 41):
        name = ("tg", "x")[number % 2]
        told[name].append((one, two)[number % 3 % 2].add_edition(name, number))
    wait_for("all", lambda: len(one.public.seen) >= 40, lambda: (one.sweep(), two.sweep()))
    wait_for("their accounts", lambda: one.states() == {"sent": 40})
    for name, editions in told.items():
        assert [seen.edition for seen in one.public.seen if seen.channel == name] == editions
    assert one.public.most == 1


def test_two_machines_share_a_rate_limit(make_nodes: MakeNodes) -> None:
    limits = {"tg": voice(Pace("tg", 1, 0.3))}
    one, two = (node.start() for node in make_nodes(2, limits))
    for number in range(1, 9):
        (one, two)[number % 2].add_edition("tg", number)
    wait_for("all", lambda: len(one.public.seen) >= 8, lambda: (one.sweep(), two.sweep()))
    times = sorted(seen.at for seen in one.public.seen)
    assert len(times) == 8
    assert min(after - before for before, after in pairwise(times)) > 0.2


def test_a_list_is_shared_by_the_machines_that_are_there(make_nodes: MakeNodes) -> None:
    one, two = (node.start() for node in make_nodes(2, {"letter": crowd(10)}, pause=0.05))
    add_readers(one.storage, read_clock(), 300)
    one.add_edition("letter", 1, "readers")
    wait_for("everybody", lambda: len(one.public.seen) >= 300, lambda: (one.sweep(), two.sweep()))
    wait_for("the accounts", lambda: one.states() == {"sent": 300})
    assert len({seen.recipient for seen in one.public.seen}) == len(one.public.seen) == 300
    shares = Counter(seen.by for seen in one.public.seen)
    assert set(shares) == {"node0", "node1"}, shares


def test_a_machine_that_comes_later_takes_part(make_nodes: MakeNodes) -> None:
    (one,) = make_nodes(1, {"letter": crowd(5)}, pause=0.1)
    one.start()
    add_readers(one.storage, read_clock(), 200)
    one.add_edition("letter", 1, "readers")
    wait_for("a beginning", lambda: len(one.public.seen) >= 20)
    (two,) = make_nodes(1, {"letter": crowd(5)}, pause=0.1)
    two.start()
    wait_for("everybody", lambda: len(one.public.seen) >= 200, lambda: (one.sweep(), two.sweep()))
    assert len({seen.recipient for seen in one.public.seen}) == len(one.public.seen) == 200
    assert {seen.by for seen in one.public.seen} == {"node0", "node1"}


def test_a_lane_whose_holder_is_silent_is_inherited(make_nodes: MakeNodes) -> None:
    one, two = make_nodes(2, {"tg": voice()})
    one.add_edition("tg", 1)
    ledger = one.storage.taking_turns(make_turn(True)).ledger
    batch = ledger.claim("tg", limit=1, paces=(), fence="gone", lease=900.0, now=read_clock())
    assert getattr(batch, "claimed", None)
    assert one.storage.recovery.list_holders() == {"gone"}
    story = two.add_edition("tg", 2)
    two.start()
    wait_for("the next story", lambda: two.public.editions() == [story], two.sweep)


def test_a_lane_whose_holder_lives_is_not(make_nodes: MakeNodes) -> None:
    one, two = make_nodes(2, {"tg": voice()})
    one.beat()
    one.add_edition("tg", 1)
    one.add_edition("tg", 2)
    ledgers = [node.storage.taking_turns(make_turn(True)).ledger for node in (one, two)]
    claim: dict[str, Any] = {"limit": 1, "paces": (), "lease": 900.0, "now": read_clock()}
    assert getattr(ledgers[0].claim("tg", fence="node0", **claim), "claimed", None)
    assert not getattr(ledgers[1].claim("tg", fence="node1", **claim), "claimed", None)
    one.storage.lanes.release("tg", "node0")
    assert getattr(ledgers[1].claim("tg", fence="node1", **claim), "claimed", None)


def test_who_was_cut_off_inherits_nothing(make_nodes: MakeNodes) -> None:
    one, _ = make_nodes(2, {"tg": voice()})
    one.add_edition("tg", 1)
    one.add_edition("tg", 2)
    claim: dict[str, Any] = {"limit": 1, "paces": (), "lease": 900.0, "now": read_clock()}
    assert getattr(
        one.storage.taking_turns(make_turn(True)).ledger.claim("tg", fence="gone", **claim), "claimed", 0
    )
    cut_off = one.storage.taking_turns(make_turn(False)).ledger
    assert not getattr(cut_off.claim("tg", fence="node1", **claim), "claimed", None)


def test_an_edition_whose_last_two_answers_come_in_one_moment_is_closed_by_housekeeping(
    make_nodes: MakeNodes,
) -> None:
    (one,) = make_nodes(1, {"tg": voice()})
    edition = one.add_edition("tg", 1)
    with one.database.write("a test") as connection:
        connection.exec_driver_sql("UPDATE delivery SET state = 'sent'")
    assert one.storage.reports.list_editions(limit=1)[0].state == "frozen"
    one.storage.recovery.housekeep(read_clock() + timedelta(seconds=1))
    row = one.storage.reports.list_editions(limit=1)[0]
    assert (row.id, row.state) == (edition, "complete")


def make_turn(may_inherit: bool) -> Any:
    from distributor.storage.lanes import Turn

    return Turn(lambda: may_inherit)
