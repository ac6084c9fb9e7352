"""The ledger under everything at once: see ledger_machine.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from distributor.core.delivery import MOVES, State
from distributor.core.errors import ChannelClosed, MessageRefused, Outage, RecipientGone, Unknown
from distributor.core.message import Accepted, NotStarted, Outcome
from distributor.storage import Storage, join_stores
from distributor.storage.database import Database
from tests.conftest import PostgresDatabases, empty_tables
from tests.simulation.run import Ground, open_sqlite_ground
from tests.storage.ledger_machine import Copy, LedgerMachine


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

    run(open_one, *((3000, 60) if is_long else (20, 40)))


def test_the_machine_can_make_every_move_there_is(ground: Ground) -> None:
    """A rule that lost its way would prove nothing about the moves it no longer makes."""
    ground.prepare()

    class Machine(LedgerMachine):
        moves: ClassVar[set[tuple[State, State]]] = set()

        def open_storage(self) -> Storage:
            return join_stores(ground.database)

    machine = Machine()
    machine.open()
    walk_all_moves(machine)
    machine.every_delivery_is_where_it_must_be()
    machine.sums_agree_and_an_edition_is_complete_when_all_have_ended()
    assert {(was, now) for was, after in MOVES.items() for now in after} <= machine.moves


def walk_all_moves(machine: LedgerMachine) -> None:
    send_one(machine, "tg", Accepted("id"))
    send_one(machine, "tg", MessageRefused("no"))
    decide(machine, send_one(machine, "tg", Unknown("reset")), "sent")
    decide(machine, send_one(machine, "tg", Unknown("reset")), "leave")
    machine.find(send_one(machine, "tg", Unknown("reset")))
    machine.find(next(copy for copy in machine.copies.values() if copy.state == "presumed"))
    send_one(machine, "tg", ChannelClosed("the key was revoked"))
    machine.open_again("tg")
    machine.decide_about(machine.issues[max(machine.issues)], is_kept=False)
    decide(machine, send_one(machine, "tg", Unknown("reset")), "resend")
    send_again(machine, "tg", Outage("refused"))
    send_one(machine, "letter", Accepted("id"))
    send_one(machine, "letter", Unknown("reset"))
    send_one(machine, "letter", NotStarted(), is_started=False)
    send_again(machine, "letter", ChannelClosed("no credit"), is_started=False)
    machine.open_again("letter")
    look(machine)
    machine.now += timedelta(hours=11)
    machine.hold_what_is_late()
    look(machine)
    for issue in machine.issues.values():
        machine.decide_about(issue, is_kept=False)
    machine.plan_an_edition("tg", 600)
    machine.decide_about(machine.issues[max(machine.issues)], is_kept=False)
    look(machine)
    machine.plan_an_edition("chats", 600)
    machine.claim("chats", "a", 1)
    look(machine)
    machine.suppress(machine.tickets[-1].copy.reader, everywhere=False)
    machine.start(machine.tickets[-1])
    send_one(machine, "letter", RecipientGone("gone"))
    look(machine)


def send_one(machine: LedgerMachine, channel: str, outcome: Outcome, is_started: bool = True) -> Copy:
    machine.plan_an_edition(channel, 600)
    return send_again(machine, channel, outcome, is_started)


def send_again(machine: LedgerMachine, channel: str, outcome: Outcome, is_started: bool = True) -> Copy:
    """The first of a batch that all has the same outcome."""
    before = len(machine.tickets)
    machine.claim(channel, "a", 3)
    look(machine)
    batch = machine.tickets[before:]
    for ticket in batch:
        if is_started:
            machine.start(ticket)
            look(machine)
        machine.conclude(ticket, outcome)
        look(machine)
    return batch[0].copy


def decide(machine: LedgerMachine, copy: Copy, decision: str) -> None:
    machine.decided.add(copy.id)
    machine.decide(copy, decision)
    look(machine)


def look(machine: LedgerMachine) -> None:
    machine.no_delivery_made_a_forbidden_move()


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
