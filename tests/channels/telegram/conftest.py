from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from telegram_support import SITE

from distributor.channels import Surroundings
from distributor.channels.telegram.channel import TelegramChannel, open_channel
from distributor.channels.telegram.sandbox import Sandbox
from distributor.channels.telegram.settings import Settings


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def make_channel(sandbox: Sandbox) -> Iterator[Callable[..., TelegramChannel]]:
    opened: list[TelegramChannel] = []

    def make(**changes: Any) -> TelegramChannel:
        values = {"name": "tg", "timeout": 10.0, **sandbox.settings(), **changes}
        channel = open_channel(Settings(**values), Surroundings(SITE, agent="distributor/test"))
        assert isinstance(channel, TelegramChannel)
        opened.append(channel)
        return channel

    yield make
    for channel in opened:
        channel.close()
