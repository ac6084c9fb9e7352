"""Several processes with folders of their own on one PostgreSQL; one is killed, and the public is looked at."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from distributor.storage.database import Database
from distributor.storage.reports import Reports
from tests.walk.newsroom import ROOT, TIMEOUT, Newsroom
from tests.walk.test_kill import check_accounts, is_settled, prepare


class Machine:
    """One process of the product, with a configuration and a state_dir of its own. `prefix` stands before its
    command, where it is to run in a network of its own."""

    def __init__(self, room: Newsroom, name: str, prefix: Sequence[str] = ()) -> None:
        self._prefix = prefix
        self.folder = room.folder / name
        self.config = self.folder / "config" / "distributor.yaml"
        self.config.parent.mkdir(parents=True)
        self.config.write_text(room.config.read_text())
        self.log = room.log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, roles: str) -> None:
        with self.log.open("ab") as log:
            words = ["run", "--config", str(self.config), "--roles", roles]
            self._process = subprocess.Popen(
                [*self._prefix, sys.executable, "-m", "distributor", *words],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env={**os.environ},
            )

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(TIMEOUT)

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        return self.process.wait(TIMEOUT)


@pytest.fixture
def room(tmp_path: Path, postgres_database_url: str) -> Iterator[Newsroom]:
    with Newsroom(tmp_path, postgres_database_url) as newsroom:
        prepare(newsroom)
        yield newsroom


@pytest.fixture
def machines(room: Newsroom) -> Iterator[list[Machine]]:
    made = [Machine(room, f"machine{number}") for number in range(3)]
    yield made
    for one in made:
        if one._process is not None and one.process.poll() is None:
            one.kill()


@pytest.fixture
def reports(postgres_database_url: str) -> Iterator[Reports]:
    database = Database(postgres_database_url)
    yield Reports(database)
    database.close()


def test_a_worker_that_is_killed_costs_what_was_on_its_wires(
    room: Newsroom, machines: list[Machine], reports: Reports
) -> None:
    clock, lost, other = machines
    clock.start("clock")
    lost.start("worker")
    other.start("worker")
    wait_for_processes(room, 3)
    room.site.publish(2)
    room.site.publish(3)
    room.wait_for("letters", lambda: len(room.sandboxes["letter0"].seen) >= 20)
    lost.kill()
    room.site.publish(4)
    for name in ("tg", "x"):
        room.wait_for(f"the next story on {name}", lambda n=name: has_seen(room, n, "Story number 4"))
    lost.start("worker")  # its machine is back, and with it what it wrote down
    room.wait_for("everything settled", lambda: is_settled(reports, 12))
    assert [one.stop() for one in machines] == [0, 0, 0]
    check_accounts(room, reports, stories=(2, 3, 4), kills=1)
    assert not list_processes(room)


def test_a_clock_that_is_killed_is_not_missed(room: Newsroom, machines: list[Machine], reports: Reports) -> None:
    lost, clock, worker = machines
    for one, roles in (lost, "clock,web"), (clock, "clock,web"), (worker, "worker"):
        one.start(roles)
    wait_for_processes(room, 3)
    room.site.publish(2)
    room.wait_for("the first story", lambda: room.sandboxes["tg"].seen)
    lost.kill()
    room.site.publish(3)
    room.site.publish(4)
    room.wait_for("everything settled", lambda: is_settled(reports, 12))
    assert [clock.stop(), worker.stop()] == [0, 0]
    check_accounts(room, reports, stories=(2, 3, 4), kills=0)


def test_a_local_engine_and_workers_refuse_each_other(room: Newsroom, machines: list[Machine]) -> None:
    alone, worker, _ = machines
    alone.start("web,clock,worker")
    wait_for_processes(room, 1)
    worker.start("worker")
    assert worker.process.wait(TIMEOUT) != 0
    assert "a local engine runs on this database" in room.log.read_text()
    assert alone.stop() == 0
    worker.start("worker")
    wait_for_processes(room, 1)
    alone.start("web,clock,worker")
    assert alone.process.wait(TIMEOUT) != 0
    assert "another distributor sends on this database" in room.log.read_text()
    assert worker.stop() == 0


def wait_for_processes(room: Newsroom, count: int) -> None:
    room.wait_for(f"{count} running processes", lambda: len(list_processes(room)) >= count)


def list_processes(room: Newsroom) -> list[str]:
    """The roles of the processes that have said that they are there, and have not left."""
    import psycopg

    url = json.loads(room.config.read_text())["database"]["url"]
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT roles FROM worker").fetchall()]


def has_seen(room: Newsroom, channel: str, words: str) -> bool:
    return any(words in f"{one.subject}\n{one.text}" for one in room.sandboxes[channel].seen)
