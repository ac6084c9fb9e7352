"""Every channel has its faults tried, every service in the table has both of its sides."""

from __future__ import annotations

from pathlib import Path

import pytest

from distributor import channels
from distributor.core.message import Accepted
from tests.faults.rigs import NOT_COVERED, RIGS, Rig, XRig, open_rig
from tests.faults.shapes import AFTER, BEFORE, Shape

HEALTHY = Shape("nothing", lambda _: None, "")
#: What facts/reliability.md section 4 asks for at the least, for each service.
FEWEST = 40


def test_a_new_channel_has_a_fault_rig_or_says_why_not() -> None:
    folders = {path.parent.name for path in Path(channels.__file__).parent.glob("*/channel.py")}
    known = {rig.kind for rig in RIGS} | NOT_COVERED.keys()
    assert folders == known, "put a rig into tests/faults/rigs.py, or a reason into NOT_COVERED"


@pytest.mark.parametrize("make_rig", RIGS, ids=lambda rig: rig.service)
def test_a_service_meets_enough_shapes_before_and_after_it_acts(make_rig: type[Rig]) -> None:
    shapes = [shape for shape in make_rig.list_shapes() if shape.allows(make_rig.service)]
    assert sum(BEFORE in shape.sides for shape in shapes) >= FEWEST
    assert sum(AFTER in shape.sides for shape in shapes) >= FEWEST
    names = [shape.name for shape in shapes]
    assert len(names) == len(set(names)), "each shape has a name of its own"


@pytest.mark.parametrize("make_rig", RIGS, ids=lambda rig: rig.service)
def test_the_wire_itself_spoils_nothing(make_rig: type[Rig], certificate: Path) -> None:
    with open_rig(make_rig, HEALTHY, BEFORE, certificate) as rig:
        for number in (1, 2):
            outcome, wire = rig.send(number)
            assert isinstance(outcome, Accepted)
            assert [outcome.receipt] == rig.find_receipts(number)
            assert wire.started == [0]


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_duplicate_on_x_is_proof_of_the_try_whose_answer_was_lost(attempt: int, certificate: Path) -> None:
    lost = Shape("answer lost", lambda talk: talk.end(), "unknown")
    with open_rig(XRig, lost, AFTER, certificate) as rig:
        rig.arm()
        rig.send(2)
        outcome, _ = rig.send(2, attempt)
        assert isinstance(outcome, Accepted)
        assert [outcome.receipt] == rig.find_receipts(2)
