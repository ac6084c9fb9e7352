"""Real mail servers with little patience: too many connections, too many mails over one of them, too many refusals.

What they put off goes out later, and every reader gets one mail.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from email_support import MakeChannel, RecordingWire, make_edition, make_message
from mail_servers import WRITERS, MailServer, run_mail_server, why_not

from distributor.core.errors import Busy, Outage, RecipientGone
from distributor.core.message import Accepted, NotStarted, Outcome


@pytest.fixture(params=sorted(WRITERS))
def strict(request: pytest.FixtureRequest) -> Iterator[MailServer]:
    if reason := why_not(request.param):
        pytest.skip(reason)
    with (
        tempfile.TemporaryDirectory(prefix="strict") as name,
        run_mail_server(request.param, Path(name), is_strict=True) as it,
    ):
        yield it


@pytest.fixture(params=["pipelined", "plain"])
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def is_for_later(outcome: Outcome) -> bool:
    """Nothing went out, and nothing is lost."""
    return isinstance(outcome, Busy | Outage | NotStarted)


def test_a_server_that_loses_patience_gets_every_mail_once(strict: MailServer, make_channel: MakeChannel) -> None:
    edition = make_edition()
    gone = set(range(4, 81, 4))
    left = [
        make_message(number, edition, address="gone@example.com" if number in gone else None)
        for number in range(1, 81)
    ]
    channel = make_channel(host="127.0.0.1", port=strict.port, tls="none", connections=6)
    rounds = 0
    while left:
        rounds += 1
        assert rounds < 30, "the server takes nothing any more"
        outcomes = channel.send(left, RecordingWire())
        for message, outcome in zip(left, outcomes, strict=True):
            expected = RecipientGone if message.delivery_id in gone else Accepted
            assert isinstance(outcome, expected) or is_for_later(outcome), outcome
        left = [message for message, outcome in zip(left, outcomes, strict=True) if is_for_later(outcome)]
    mails = strict.wait_for_mails(60, 60)
    assert (len(mails), len({str(mail["Message-ID"]) for mail in mails})) == (60, 60)
