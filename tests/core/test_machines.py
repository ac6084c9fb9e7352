"""Stories, readers and schedules under everything at once: see story_machine, reader_machine and due_machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from distributor.storage import Storage, join_stores
from tests.core.due_machine import DueMachine
from tests.core.reader_machine import ReaderMachine
from tests.core.story_machine import StoryMachine
from tests.simulation.run import Ground, open_sqlite_ground


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with open_sqlite_ground() as made:
        yield made


def run(machine: Any, ground: Ground, examples: int, steps: int) -> None:
    def open_storage(self: RuleBasedStateMachine) -> Storage:
        ground.prepare()
        return join_stores(ground.database)

    run_state_machine_as_test(
        type(machine.__name__, (machine,), {"open_storage": open_storage}),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        ),
    )


@pytest.mark.parametrize("machine", [StoryMachine, ReaderMachine, DueMachine])
def test_whatever_happens_the_database_says_what_a_dictionary_says(
    machine: Any, ground: Ground, is_long: bool
) -> None:
    examples, steps = (2000, 60) if is_long else (20, 25)
    run(machine, ground, examples, steps)
