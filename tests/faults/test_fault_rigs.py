"""Every channel has its faults tried, every service in the table has both of its sides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distributor import channels
from distributor.core.message import Accepted
from tests.faults.rigs import NOT_COVERED, RIGS, PlainSmtpRig, RecordingWire, Rig, SmtpRig, XRig, open_rig
from tests.faults.shapes import AFTER, BEFORE, NOT_SENT, REFUSED, SENT, UNKNOWN, Shape, classify

#: In the short form an answer is cut at one in so many bytes.
ONE_IN = 40

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


@pytest.mark.parametrize("make_rig", RIGS, ids=lambda rig: rig.service)
def test_an_answer_cut_at_any_byte_is_never_a_no(make_rig: type[Rig], certificate: Path, is_long: bool) -> None:
    """The service took the message; how much of its yes arrives decides between sent and unknown, nothing else."""
    lengths: list[int] = []
    cuts = [0]

    def cut(talk: Any) -> None:
        whole = talk.reply if isinstance(talk.reply, bytes) else talk.reply.raw()
        lengths.append(len(whole))
        talk.say(whole[: cuts[-1]])
        talk.end()

    shape = Shape("cut", cut, "sent|unknown", (AFTER,), stage="dot")
    with open_rig(make_rig, shape, AFTER, certificate) as rig:
        while not lengths or cuts[-1] < lengths[0]:
            number = len(cuts) + 10
            rig.arm()
            outcome, _ = rig.send(number)
            assert classify(outcome) in (SENT, UNKNOWN), f"cut at {cuts[-1]}: {outcome!r}"
            if isinstance(outcome, Accepted):
                assert [outcome.receipt] == rig.find_receipts(number), f"cut at {cuts[-1]}"
            cuts.append(cuts[-1] + (1 if is_long else ONE_IN))


@pytest.mark.parametrize("make_rig", [SmtpRig, PlainSmtpRig], ids=lambda rig: rig.service)
def test_in_a_mixed_batch_each_reader_has_their_own_class(make_rig: type[Rig], certificate: Path) -> None:
    script = (
        ("accept", SENT),
        ("gone", REFUSED),
        ("recipient:450 4.2.0 Mailbox busy", NOT_SENT),
        ("lost-after", UNKNOWN),
        ("accept", SENT),
        ("message:554 5.6.0 No", REFUSED),
        ("half-reply", UNKNOWN),
        ("accept", SENT),
    )
    with open_rig(make_rig, HEALTHY, BEFORE, certificate) as rig:
        rig.sandbox.script(*(answer for answer, _ in script))
        first = rig.message(1)
        messages = [first, *(replace(rig.message(number), edition=first.edition) for number in range(2, 9))]
        outcomes = rig.channel.send(messages, RecordingWire())
        assert [classify(outcome) for outcome in outcomes] == [word for _, word in script]
        seen = sorted(one.recipient for one in rig.sandbox.seen)
        assert seen == [messages[at].recipient.address for at in (0, 3, 4, 6, 7)]
