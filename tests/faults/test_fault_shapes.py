"""Every shape of fault, on every transport, before and after the service has processed the message.

The real client library talks over a real socket; the sandbox behind the wire knows what the public saw. The short
form leaves out most shapes in which somebody has to lose patience; `--long` runs all.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from distributor.core.errors import Busy, SendError
from distributor.core.message import Accepted
from tests.faults.rigs import RIGS, Rig, open_rig
from tests.faults.shapes import SENT, UNKNOWN, Shape, classify

#: See forget_sockets in rigs.py.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")

#: In the short form one in so many shapes that wait is run.
ONE_IN = 8


def list_cases() -> list[Any]:
    return [
        pytest.param(rig, shape, side, id=f"{rig.service}-{side}-{shape.name}".replace(" ", "_"))
        for rig in RIGS
        for shape in rig.list_shapes()
        if shape.allows(rig.service)
        for side in shape.sides
    ]


CASES = list_cases()
WAITING = [case.id for case in CASES if case.values[1].waits]


@pytest.mark.parametrize(("make_rig", "shape", "side"), CASES)
def test_a_fault_lands_in_its_class_and_never_hides_what_was_seen(
    make_rig: type[Rig], shape: Shape, side: str, certificate: Path, is_long: bool, request: pytest.FixtureRequest
) -> None:
    if shape.waits and not is_long and WAITING.index(request.node.callspec.id) % ONE_IN:
        pytest.skip("takes its time: run with --long")
    with open_rig(make_rig, shape, side, certificate) as rig:
        check_a_faulty_try(rig, shape, side)
        check_that_it_goes_on(rig)


def check_a_faulty_try(rig: Rig, shape: Shape, side: str) -> None:
    if shape.warm:
        outcome, _ = rig.send(1)
        assert isinstance(outcome, Accepted)
    rig.arm()
    outcome, wire = rig.send(2)
    found, seen = classify(outcome), rig.count_seen(2)
    told = f"{outcome!r} {getattr(outcome, 'detail', '')}"
    assert found in shape.allows(rig.service), told
    assert wire.settled == {0: outcome}
    assert rig.tries <= 1, "one send is one try"
    if seen:
        assert found in (SENT, UNKNOWN), f"the public saw it: {told}"
    if found in (SENT, UNKNOWN):
        assert wire.started == [0], "it was on record before it could be seen"
    if isinstance(outcome, Accepted):
        assert [outcome.receipt] == rig.find_receipts(2), "a yes is believed of what is there, under its own id"
    check_words(rig, outcome)


def check_words(rig: Rig, outcome: object) -> None:
    if isinstance(outcome, Busy):
        assert math.isfinite(outcome.retry_after)
        assert 0 < outcome.retry_after <= 86_400
    if isinstance(outcome, SendError):
        assert len(outcome.detail) < 2000
    if isinstance(outcome, Accepted) and outcome.rest_until is not None:
        assert datetime.fromtimestamp(outcome.rest_until, UTC).year <= 2100


def check_that_it_goes_on(rig: Rig) -> None:
    """What is over is over: the next message is sent, and its receipt is its own."""
    rig.heal()
    outcome, _ = rig.send(3)
    assert isinstance(outcome, Accepted), repr(outcome)
    assert [outcome.receipt] == rig.find_receipts(3)
