"""Days of many kills: a story, a kill, a kill while it recovers, the next story; and at the end the account.

Nothing is put back between the kills of one day, so that each life finds what all the dead have left. At each death
the unknown deliveries are counted: a kill may add what was on the wire, and no more.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.chaos.accounts import Account
from tests.chaos.callers import Callers
from tests.chaos.child import Bomb
from tests.chaos.nursery import Life
from tests.chaos.scenes import SCENES, Scene
from tests.chaos.stage import LETTER, PATIENCE, REFUSED, Stage
from tests.chaos.visitors import Visitors
from tests.chaos.walk import Walked, editions_of, in_flight, list_rows, take_stock

#: How long a start is tried again while the dead holder's lock is still there.
STARTING = 60.0
#: Seconds in which a life comes by its boundary, or it does not.
LONGEST = 90.0
#: Seconds between two looks at a life that has not died.
LOOK_EVERY = 0.1
LOOK_AT_ARMED_EVERY = 0.4
#: A life, one that died while it recovered from its death, and the fall before them.
KILLS_AT_ONCE = 3


@dataclass(frozen=True)
class Pair:
    """A kill, and one while the program recovers from it. `at_stop`: the boundary is one of a stop in order."""

    first: Bomb
    second: Bomb | None = None
    at_stop: bool = False
    #: Only the first life of a day comes by it.
    at_first: bool = False

    def __str__(self) -> str:
        return f"{self.first}, then {self.second}" if self.second else str(self.first)


@dataclass(frozen=True)
class Plan:
    """One day. Without pairs nobody is killed, and its second story is traced."""

    scene: str
    pairs: tuple[Pair, ...] = ()
    #: How many times the usual patience: a boundary that was not reached is tried once more with more of it.
    patience: float = 1.0


@dataclass
class Day:
    """One day while it is lived."""

    stage: Stage
    scene: Scene
    titles: list[str] = field(default_factory=lambda: [LETTER])
    callers: Callers = field(default_factory=Callers)
    #: Whether a story is being played; at the end of the day there is peace.
    is_playing: bool = True
    #: The channel that is paused now.
    closed: str = ""
    patience: float = 1.0
    kills: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    walked: Walked = field(default_factory=lambda: Walked(Account(), ()))
    _lives: int = 0
    _called_at: float = 0.0
    #: How many boundaries the last life had come by when it was told to stop.
    ran: int = 0

    def live(self, bomb: Bomb | None = None, quiet: float = 0.1, trip: str = "") -> Life:
        """One life: until it dies at its bomb, or until there was nothing to do for `quiet` seconds and it is told
        to stop."""
        deadline = time.monotonic() + STARTING
        while True:
            self._lives += 1
            trace = self.stage.folder / f"trace-{self._lives}"
            life = self.stage.start(bomb, trace=trace, trip=trip)
            self._attend(life, quiet, LOOK_AT_ARMED_EVERY if bomb else LOOK_EVERY)
            if life.code != REFUSED or time.monotonic() > deadline:
                break
        self.walked.traces.append(trace.read_text().splitlines() if trace.exists() else [])
        self._note_end(life, bomb)
        return life

    def _attend(self, life: Life, quiet: float, every: float) -> None:
        began, idle_since = time.monotonic(), 0.0
        while not life.dead.wait(every):
            now, is_up = time.monotonic(), self.stage.is_listening()
            if is_up and self.is_playing and now - self._called_at >= LOOK_AT_ARMED_EVERY:
                self.scene.meanwhile(self.stage, self.callers)
                self._called_at = now
            is_idle = is_up and self._is_settled()
            idle_since = (idle_since or now) if is_idle else 0.0
            if (idle_since and now - idle_since >= quiet * self.patience) or now - began > self._longest:
                self.ran = self._count_trace()
                life.terminate()
                if life.wait(PATIENCE) is None:
                    self.walked.account.violations.append(f"did not stop in {PATIENCE:g} s")
                    life.kill()
                    life.wait()

    @property
    def _longest(self) -> float:
        return LONGEST * self.patience if self.is_playing else PATIENCE * 2

    def _is_settled(self) -> bool:
        return self.stage.is_settled(self.titles, editions_of(self.titles), self.closed)

    def _count_trace(self) -> int:
        return (self.stage.folder / f"trace-{self._lives}").read_bytes().count(b"\n")

    def _note_end(self, life: Life, bomb: Bomb | None) -> None:
        if life.is_killed:
            self.kills += 1
            if bomb is not None:
                self.walked.hits.append(bomb)
            self._count_unknown()
        else:
            if bomb is not None:
                self.walked.duds.append(bomb)
            if life.code != 0:
                words = self.stage.log.read_text()[-1500:]
                self.walked.account.violations.append(f"ended with {life.code}: {words}")

    def _count_unknown(self) -> None:
        """What was added since the last death, which is the work of up to three: two may have died recovering."""
        found = Counter(row.channel for row in list_rows(self.stage) if row.state in ("unknown", "presumed"))
        limits: Mapping[str, int] = in_flight(self.stage)
        for channel, count in (found - self.unknown).items():
            if count > KILLS_AT_ONCE * limits[channel]:
                self.walked.account.violations.append(f"{channel}: {count} more unknown at one death")
        self.unknown = found


def live_day(stage: Stage, plan: Plan) -> Walked:
    """One day from a fresh stage to its account."""
    began = time.monotonic()
    scene = next(one for one in SCENES if one.name == plan.scene)
    stage.fresh()
    stage.configure(scene.changes(stage))
    scene.begin(stage)
    day, marks = Day(stage, scene), stage.mark()
    day.patience = plan.patience
    day.walked.bombs = tuple(bomb for pair in plan.pairs for bomb in (pair.first, pair.second) if bomb)
    day.walked.name = scene.name
    slugs = [row[0] for row in stage.ask("SELECT slug FROM link ORDER BY id")]
    with Visitors(stage.port, slugs, pause=0.1) as visitors:
        for pair in plan.pairs or (None,):
            play(day, pair)
        day.is_playing = False
        day.live()
        visitors.stop()
        account = take_stock(stage, marks, day.titles, day.kills, day.walked.account.violations)
        account.violations += visitors.check([row[0] for row in stage.ask("SELECT referrer FROM click")])
        account.violations += day.callers.check(stage)
        account.clicks = len(visitors.acknowledged)
        day.walked.account = account
    day.walked.seconds = time.monotonic() - began
    return day.walked


def play(day: Day, pair: Pair | None) -> None:
    """One story and its kills; without a pair it is lived through unharmed, and traced."""
    stage, scene = day.stage, day.scene
    if pair is None:
        # The weekly letter and what a first start brings are over with then.
        day.live()
    day.titles += scene.publish(stage)
    if scene.closes_x:
        day.closed = "x"
        stage.require("pause", "x", "--reason", "a test")
    if scene.fall is not None:
        day.live(scene.fall, scene.quiet)
    scene.setup(stage, day.callers)
    quiet = 0.1 if pair is not None and pair.at_stop else scene.quiet
    first = day.live(pair.first if pair else None, quiet, scene.trip)
    if pair is None:
        day.walked.ran = day.ran
    elif pair.second is not None and first.is_killed:
        day.walked.again += day.live(pair.second, scene.quiet).is_killed
    if scene.closes_x:
        day.closed = ""
        # Where it was opened behind our back it says so, and that is not zero.
        stage.run("resume", "x")
    scene.after(stage, day.callers)
