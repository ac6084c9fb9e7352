from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from email_support import SITE, MakeChannel, RecordingWire

from distributor.channels import Surroundings
from distributor.channels.email.channel import EmailChannel, open_channel
from distributor.channels.email.sandbox_sendgrid import SendgridSandbox
from distributor.channels.email.sandbox_smtp import SmtpSandbox
from distributor.channels.email.settings import Settings


@pytest.fixture
def smtp() -> Iterator[SmtpSandbox]:
    with SmtpSandbox() as running:
        yield running


@pytest.fixture
def sendgrid() -> Iterator[SendgridSandbox]:
    with SendgridSandbox() as running:
        yield running


@pytest.fixture
def wire() -> RecordingWire:
    return RecordingWire()


@pytest.fixture
def client() -> str:
    """The SMTP client that channels use; modules that test SMTP ask for both."""
    return "pipelined"


@pytest.fixture
def make_channel(client: str) -> Iterator[MakeChannel]:
    """Opens a channel on a sandbox, or on any settings, and closes it afterwards."""
    opened: list[EmailChannel] = []

    def make(sandbox: Any = None, **changes: Any) -> EmailChannel:
        entry = sandbox.settings() if sandbox is not None else {"from": "news@example.org", "list": "readers"}
        if {**entry, **changes}.get("transport") != "sendgrid":
            entry = {"client": client, **entry}
        settings = Settings.model_validate({"name": "letter", "timeout": 10.0, **entry, **changes})
        channel = open_channel(settings, Surroundings(SITE, agent="distributor/test"))
        assert isinstance(channel, EmailChannel)
        opened.append(channel)
        return channel

    yield make
    for channel in opened:
        channel.close()
