"""A source that one clock asks is left alone by the others as long as that clock can be seen to live, no longer."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from distributor.core.source_state import SourceState
from distributor.pipeline.poll_claims import PollClaims
from distributor.storage import Storage, open_storage
from distributor.storage.presence import ServerPresence

URL = "https://news.example/feed"
PATIENCE = 30.0
#: A process that asks a source and never comes back.
ASKS = """
import sys
from datetime import datetime
from tests.engine.test_poll_claims import Node, find_state
from distributor.storage import open_storage
node = Node(open_storage(sys.argv[1]), "lost", datetime.fromisoformat(sys.argv[2]))
assert node.claims.claim("front", find_state(node))
print("asking", flush=True)
sys.stdin.read()
"""


@dataclass
class Node:
    """One clock of several, as far as claims look at it; its own clock stands still."""

    storage: Storage
    fence: str
    now: datetime
    is_steady: bool = False
    #: Seconds that it has been there.
    uptime: float = 0.0

    def __post_init__(self) -> None:
        self.presence = ServerPresence(self.storage.database, self.fence, lambda: self.uptime)
        lanes, workers, addresses = self.storage.lanes, self.storage.workers, {"front": URL}
        self.claims = PollClaims(
            self.fence, addresses, lanes, self.presence, workers, lambda: self.is_steady, lambda: self.now
        )


def find_state(node: Node) -> SourceState:
    return SourceState.from_json(node.storage.posts.load_state("front"))


def await_left(node: Node, state: SourceState) -> None:
    """No clock moves: what is waited for is the server, which has to see the end of a connection."""
    deadline = time.monotonic() + PATIENCE
    while not node.claims.is_left(state):
        assert time.monotonic() < deadline, "the server never said that the connection has ended"
        time.sleep(0.01)


@pytest.fixture
def start(request: pytest.FixtureRequest, now: datetime) -> Iterator[Callable[[str], Node]]:
    """On PostgreSQL: a file has one process."""
    databases = request.getfixturevalue("postgres_databases")
    url = databases.lend_ready()
    with ExitStack() as stack:
        stack.callback(databases.take_back, url)

        def make(fence: str) -> Node:
            storage = open_storage(url)
            stack.callback(storage.close)
            node = Node(storage, fence, now)
            stack.callback(node.presence.close)
            node.storage.workers.beat(fence, "here", 1, "clock", "0", now)
            return node

        yield make


def test_a_clock_that_lives_keeps_what_it_asks(start: Callable[[str], Node]) -> None:
    first, second = start("first"), start("second")
    seen = find_state(first)
    assert first.claims.claim("front", seen)
    assert not second.claims.claim("front", seen)
    second.uptime = 3600.0
    second.is_steady = True
    state = find_state(second)
    assert not state.is_due(URL, second.now + timedelta(minutes=1))
    assert not second.claims.is_left(state)


def test_a_clock_that_is_killed_in_the_middle_of_a_poll_is_followed_at_once(start: Callable[[str], Node]) -> None:
    other, third = start("other"), start("third")
    other.uptime = third.uptime = 60.0
    url = other.storage.database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", ASKS, url, other.now.isoformat()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as lost:
        assert lost.stdout is not None and lost.stdout.readline() == "asking\n"
        state = find_state(other)
        assert not other.claims.is_left(state)
        lost.kill()
    await_left(other, state)
    assert other.claims.claim("front", state)
    assert not third.claims.claim("front", state), "both would ask"
    assert not third.claims.is_left(find_state(third))


def test_a_connection_that_is_new_proves_nothing(start: Callable[[str], Node]) -> None:
    first, second = start("first"), start("second")
    assert first.claims.claim("front", find_state(first))
    state = find_state(second)
    second.uptime = 60.0
    with second.storage.database.write("test") as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
    assert not second.claims.is_left(state), "the server was away, and the first one may be asking"
    first.presence.renew()
    second.uptime = 120.0
    assert not second.claims.is_left(state)
    first.presence.close()
    await_left(second, state)


def test_a_machine_that_is_silent_is_followed_by_who_was_never_cut_off(start: Callable[[str], Node]) -> None:
    first, second = start("first"), start("second")
    assert first.claims.claim("front", find_state(first))
    state = find_state(second)
    second.storage.workers.leave(["first"])  # as its missing signs of life do after a while
    assert not second.claims.is_left(state)
    second.is_steady = True
    assert second.claims.is_left(state)


def test_a_poll_of_ones_own_that_ended_without_a_word_is_made_again(start: Callable[[str], Node]) -> None:
    first = start("first")
    assert first.claims.claim("front", find_state(first))
    assert first.claims.is_left(find_state(first))
    assert not first.claims.is_left(SourceState())
