"""The n-th call fails: every statement, every commit's acknowledgement and every file call of six pieces of a day.

Each is failed once, then everything goes on unharmed: nothing may be lost, nothing seen twice, and no exception may
reach a loop but those that say what to do. The short form tries some n, `--long` all.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PostgresDatabases
from tests.faults.broken_calls import FILE_KINDS, LOST, POSTGRES_KINDS, SQLITE_KINDS
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.town import Town, open_town

KINDS = tuple(sorted({*SQLITE_KINDS, *POSTGRES_KINDS}))
#: In the short form one in so many pairs of a scenario and a way to fail is played, once.
ONE_IN = 4

LendDatabase = Callable[[], Any]
every_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name.replace(" ", "_"))


@pytest.fixture(params=["sqlite", "postgresql"])
def lend_database(request: pytest.FixtureRequest, tmp_path: Path) -> LendDatabase:
    """Calls give a context with the URL of a database that has our tables and no rows."""
    if request.param == "sqlite":
        ready: Path = request.getfixturevalue("sqlite_ready")
        return lambda: copy_file(ready, tmp_path / "town.db")
    return lambda: borrow(request.getfixturevalue("postgres_databases"))


@contextmanager
def copy_file(ready: Path, path: Path) -> Iterator[str]:
    shutil.copyfile(ready, path)
    yield f"sqlite:///{path}"
    for left in path.parent.glob(f"{path.name}*"):
        left.unlink()


@contextmanager
def borrow(databases: PostgresDatabases) -> Iterator[str]:
    url = databases.lend_ready()
    yield url
    databases.take_back(url)


@contextmanager
def prepared(scenario: Scenario, lend: LendDatabase, folder: Path, now: datetime) -> Iterator[Town]:
    with lend() as url:
        town = open_town(folder, url, now)
        try:
            scenario.before(town)
            yield town
        finally:
            town.close()
            shutil.rmtree(folder)


@pytest.fixture
def play(lend_database: LendDatabase, tmp_path: Path, now: datetime) -> Callable[..., Any]:
    """Play a scenario with its n-th call failing; returns what is wrong afterwards. n = 0: count the calls."""

    def play_one(scenario: Scenario, kind: str = "", n: int = 0) -> Any:
        with prepared(scenario, lend_database, tmp_path / "town", now) as town:
            town.breaks.arm(kind, n)
            went_well = town.try_to(lambda: scenario.act(town))
            town.breaks.disarm()
            if not n:
                assert went_well, town.unexplained
                return town.breaks
            town.try_to(lambda: scenario.act(town))
            town.go_on()
            return town.find_wrong(scenario.doubtful + scenario.in_flight)

    return play_one


def choose(count: int, is_long: bool) -> list[int]:
    """All of 1..count, or the one in the middle."""
    return list(range(1, count + 1)) if is_long else [count // 2 + 1][:count]


def leave_for_long(is_long: bool, scenario: Scenario, number: int) -> None:
    if not is_long and (SCENARIOS.index(scenario) + number) % ONE_IN:
        pytest.skip("takes its time: run with --long")


def check_all(play: Callable[..., Any], scenario: Scenario, kind: str, which: list[int]) -> None:
    wrong = {n: found for n in which if (found := play(scenario, kind, n))}
    assert not wrong, "\n".join(f"call {n} ({kind}): {sentences}" for n, sentences in wrong.items())


@every_scenario
@pytest.mark.parametrize("kind", KINDS)
def test_a_statement_that_fails_costs_time_and_nothing_else(
    play: Callable[..., Any], scenario: Scenario, kind: str, is_long: bool, request: pytest.FixtureRequest
) -> None:
    if kind not in SQLITE_KINDS and "sqlite" in request.node.callspec.id:
        pytest.skip("a file has no server that could go away")
    leave_for_long(is_long, scenario, KINDS.index(kind))
    check_all(play, scenario, kind, choose(play(scenario).statements, is_long))


@every_scenario
def test_a_commit_whose_acknowledgement_is_lost_is_found_done(
    play: Callable[..., Any], scenario: Scenario, is_long: bool
) -> None:
    leave_for_long(is_long, scenario, 1)
    check_all(play, scenario, LOST, choose(play(scenario).commits, is_long))


@every_scenario
@pytest.mark.parametrize("kind", FILE_KINDS)
def test_a_file_that_cannot_be_written_stops_what_depends_on_it(
    play: Callable[..., Any], scenario: Scenario, kind: str, is_long: bool
) -> None:
    leave_for_long(is_long, scenario, list(FILE_KINDS).index(kind))
    check_all(play, scenario, kind, choose(play(scenario).files, is_long))


@pytest.mark.parametrize("channel", ["tg", "letter"])
def test_a_claim_that_reached_nobody_goes_out_at_the_next_look(
    lend_database: LendDatabase, tmp_path: Path, now: datetime, channel: str
) -> None:
    """Not when its lease ends: a bulk batch would be unknown by then, a thousand readers at once."""
    scenario = next(one for one in SCENARIOS if one.name == "send to a chat")
    with prepared(scenario, lend_database, tmp_path / "town", now) as town:
        town.breaks.arm(LOST, 1)
        assert not town.try_to(lambda: town.send(channel))
        town.breaks.disarm()
        town.send(channel)
        assert {what for what in town.list_expected() if what[0] == channel} == set(town.public)
