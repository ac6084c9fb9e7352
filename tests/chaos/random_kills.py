"""Random chaos: stories come, readers click, and every few seconds somebody is killed, the database too.

Each node is a process with a folder and a configuration of its own. What ends by itself is started again, as a
service manager would do; at the end nobody is killed any more until everything is settled.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.accounts import Account
from tests.chaos.nursery import Life, Nursery
from tests.chaos.server import ENDS, PostgresServer
from tests.chaos.stage import LETTER, Stage
from tests.chaos.visitors import Visitors
from tests.chaos.walk import editions_of, take_stock

#: Seconds between two stories: X takes a hundred in a quarter of an hour, and so many are sent.
STORY_EVERY = 9.5
#: Seconds between two kills, at random.
KILL_EVERY = (0.3, 5.0)
#: One kill in so many is of the database.
DATABASE_KILL = 5
LONGEST_RECOVERY = 240.0


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

    def run(self, minutes: float, tell: Callable[[str], None]) -> Chaos:
        stage, began = self._stage, time.monotonic()
        stage.fresh()
        marks = stage.mark()
        self._seen = sum(marks.values())
        slugs = [row[0] for row in stage.ask("SELECT slug FROM link ORDER BY id")]
        with Visitors(stage.port, slugs, pause=0.1) as visitors:
            self._disturb(began, began + minutes * 60, tell)
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

    def _disturb(self, began: float, until: float, tell: Callable[[str], None]) -> None:
        next_story = began
        next_kill = began + 3.0
        while (now := time.monotonic()) < until:
            if now >= next_story:
                self._titles += self._stage.publish(1)
                next_story += STORY_EVERY
            self._keep_alive()
            self._look()
            if now >= next_kill:
                tell(f"  {now - began:6.1f} s: {self._kill_somebody()}")
                next_kill = time.monotonic() + self._chance.uniform(*KILL_EVERY)
            time.sleep(0.05)

    def _kill_somebody(self) -> str:
        self._fell_at = self._fell_at or time.monotonic()
        if self._server is not None and self._chance.randrange(DATABASE_KILL) == 0:
            how = self._chance.choice(sorted(ENDS))
            self._server.end(how)
            time.sleep(self._chance.uniform(0.0, 2.0))
            self._server.start()
            self.chaos.database_ends += 1
            return f"the database: {how}"
        node = self._chance.choice(self._nodes)
        assert node.life is not None
        node.life.kill()
        node.life.wait()
        node.kills += 1
        return f"{node.name} ({node.roles}): kill -9"

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


def run_rounds(
    folder: Path, plans: Sequence[tuple[str, str, int]], minutes: float, seed: int, tell: Callable[[str], None]
) -> list[Chaos]:
    """One round for each (database, engine, nodes), `minutes` each; a server of our own for PostgreSQL."""
    done = []
    with Nursery() as nursery:
        for number, (kind, engine, nodes) in enumerate(plans):
            tell(f"random kills: {kind}, {engine or 'local'} engine, {nodes} nodes, seed {seed + number}")
            server = PostgresServer() if kind == "PostgreSQL" else None
            try:
                url = server.url if server else ""
                with Stage(folder / f"chaos{number}", kind, url, nursery, engine, readers=40) as stage:
                    house = f"{kind}, {engine or 'local'} engine"
                    done.append(Round(stage, house, nodes, seed + number, server).run(minutes, tell))
            finally:
                if server is not None:
                    server.close()
            for wrong in done[-1].account.violations[:20]:
                tell(f"    WRONG: {wrong}")
    return done
