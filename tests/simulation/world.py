"""What a simulated run stands on: a seed that decides everything, a clock that is turned, faults that are armed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from distributor.core.errors import StorageError

#: Where a run begins: an ordinary day, and mornings around both changes of the clocks in Kyiv and New York.
BEGINNINGS = tuple(
    datetime.fromisoformat(text).replace(tzinfo=UTC)
    for text in (
        "2026-11-23T05:10:00",
        "2026-03-28T23:40:00",
        "2026-10-24T23:10:00",
        "2026-03-08T05:30:00",
        "2026-11-01T04:30:00",
        "2026-12-31T21:00:00",
    )
)
A_MOMENT = timedelta(milliseconds=1)


class Crash(BaseException):
    """The plug is pulled: everything that is only in memory is gone."""


class Violation(AssertionError):
    """A promise is broken."""


@dataclass
class Faults:
    """The hook of core/points.py: at the n-th boundary the process dies, or the database is away for a while."""

    reached: Counter[str] = field(default_factory=Counter)
    crashed_at: Counter[str] = field(default_factory=Counter)
    crash_in: int = 0
    #: Beginnings of the boundaries that count towards `crash_in`; all where it is empty.
    crash_near: tuple[str, ...] = ()
    away_in: int = 0
    away_for: int = 0

    def reach(self, name: str) -> None:
        self.reached[name] += 1
        if self.crash_in and name.startswith(self.crash_near or ""):
            self.crash_in -= 1
            if not self.crash_in:
                self.crashed_at[name] += 1
                raise Crash(name)
        if self.away_for and name.endswith((" written", " committed")):
            self._be_away(name)

    def _be_away(self, name: str) -> None:
        if self.away_in:
            self.away_in -= 1
            return
        self.away_for -= 1
        # After " committed" it is the acknowledgement that is lost: the change stands.
        raise StorageError(f"simulated: the database is away ({name})")

    def calm_down(self) -> None:
        self.crash_in = self.away_in = self.away_for = 0


@dataclass
class World:
    """One run. `latest` is the highest time the clock ever showed: it may be set back."""

    seed: int
    random: Random = field(init=False)
    now: datetime = field(init=False)
    latest: datetime = field(init=False)
    faults: Faults = field(default_factory=Faults)
    trace: list[str] = field(default_factory=list)
    #: No faults, no jumps: what is left must come to its end.
    is_calm: bool = False
    #: What other threads do while one waits for a service; set by whoever knows the actors.
    meanwhile: Callable[[str], None] = lambda lane: None

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.now = self.latest = self.random.choice(BEGINNINGS)

    def read_clock(self) -> datetime:
        return self.turn_clock(A_MOMENT)

    def turn_clock(self, by: timedelta) -> datetime:
        self.now += by
        self.latest = max(self.latest, self.now)
        return self.now

    def pass_seconds(self, least: float, most: float) -> None:
        self.turn_clock(timedelta(seconds=self.random.uniform(least, most)))

    def happens(self, chance: float) -> bool:
        """Whether something that is only for bad times happens now."""
        return not self.is_calm and self.random.random() < chance

    def say(self, text: str) -> None:
        self.trace.append(f"{self.now:%m-%d %H:%M:%S} {text}")

    def require(self, is_kept: bool, sentence: str) -> None:
        """A promise; `sentence` says how it was broken."""
        if not is_kept:
            raise Violation(sentence)
