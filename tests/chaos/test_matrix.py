"""A dozen kills in four days, on both databases. `make chaos` kills at every boundary and while it recovers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.chaos.accounts import settle_accounts
from tests.chaos.child import Bomb
from tests.chaos.long_day import Pair, Plan
from tests.chaos.matrix import SHORT
from tests.chaos.nursery import Nursery
from tests.chaos.plans import Known, choose_bombs, choose_pairs, try_again
from tests.chaos.stage import Stage
from tests.chaos.unreached import explain_unreached, shorten
from tests.chaos.walk import walk
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


KNOWN = Known("a day", ["lock.write", "feed.fetch", "x.body", "x.answered", "presence.leave"], 4)


def test_the_second_kill_is_where_the_recovery_can_come_by() -> None:
    """A start comes by its boundaries again; what was done before the first kill does not come again."""
    recovery = ["lock.write", "feed.fetch", "x.body", "x.answered"]
    pairs = {pair.first.point: pair for pair in choose_pairs(KNOWN, set(), recovery, Counter(), seed=1)}
    assert set(pairs) == set(KNOWN.trace)
    assert pairs["x.answered"].second == Bomb("lock.write")
    assert pairs["x.body"].second in (Bomb("lock.write"), Bomb("x.answered"))
    assert pairs["presence.leave"].at_stop
    assert not pairs["x.body"].at_stop


def test_a_boundary_that_an_earlier_scene_has_is_not_taken_again() -> None:
    pairs = choose_pairs(KNOWN, set(KNOWN.trace) - {"x.body"}, KNOWN.trace, Counter(), seed=1)
    assert [pair.first for pair in pairs] == [Bomb("x.body")]


def test_a_boundary_that_was_missed_is_tried_once_more_with_more_patience() -> None:
    plans = [Plan("a day", (Pair(Bomb("x.body", 2)), Pair(Bomb("e.f"))))]
    again, recovering = try_again(plans, {"x.body", "g.h"}, Bomb("a.b"))
    assert again.pairs[0].first == Bomb("x.body")
    assert again.patience > plans[0].patience
    assert recovering.pairs[0] == Pair(Bomb("a.b"), Bomb("g.h"))


def test_what_cannot_be_reached_has_its_reason() -> None:
    found = explain_unreached("SQLite, local engine", {"lanes.release written", "x.body"})
    assert list(found.values()) == [["lanes.release written"], ["x.body"]]
    assert shorten(["a.b written", "a.b committed", "c.d committed"]) == "`a.b`, `c.d committed`"
