"""The database goes away under a running engine, and comes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import upgrade_database
from tests.engine.scene import Node, Public, voice, wait_for
from tests.postgres_server import IN_EARNEST, PostgresServer


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with PostgresServer(IN_EARNEST) as own:
        upgrade_database(own.url)
        yield own


@pytest.mark.parametrize("kind", ["local", "procrastinate"])
def test_an_engine_survives_a_restart_of_the_database(tmp_path: Path, server: PostgresServer, kind: str) -> None:
    node = Node(server.url, tmp_path, Public(), "node", kind, {"tg": voice()}).start()
    try:
        one = node.add_edition("tg", 1)
        wait_for("the first story", lambda: node.public.editions() == [one])
        server.end()
        server.start()
        two = node.add_edition("tg", 2)
        wait_for("the second story", lambda: node.public.editions() == [one, two], node.sweep)
        wait_for("its accounts", lambda: node.states() == {"sent": 2})
        three = node.add_edition("tg", 3)
        wait_for("the third, woken as ever", lambda: node.public.editions() == [one, two, three])
    finally:
        node.stop()


def test_a_message_on_the_wire_while_the_database_is_away_is_settled_afterwards(
    tmp_path: Path, server: PostgresServer
) -> None:
    node = Node(server.url, tmp_path, Public(), "node", "procrastinate", {"tg": voice()}, pause=1.0).start()
    try:
        one = node.add_edition("tg", 1)
        wait_for("the call to begin", lambda: node.public.speaking.get("tg"))
        server.end()
        wait_for("the answer", lambda: node.public.editions() == [one])
        server.start()
        wait_for("its accounts", lambda: node.states() == {"sent": 1})
        assert node.public.editions() == [one]
    finally:
        node.stop()
