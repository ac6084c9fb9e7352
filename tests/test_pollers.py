"""Sources polled side by side: each by one thread at a time, what is quiet noted together, none stops another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from distributor.clock import POLLERS, Clock, Pollers
from distributor.core.attention import Attention
from distributor.core.errors import SourceError, StorageError
from distributor.core.schedule import parse_rule
from distributor.core.source_state import QuietPoll, SourceState
from distributor.pipeline.poll import Polled

NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
PATIENCE = 20.0


@dataclass
class ToldApp:
    """Polls as it is told: `gates` holds a source back until its event is set, `results` says what it brings."""

    names: list[str]
    gates: dict[str, threading.Event] = field(default_factory=dict)
    results: dict[str, Polled | Exception] = field(default_factory=dict)
    polled: list[str] = field(default_factory=list)
    noted: list[list[str]] = field(default_factory=list)
    is_locked: bool = False

    @property
    def storage(self) -> Any:
        return self

    @property
    def posts(self) -> Any:
        return self

    def due_sources(self) -> dict[str, SourceState]:
        known = {name for names in self.noted for name in names}
        return {name: SourceState() for name in self.names if name not in known}

    def poll(self, name: str, state: SourceState, later: Callable[[QuietPoll], None]) -> Polled:
        self.polled.append(name)
        if name in self.gates:
            assert self.gates[name].wait(PATIENCE)
        result = self.results.get(name)
        if isinstance(result, Exception):
            raise result
        if result is None:
            later(QuietPoll(name, "{}", NOW, NOW))
        return result or Polled(name, is_unchanged=True)

    def note_quiet(self, polls: list[QuietPoll]) -> None:
        if self.is_locked:
            raise StorageError("the database is locked")
        self.noted.append(sorted(one.name for one in polls))


@pytest.fixture
def news() -> list[str]:
    return []


@pytest.fixture
def run(news: list[str]) -> Iterator[Callable[[ToldApp], Pollers]]:
    made: list[Pollers] = []

    def start(app: ToldApp) -> Pollers:
        made.append(Pollers(app, lambda: news.append("news")))  # type: ignore[arg-type]
        return made[-1]

    yield start
    for pollers in made:
        pollers.stop()


def test_polls_without_news_are_noted_together(run: Callable[[ToldApp], Pollers], news: list[str]) -> None:
    gate = threading.Event()
    names = [f"s{number}" for number in range(POLLERS + 6)]
    app = ToldApp(names, gates=dict.fromkeys(names[:POLLERS], gate))
    pollers = run(app)
    pollers.poll_due()
    gate.set()
    assert pollers.wait(PATIENCE)
    assert sorted(name for noted in app.noted for name in noted) == sorted(names)
    assert len(app.noted) <= POLLERS
    assert news == []


def test_a_source_is_never_polled_twice_at_a_time(run: Callable[[ToldApp], Pollers]) -> None:
    gate = threading.Event()
    app = ToldApp(["front"], gates={"front": gate})
    pollers = run(app)
    for _ in range(3):
        pollers.poll_due()
    gate.set()
    assert pollers.wait(PATIENCE)
    assert app.polled == ["front"]


def test_a_source_that_hangs_holds_nobody_else(run: Callable[[ToldApp], Pollers]) -> None:
    gate = threading.Event()
    app = ToldApp(["slow", "quick"], gates={"slow": gate})
    pollers = run(app)
    pollers.poll_due()
    while not app.noted:
        pollers.wait(0.01)
    assert app.noted == [["quick"]]
    gate.set()
    assert pollers.wait(PATIENCE)


def test_news_are_told_and_a_failure_stops_nobody(run: Callable[[ToldApp], Pollers], news: list[str]) -> None:
    results = {"news": Polled("news", new=2), "broken": SourceError("no"), "bug": ValueError("a bug")}
    app = ToldApp(["broken", "bug", "news", "quiet"], results=results)
    pollers = run(app)
    pollers.poll_due()
    assert pollers.wait(PATIENCE)
    assert news == ["news"]
    assert app.noted == [["quiet"]]


def test_what_could_not_be_noted_is_polled_again(run: Callable[[ToldApp], Pollers]) -> None:
    app = ToldApp(["front"], is_locked=True)
    pollers = run(app)
    pollers.poll_due()
    assert pollers.wait(PATIENCE)
    app.is_locked = False
    pollers.poll_due()
    assert pollers.wait(PATIENCE)
    assert app.polled == ["front", "front"]
    assert app.noted == [["front"]]


def test_nothing_is_left_unnoted_when_the_program_stops(run: Callable[[ToldApp], Pollers]) -> None:
    gate = threading.Event()
    app = ToldApp(["a", "b"], gates={"a": gate})
    pollers = run(app)
    pollers.poll_due()
    gate.set()
    pollers.stop()
    assert sorted(name for noted in app.noted for name in noted) == sorted(app.polled)


class PlanningApp(ToldApp):
    """Keeps in which order it was asked."""

    def clock(self) -> datetime:
        return NOW

    def plan(self) -> int:
        self.polled.append("planned")
        return 0

    def freeze(self) -> list[str]:
        return []


def test_a_new_schedule_is_on_record_before_the_first_poll() -> None:
    app = PlanningApp(["front"])
    clock = Clock(app)  # type: ignore[arg-type]
    clock._tick()
    clock.stop()
    assert app.polled[:2] == ["planned", "front"]


class CommittingApp(PlanningApp):
    """With a mark of commits and a story that waits for its own hour."""

    mark = 1
    now = NOW
    hour: datetime | None = None

    def clock(self) -> datetime:
        return self.now

    def due_sources(self) -> dict[str, SourceState]:
        return {}

    @property
    def settings(self) -> Any:
        return SimpleNamespace(sources=[SimpleNamespace(name="front")])

    @property
    def plans(self) -> list[Any]:
        rule = parse_rule(at="07:31", timezone="UTC")
        return [SimpleNamespace(name="morning", rule=rule)]

    def load_states(self) -> dict[str, str]:
        return {"front": SourceState(next_poll_at=NOW + timedelta(minutes=5)).to_json()}

    def find_next_hour(self, since: datetime, now: datetime) -> datetime | None:
        return self.hour


def tick_at(app: CommittingApp, clock: Clock, seconds: int) -> int:
    """How many plans were made by a tick so many seconds after the first."""
    before = len(app.polled)
    app.now = NOW + timedelta(seconds=seconds)
    clock._tick()
    return len(app.polled) - before


@pytest.fixture
def committing() -> Iterator[tuple[CommittingApp, Clock]]:
    app = CommittingApp([])
    clock = Clock(app, None, Attention(lambda: app.mark, lambda: 0.0, 5.0))  # type: ignore[arg-type]
    yield app, clock
    clock.stop()


def test_a_tick_plans_only_after_a_commit_or_when_a_time_has_come(
    committing: tuple[CommittingApp, Clock],
) -> None:
    app, clock = committing
    assert [tick_at(app, clock, second) for second in (0, 1, 2)] == [1, 0, 0]
    app.mark += 1
    assert [tick_at(app, clock, second) for second in (3, 4)] == [1, 0]
    assert [tick_at(app, clock, second) for second in (59, 60, 61)] == [0, 1, 0]
    assert clock.last_tick_at == NOW + timedelta(seconds=61)


def test_a_tick_looks_when_a_story_has_waited_for_its_hour(committing: tuple[CommittingApp, Clock]) -> None:
    app, clock = committing
    app.hour = NOW + timedelta(seconds=7)
    assert [tick_at(app, clock, second) for second in (0, 6)] == [1, 0]
    app.hour = None
    assert [tick_at(app, clock, second) for second in (7, 8)] == [1, 0]
