"""The product's own desk over a real database, in a simulated world of services, sites and a turned clock."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from distributor.app import App
from distributor.core.contracts import Channel
from distributor.core.filters import Filter
from distributor.core.message import Content, Limits, Pace
from distributor.core.schedule import parse_rule
from distributor.pipeline.freeze import Desk
from distributor.pipeline.reconcile import Reconciler
from distributor.pipeline.render import Job, LinkSpec
from distributor.pipeline.send import Lane
from distributor.settings.model import ScheduleSettings, Settings
from distributor.storage import join_stores
from distributor.storage.database import Database
from tests import desk
from tests.simulation.newsroom import EVERY, NAME, Newsroom
from tests.simulation.public import Public
from tests.simulation.service import Place, SimulatedChannel
from tests.simulation.world import World

HOUR = timedelta(hours=1)
LIST = "readers"
ZONES = ("Europe/Kyiv", "America/New_York", "UTC", "Australia/Lord_Howe")


class PlainRenderer:
    """Words without a template language: headlines and one tracked link each."""

    def render(self, job: Job, mint: Callable[[LinkSpec], str]) -> Content:
        posts = job.context["posts"]
        lines = [f"{p['headline']} {mint(LinkSpec('article', p['url'], p['id']))}" for p in posts]
        return job.channel.compose({"words": "\n".join(lines)}, job.form)

    def close(self) -> None:
        return


@dataclass
class SimulatedApp(App):
    """The app with channels that somebody else opens."""

    opener: Callable[[str], Channel] | None = None

    def open_channel(self, name: str) -> Channel:
        assert self.opener is not None
        return self.opener(name)


@dataclass(frozen=True)
class Plot:
    """What one run is about: drawn from its seed."""

    places: Mapping[str, Place]
    schedules: tuple[ScheduleSettings, ...]


def draw_plot(world: World) -> Plot:
    """One voice, one slow voice, a list; what is told at once, in the morning and each hour."""
    random = world.random
    trouble = random.choice((0.05, 0.25, 0.5))
    paces = random.choice(((), (Pace("x:posts", 2, 60.0),)))
    attempts = random.choice((2, 4, 20))
    places = (
        Place("tg", limits=Limits(attempts=attempts), trouble=trouble),
        Place("x", limits=Limits(attempts=attempts, paces=paces), trouble=trouble),
        Place("letter", LIST, Limits(batch=random.randint(2, 5), attempts=attempts), trouble),
    )
    zone, at = random.choice(ZONES), random.choice(("07:30", "02:30", "00:15"))
    schedules = (
        _make_schedule("now-tg", "tg", "each", HOUR, when="immediately", timezone=zone),
        _make_schedule("now-letter", "letter", "each", HOUR, when="immediately", timezone=zone),
        _make_schedule("hourly-x", "x", "each", HOUR / 2, every="1h", timezone=zone, max_items=2),
        _make_schedule("brief", "letter", "digest", 6 * HOUR, at=at, timezone=zone, max_items=3),
    )
    first = random.choice(schedules[:2])
    kept = {first.name: first} | {one.name: one for one in random.sample(schedules, random.randint(0, 2))}
    return Plot({place.name: place for place in places}, tuple(kept[name] for name in sorted(kept)))


def _make_schedule(
    name: str, channel: str, form: str, lateness: timedelta, max_items: int = 10, **when: Any
) -> ScheduleSettings:
    return ScheduleSettings(name, channel, form, parse_rule(**when), Filter(), lateness, 1, max_items, "")


def make_settings(plot: Plot, folder: Path) -> Settings:
    return replace(
        _read_settings(),
        sources=(
            SimpleNamespace(
                name=NAME, kind="simulated", url=NAME, every=EVERY, settle=timedelta(), check_page=None
            ),
        ),
        channels=tuple(SimpleNamespace(name=name, kind="simulated", template="", utm=None) for name in plot.places),
        schedules=plot.schedules,
        state_dir=folder,
    )


@cache
def _read_settings() -> Settings:
    """What a file with nothing but the newsroom in it gives."""
    with tempfile.TemporaryDirectory() as folder:
        return desk.make_settings(Path(folder), ())


@dataclass
class Process:
    """One run of the program from its start to its end, whichever end it is."""

    world: World
    app: SimulatedApp
    lanes: dict[str, Lane] = field(default_factory=dict)
    reconcilers: dict[str, Reconciler] = field(default_factory=dict)
    is_stopping: bool = False

    def lane(self, name: str) -> Lane:
        if name not in self.lanes:
            self.lanes[name] = self.app.open_lane(name, lambda: self.is_stopping, self._pause)
        return self.lanes[name]

    def reconciler(self, name: str) -> Reconciler | None:
        lane = self.lane(name)
        if lane.unknowns is None:
            return None
        return self.reconcilers.setdefault(name, Reconciler(lane.channel, lane.unknowns))

    def _pause(self, seconds: float) -> None:
        self.world.turn_clock(timedelta(seconds=seconds))
        self.world.meanwhile("")

    def stop(self) -> None:
        """As SIGTERM: the lanes end in order."""
        self.is_stopping = True
        for lane in self.lanes.values():
            lane.close()

    def die(self) -> None:
        """What a kernel does for a dead process: its files are closed, nothing else."""
        for lane in self.lanes.values():
            with contextlib.suppress(KeyError, OSError):
                os.close(vars(lane.journal)["_file"])


@dataclass
class House:
    """What outlives a process: the database, the folder beside it, and the world around."""

    world: World
    database: Database
    folder: Path
    plot: Plot
    newsroom: Newsroom
    public: Public
    starts: int = 0

    def start(self) -> Process:
        """A new process: nothing of the one before it but the database and the folder. Recovers."""
        self.starts += 1
        app = SimulatedApp(
            make_settings(self.plot, self.folder),
            join_stores(self.database),
            self.world.read_clock,
            f"fence{self.starts}",
            opener=self._open_channel,
        )
        storage = app.storage
        app.sources = {NAME: self.newsroom}
        renderer: Any = PlainRenderer()
        app.desk = Desk(app.site, renderer, storage.posts, storage.editions, storage.secret)
        return Process(self.world, app)

    def _open_channel(self, name: str) -> Channel:
        return SimulatedChannel(self.world, self.public, self.plot.places[name])


def list_names(plot: Plot) -> Sequence[str]:
    return sorted({one.channel for one in plot.schedules})
