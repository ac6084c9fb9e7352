"""The ledger under everything at once: see ledger_machine.py."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from distributor.storage import Storage, open_storage
from tests.conftest import PostgresDatabases, empty_tables, hasten
from tests.storage.ledger_machine import LedgerMachine


def run(open_one: object, examples: int, steps: int) -> None:
    class Machine(LedgerMachine):
        def open_storage(self) -> Storage:
            found: Storage = open_one()  # type: ignore[operator]
            return found

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        ),
    )


def test_whatever_happens_every_delivery_is_accounted_for_on_sqlite(sqlite_ready: Path, tmp_path: Path) -> None:
    numbers = count()

    def open_one() -> Storage:
        path = tmp_path / f"{next(numbers)}.db"
        shutil.copyfile(sqlite_ready, path)
        storage = open_storage(f"sqlite:///{path}")
        hasten(storage)
        return storage

    run(open_one, examples=25, steps=40)


def test_whatever_happens_every_delivery_is_accounted_for_on_postgresql(
    postgres_databases: PostgresDatabases,
) -> None:
    url = postgres_databases.lend_ready()

    def open_one() -> Storage:
        empty_tables(url)
        return open_storage(url)

    run(open_one, examples=6, steps=30)
    postgres_databases.take_back(url)
