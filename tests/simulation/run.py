"""One seed from its beginning to its end: a storm of steps, then a calm in which everything must come to rest."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distributor.core import points
from distributor.core.errors import StorageError
from distributor.core.subscriber import NewSubscriber
from distributor.storage import join_stores, schema
from distributor.storage.database import Database
from tests.simulation.actors import READERS, Actors
from tests.simulation.clicks import Clicks
from tests.simulation.finish import finish
from tests.simulation.house import LIST, House, Process, draw_plot
from tests.simulation.newsroom import Newsroom
from tests.simulation.oracle import Oracle
from tests.simulation.public import Public
from tests.simulation.world import Crash, Violation, World

STEPS = 60


@dataclass
class Outcome:
    """What a run came to. `broken` is "" when every promise was kept."""

    seed: int
    broken: str = ""
    trace: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    crashed_at: Counter[str] = field(default_factory=Counter)


class Ground:
    """Where runs take place: one database, put back to its beginning before each run."""

    def __init__(self, database: Database, put_back: Callable[[], object], folder: Path) -> None:
        self.database = database
        self._put_back = put_back
        self._folder = folder

    def prepare(self) -> Path:
        """An empty database and an empty folder beside it."""
        self._put_back()
        folder = self._folder / "var"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder


@contextmanager
def open_sqlite_ground() -> Iterator[Ground]:
    """A database file in memory where the machine has such a folder."""
    quick = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=quick if quick.is_dir() else None) as name:
        folder = Path(name)
        beginning = make_beginning(folder / "beginning.db")
        database = Database(f"sqlite:///{folder / 'distributor.db'}")
        with database.write() as connection:
            driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA synchronous=OFF")
        try:
            yield Ground(database, lambda: beginning.backup(driver), folder)
        finally:
            beginning.close()
            database.close()


def make_beginning(path: Path) -> sqlite3.Connection:
    """A file with our tables and an installation's secret, to be copied."""
    database = Database(f"sqlite:///{path}")
    schema.upgrade(database)
    join_stores(database)
    database.close()
    return sqlite3.connect(path)


def run_seed(seed: int, ground: Ground, steps: int = STEPS) -> Outcome:
    """Run one seed; never raises for a broken promise or a bug of the program, both are in the outcome."""
    world = World(seed)
    outcome = Outcome(seed, trace=world.trace)
    logging.disable(logging.CRITICAL)
    try:
        run = Run(world, ground)
        points.arm(world.faults.reach)
        run.storm(steps)
        run.calm()
        outcome.counts = run.count()
    except Violation as broken:
        outcome.broken = str(broken)
    except Exception as error:
        outcome.broken = f"{type(error).__name__}: {error}"
        outcome.trace.append(describe(error))
    finally:
        points.arm(None)
        logging.disable(logging.NOTSET)
    outcome.crashed_at = world.faults.crashed_at
    return outcome


def describe(error: Exception) -> str:
    import traceback

    return "".join(traceback.format_exception(error))


class Run:
    """One seed under way."""

    def __init__(self, world: World, ground: Ground) -> None:
        self.world = world
        newsroom = Newsroom(world)
        self.public = Public(world, newsroom, ground.database)
        plot = draw_plot(world)
        self.house = House(world, ground.database, ground.prepare(), plot, newsroom, self.public)
        self.oracle = Oracle(world, self.public)
        clicks = Clicks(world, ground.database)
        self.actors = Actors(world, self.house, self.house.start(), clicks, self.oracle)
        newsroom.publish(world.random.choice((0, 1, 3)))
        self._begin()

    def _begin(self) -> None:
        """Readers there are, the first look at the site, schedules that begin."""
        people = [NewSubscriber(one, one) for one in READERS[: self.world.random.randint(1, 5)]]
        for _ in self.actors.storage.recipients.add_subscribers(people, LIST, self.world.now):
            pass
        self.actors.poll()
        self.actors.tick()

    def storm(self, steps: int) -> None:
        """Everything at once, checked after each step."""
        for _ in range(steps):
            try:
                self.actors.act()
                if self.actors.wants_restart:
                    self._stop_in_order()
            except Crash as crash:
                self._start_after(f"killed at {crash}")
            self.oracle.check()
            self.actors.clicks.check()
        self.oracle.check_shown(self.actors.storage)

    def calm(self) -> None:
        """The faults stop, the process that runs goes on: in bounded time everything has come to its end."""
        self.world.is_calm = True
        self.world.faults.calm_down()
        self.world.say("-- calm --")
        finish(self.actors)
        self.oracle.check_shown(self.actors.storage)
        self.actors.clicks.check(is_final=True)

    def _stop_in_order(self) -> None:
        self.actors.wants_restart = False
        self.actors.process.stop()
        self._start_after("stopped in order")

    def _start_after(self, end: str) -> None:
        """Start again until a start gets through; what was in flight, and only that, may be unknown after it."""
        self.world.say(f"== {end}")
        before, in_flight = dict(self._rows()), set(self.public.in_flight)
        process = self.actors.process
        while True:
            process.die()
            self.world.pass_seconds(0.5, 90)
            process = self.house.start()
            try:
                counts = process.app.recover()
                self._check_twice(process)
                break
            except (Crash, StorageError) as error:
                self.world.say(f"== the start failed: {error}")
        self.world.say(f"== started again: {counts}")
        self.actors.process = process
        self.public.in_flight.clear()
        fresh = {one for one, state in self._rows() if state == "unknown" and before.get(one) != "unknown"}
        self.world.require(
            fresh <= in_flight, f"{sorted(fresh - in_flight)} were not in flight and are unknown now"
        )

    def _check_twice(self, process: Process) -> None:
        """Recovering again changes nothing (I10)."""
        before = self._rows()
        process.app.recover()
        self.world.require(before == self._rows(), "recovering twice is not recovering once")

    def _rows(self) -> list[Any]:
        return [tuple(row) for row in self.house.database.look("SELECT id, state FROM delivery ORDER BY id")]

    def count(self) -> Counter[str]:
        """Figures of this run, to be added up."""
        states = Counter(state for _, state in self._rows())
        return Counter(
            {
                "steps": self.oracle.checks,
                "deliveries": sum(states.values()),
                **{f"ended {name}": number for name, number in states.items()},
                "seen": len(self.public.seen),
                "seen twice by decision": sum(n - 1 for n in self.public.times_seen.values() if n > 1),
                "stories": len(self.house.newsroom.stories),
                "clicks": self.actors.clicks.happened,
                "crashes": sum(self.world.faults.crashed_at.values()),
                "starts": self.house.starts,
            }
        )


__all__ = ["STEPS", "Outcome", "open_sqlite_ground", "run_seed"]
