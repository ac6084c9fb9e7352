"""The client against a server that is not ours."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from email_support import MakeChannel, RecordingWire, make_messages

from distributor.core.errors import RecipientGone
from distributor.core.message import Accepted


@pytest.fixture(params=["pipelined", "plain"])
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Postbox:
    """aiosmtpd's hooks: refuses one reader, keeps the rest."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address.startswith("reader3@"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        (address,) = envelope.rcpt_tos
        self.kept[address] = envelope.original_content
        return "250 Message accepted for delivery"


@contextmanager
def run_server(box: Postbox) -> Iterator[int]:
    """The port of a server in a thread of its own."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(
        loop.create_server(lambda: SMTP(box, hostname="other.example", loop=loop), "127.0.0.1", 0)
    )
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.run_until_complete(server.wait_closed())
        loop.close()


def test_aiosmtpd_takes_the_same_mails(make_channel: MakeChannel, wire: RecordingWire) -> None:
    box = Postbox()
    with run_server(box) as port:
        channel = make_channel(host="127.0.0.1", port=port, tls="none", connections=2)
        outcomes = channel.send(make_messages(12), wire)
        channel.close()
    assert [type(outcome) for outcome in outcomes] == [Accepted] * 2 + [RecipientGone] + [Accepted] * 9
    assert len(box.kept) == 11
    assert b"Message-ID: <12.0123456789abcdef@example.org>\r\n" in box.kept["reader12@example.com"]
    assert b"\r\n=2Ehidden dot\r\n" in box.kept["reader1@example.com"]
