"""The mails of one call: when the next ones are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from email_support import RecordingWire, make_edition, make_messages

from distributor.channels.email.segments import Letterhead, compile_letter
from distributor.channels.email.smtp_batch import Batch
from distributor.core.message import Message

LETTER = compile_letter(make_edition(), Letterhead(b"news@example.org", "example.org"))
MAILS = 100


@dataclass
class AskedWire(RecordingWire):
    """Has nothing more yet; keeps how many were taken when it was first asked."""

    taken: int = 0
    asked_at: int | None = None
    asked: int = 0

    def more(self) -> Sequence[Message] | None:
        self.asked += 1
        self.asked_at = self.taken if self.asked_at is None else self.asked_at
        return None


@pytest.mark.parametrize(
    ("each", "left"),
    [(0.0001, 50), (0.005, 50), (0.02, 25), (0.1, 5), (1.0, 0)],
    ids=["at once", "half a second for all", "two seconds for all", "ten seconds for all", "slower still"],
)
def test_the_next_mails_are_asked_for_half_a_second_before_they_are_needed(each: float, left: int) -> None:
    """Earlier would take them from other workers, later would leave connections without work."""
    wire = AskedWire()
    batch = Batch(LETTER, "news@example.org", make_messages(MAILS), wire, lambda: wire.taken * each)
    while batch.take() is not None:
        wire.taken += 1
    assert wire.asked_at == MAILS - left


def test_who_has_no_more_mails_yet_is_not_asked_before_each_mail() -> None:
    wire = AskedWire()
    batch = Batch(LETTER, "news@example.org", make_messages(MAILS), wire, lambda: 0.0)
    while batch.take() is not None:
        wire.taken += 1
    assert wire.taken == MAILS
    assert 5 <= wire.asked < MAILS // 4
