"""The ledger under everything at once: see ledger_machine.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from distributor.core.delivery import MOVES, State
from distributor.storage import Storage, join_stores
from distributor.storage.database import Database
from tests.conftest import PostgresDatabases, empty_tables
from tests.simulation.run import Ground, open_sqlite_ground
from tests.storage.ledger_machine import LedgerMachine


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with open_sqlite_ground() as made:
        yield made


def run(open_one: Callable[[], Storage], examples: int, steps: int) -> set[tuple[State, State]]:
    """Returns the moves that were made. The same examples each time: what they reach can be asked for."""

    class Machine(LedgerMachine):
        def open_storage(self) -> Storage:
            return open_one()

        def give_back(self) -> None:
            """The database is the run's and is put back before the next example."""

    Machine.moves = set()
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=examples < 1000,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        ),
    )
    return Machine.moves


def test_whatever_happens_every_delivery_is_accounted_for_on_sqlite(ground: Ground, is_long: bool) -> None:
    def open_one() -> Storage:
        ground.prepare()
        return join_stores(ground.database)

    made = run(open_one, *((3000, 60) if is_long else (20, 40)))
    if is_long:
        assert {(was, now) for was, after in MOVES.items() for now in after} <= made


def test_whatever_happens_every_delivery_is_accounted_for_on_postgresql(
    postgres_databases: PostgresDatabases, is_long: bool
) -> None:
    url = postgres_databases.lend_ready()
    database = Database(url)

    def open_one() -> Storage:
        empty_tables(url)
        return join_stores(database)

    run(open_one, *((300, 50) if is_long else (5, 30)))
    database.close()
    postgres_databases.take_back(url)
