"""A dozen kills in four days, on both databases. `make chaos` kills at every boundary and while it recovers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.accounts import settle_accounts
from tests.chaos.child import Bomb
from tests.chaos.matrix import SHORT, choose_bombs, choose_second
from tests.chaos.nursery import Nursery
from tests.chaos.stage import Stage
from tests.chaos.walk import Walked, walk
from tests.house.points import list_points

IN_FLIGHT = {"letter": 1}
ANN, BEN = ("letter", "ann@example.org", "News"), ("letter", "ben@example.org", "News")


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


@pytest.fixture(scope="module", params=["SQLite", "PostgreSQL"])
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, nursery: Nursery
) -> Iterator[Stage]:
    url = request.getfixturevalue("postgres_url") if request.param == "PostgreSQL" else ""
    with Stage(tmp_path_factory.mktemp("chaos") / "room", request.param, url, nursery) as stage:
        yield stage


@pytest.mark.parametrize("bombs", SHORT, ids=lambda bombs: bombs[0].point)
def test_three_kills_in_one_day_lose_nothing_and_repeat_nothing(stage: Stage, bombs: tuple[Bomb, ...]) -> None:
    walked = walk(stage, bombs)
    assert not walked.account.violations
    # Later bombs may find their work done by an earlier life.
    assert bombs[0] not in walked.duds


def test_the_short_list_names_boundaries_that_there_are() -> None:
    assert {bomb.point for bombs in SHORT for bomb in bombs} <= set(list_points())


class Row:
    def __init__(self, pair: tuple[str, str, str], state: str, may_duplicate: bool = False) -> None:
        self.channel, self.address, self.title = pair
        self.state, self.may_duplicate = state, may_duplicate


def test_the_oracle_finds_what_is_lost() -> None:
    account = settle_accounts([ANN, BEN], [ANN], [Row(ANN, "sent"), Row(BEN, "sent")], 1, IN_FLIGHT)
    assert account.lost == [BEN]
    assert account.violations


def test_the_oracle_finds_what_went_out_twice_unless_somebody_allowed_it() -> None:
    assert settle_accounts([ANN], [ANN, ANN], [Row(ANN, "sent")], 1, IN_FLIGHT).twice == [ANN]
    assert not settle_accounts([ANN], [ANN, ANN], [Row(ANN, "sent", may_duplicate=True)], 1, IN_FLIGHT).violations


def test_the_oracle_allows_as_many_unknown_as_there_were_requests_on_the_wire() -> None:
    rows = [Row(ANN, "unknown"), Row(BEN, "unknown")]
    assert not settle_accounts([ANN, BEN], [ANN], rows, 2, IN_FLIGHT).violations
    assert settle_accounts([ANN, BEN], [ANN], rows, 1, IN_FLIGHT).violations


def test_the_oracle_finds_what_nobody_planned() -> None:
    assert settle_accounts([ANN], [ANN, BEN], [Row(ANN, "sent")], 0, IN_FLIGHT).violations
    assert settle_accounts([ANN], [ANN], [Row(ANN, "sent"), Row(BEN, "queued")], 0, IN_FLIGHT).violations


def test_what_comes_often_is_also_killed_in_the_middle() -> None:
    assert choose_bombs(["a.b", "c.d", "c.d", "c.d"]) == [Bomb("a.b"), Bomb("c.d"), Bomb("c.d", 2)]


def test_the_second_kill_is_at_a_boundary_of_the_recovery() -> None:
    first = [
        Walked(settle_accounts([], [], [], 1, {}), (Bomb(name),), [[], ["e.f", "g.h"]]) for name in ("a.b", "c.d")
    ]
    pairs = choose_second(first, seed=1)
    assert {second.point for _, second in pairs} == {"e.f", "g.h"}
