from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from x_support import SITE, RecordingWire

from distributor.channels import Surroundings
from distributor.channels.x.channel import XChannel, open_channel
from distributor.channels.x.sandbox import Sandbox
from distributor.channels.x.settings import Settings
from distributor.core.contracts import Channel


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def wire() -> RecordingWire:
    return RecordingWire()


@pytest.fixture
def make_channel(sandbox: Sandbox) -> Iterator[Callable[..., XChannel]]:
    opened: list[Channel] = []

    def make(**changes: Any) -> XChannel:
        values = {"name": "x", "timeout": 5.0, **sandbox.settings(), **changes}
        channel = open_channel(Settings(**values), Surroundings(SITE, agent="distributor/test"))
        opened.append(channel)
        assert isinstance(channel, XChannel)
        return channel

    yield make
    for channel in opened:
        channel.close()
