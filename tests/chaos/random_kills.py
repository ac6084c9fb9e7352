"""Random chaos: stories come, readers click, and every few seconds somebody is killed, the database too.

Each node is a process with a folder and a configuration of its own. What ends by itself is started again, as a
service manager would do; at the end nobody is killed any more until everything is settled.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.accounts import Account
from tests.chaos.nursery import Life, Nursery
from tests.chaos.stage import LETTER, Stage
from tests.chaos.visitors import Visitors
from tests.chaos.walk import editions_of, take_stock
from tests.postgres_server import ENDS, IN_EARNEST, PostgresServer

#: Seconds between two stories: X takes a hundred in a quarter of an hour, and so many are sent.
STORY_EVERY = 9.5
READERS = 20
#: Seconds between two kills, at random.
KILL_EVERY = (0.3, 4.0)
#: Seconds of a start on a machine that has time; on a slower one kills come as much more seldom, or nothing else
#: would ever happen.
USUAL_START = 0.6
#: One kill in so many is of the database.
DATABASE_KILL = 5
LONGEST_RECOVERY = 600.0


@dataclass
class Node:
    """One process of several: its configuration and roles, and its present life."""

    name: str
    config: Path
    roles: str
    life: Life | None = None
    kills: int = 0
    starts: int = 0


@dataclass
class Chaos:
    """What one round came to."""

    house: str
    nodes: int
    seed: int
    minutes: float
    account: Account = field(default_factory=Account)
    database_ends: int = 0
    #: Seconds from a kill until the public saw the next message, sorted.
    recoveries: list[float] = field(default_factory=list)


ROLES = {
    1: ("web,clock,worker",),
    2: ("web,clock,worker", "clock,worker"),
    3: ("web,clock", "clock,worker", "worker"),
}


class Round:
    """One newsroom under random kills for some minutes."""

    def __init__(self, stage: Stage, house: str, nodes: int, seed: int, server: PostgresServer | None) -> None:
        self._stage, self._server = stage, server
        self._chance = random.Random(seed)
        self.chaos = Chaos(house, nodes, seed, 0.0)
        self._nodes = [self._make_node(number, roles) for number, roles in enumerate(ROLES[nodes])]
        self._titles = [LETTER]
        self._fell_at: float | None = None
        self._seen = 0

    def run(self, minutes: float) -> Chaos:
        stage, began = self._stage, time.monotonic()
        stage.fresh()
        marks = stage.mark()
        self._seen = sum(marks.values())
        slugs = [row[0] for row in stage.ask("SELECT slug FROM link ORDER BY id")]
        with Visitors(stage.port, slugs, pause=0.1) as visitors:
            self._disturb(time.monotonic(), minutes * 60)
            self._calm_down()
            visitors.stop()
            self._stop_all()
            kills = sum(node.kills for node in self._nodes) + self.chaos.database_ends
            self.chaos.account = take_stock(stage, marks, self._titles, kills, self.chaos.account.violations)
            counted = [row[0] for row in stage.ask("SELECT referrer FROM click")]
            self.chaos.account.violations += visitors.check(counted)
            self.chaos.account.clicks = len(visitors.acknowledged)
        self.chaos.minutes = round((time.monotonic() - began) / 60, 1)
        self.chaos.recoveries.sort()
        return self.chaos

    def _make_node(self, number: int, roles: str) -> Node:
        if number == 0:
            return Node("node1", self._stage.config, roles)
        settings = json.loads(self._stage.config.read_text())
        name = f"node{number + 1}"
        settings["state_dir"] = str(self._stage.folder / f"var-{name}")
        config = self._stage.config.with_name(f"{name}.yaml")
        config.write_text(json.dumps(settings))
        return Node(name, config, roles)

    # -- the kills -------------------------------------------------------------------------------------------

    def _disturb(self, began: float, seconds: float) -> None:
        next_story = began
        self._keep_alive()
        while not self._stage.is_listening():
            self._keep_alive()
            time.sleep(0.05)
        pace = max((time.monotonic() - began) / USUAL_START, 1.0)
        next_kill = time.monotonic() + 3.0 * pace
        while (now := time.monotonic()) < began + seconds:
            if now >= next_story and self._is_last_known():
                self._titles += self._stage.publish(1)
                next_story = now + STORY_EVERY
            self._keep_alive()
            self._look()
            if now >= next_kill:
                self._kill_somebody()
                next_kill = time.monotonic() + self._chance.uniform(*KILL_EVERY) * pace
            time.sleep(0.05)

    def _is_last_known(self) -> bool:
        """Whether the last story was read: many that come at once are held for a person, and rightly so."""
        question = f"SELECT 1 FROM post WHERE headline = '{self._titles[-1]}'"
        return self._titles[-1] == LETTER or bool(self._stage.ask(question))

    def _kill_somebody(self) -> None:
        self._fell_at = self._fell_at or time.monotonic()
        if self._server is not None and self._chance.randrange(DATABASE_KILL) == 0:
            how = self._chance.choice(sorted(ENDS))
            self._server.end(how)
            time.sleep(self._chance.uniform(0.0, 2.0))
            self._server.start()
            self.chaos.database_ends += 1
            return
        node = self._chance.choice(self._nodes)
        assert node.life is not None
        node.life.kill()
        node.life.wait()
        node.kills += 1

    def _keep_alive(self) -> None:
        for node in self._nodes:
            if node.life is None or node.life.dead.is_set():
                words = ["run", "--roles", node.roles, "--config", str(node.config)]
                node.life = self._stage.nursery.start(words, self._stage.folder / f"{node.name}.log")
                node.starts += 1

    def _look(self) -> None:
        seen = sum(self._stage.mark().values())
        if seen > self._seen and self._fell_at is not None:
            self.chaos.recoveries.append(time.monotonic() - self._fell_at)
            self._fell_at = None
        self._seen = seen

    # -- the end ---------------------------------------------------------------------------------------------

    def _calm_down(self) -> None:
        deadline = time.monotonic() + LONGEST_RECOVERY
        while time.monotonic() < deadline:
            self._keep_alive()
            self._look()
            if self._stage.is_settled(self._titles, editions_of(self._titles)):
                return
            time.sleep(0.2)
        self.chaos.account.violations.append(f"not settled {LONGEST_RECOVERY:g} s after the last kill")

    def _stop_all(self) -> None:
        while not self._stage.is_listening():
            self._keep_alive()
            time.sleep(0.1)
        time.sleep(1.0)
        for node in self._nodes:
            assert node.life is not None
            node.life.terminate()
        for node in self._nodes:
            assert node.life is not None
            if node.life.wait() != 0:
                self.chaos.account.violations.append(f"{node.name} ended with {node.life.code}")


def run_rounds(plans: Sequence[tuple[str, str, int]], minutes: float, seed: int, at_once: int) -> Iterator[Chaos]:
    """One round for each (database, engine, nodes), `minutes` each, some side by side; as they end."""
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(at_once, mp_context=spawning) as pool:
        rounds = [pool.submit(run_round, plan, minutes, seed + number) for number, plan in enumerate(plans)]
        for done in as_completed(rounds):
            yield done.result()


def run_round(plan: tuple[str, str, int], minutes: float, seed: int) -> Chaos:
    """One round, with a server of its own for PostgreSQL."""
    kind, engine, nodes = plan
    house = f"{kind}, {engine or 'local'} engine"
    server = PostgresServer(IN_EARNEST) if kind == "PostgreSQL" else None
    url = server.url if server else ""
    try:
        with (
            Nursery() as nursery,
            tempfile.TemporaryDirectory(prefix="distributor-chaos-", ignore_cleanup_errors=True) as folder,
            Stage(Path(folder) / "room", kind, url, nursery, engine, readers=READERS) as stage,
        ):
            chaos = Round(stage, house, nodes, seed, server).run(minutes)
    finally:
        if server is not None:
            server.close()
    account = chaos.account
    print(f"random kills: {house}, {nodes} nodes: {account.kills} kills, {account.unknown} unknown", flush=True)
    for wrong in account.violations[:20]:
        print(f"    WRONG: {wrong}", flush=True)
    return chaos
