"""Processes that send over one database, without a network: each has an engine of its own, all tell one public."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from distributor.core.contracts import Channel, Wire
from distributor.core.errors import StorageError
from distributor.core.message import Accepted, Content, Limits, Message, NotStarted, Outcome, Pace
from distributor.core.planning import EditionPlan
from distributor.engine.local import LocalEngine
from distributor.pipeline.send import Lane
from distributor.pipeline.waking import Engine, wake_forgotten
from distributor.storage import Storage, join_stores
from distributor.storage.database import Database
from distributor.storage.lanes import Turn
from distributor.storage.send_journal import SendJournal
from tests.storage.scene import add_post

PATIENCE = 60.0


@dataclass(frozen=True)
class Sighting:
    """What the public saw, and who showed it."""

    channel: str
    edition: int
    recipient: int
    by: str
    at: float


@dataclass
class Public:
    """`most` is how many spoke on one channel at the same time."""

    seen: list[Sighting] = field(default_factory=list)
    speaking: dict[str, int] = field(default_factory=dict)
    most: int = 0
    guard: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, channel: str) -> None:
        with self.guard:
            self.speaking[channel] = self.speaking.get(channel, 0) + 1
            self.most = max(self.most, self.speaking[channel])

    def leave(self, channel: str) -> None:
        with self.guard:
            self.speaking[channel] -= 1

    def see(self, message: Message, by: str) -> None:
        edition = message.edition
        with self.guard:
            self.seen.append(Sighting(edition.channel, edition.id, message.recipient.id, by, time.monotonic()))

    def editions(self) -> list[int]:
        return [one.edition for one in self.seen]


class LoudChannel(Channel):
    """Takes `pause` seconds for a call and shows every message to the public."""

    kind = "loud"
    parts: Mapping[str, Sequence[str]] = {"each": ()}

    def __init__(self, name: str, public: Public, by: str, limits: Limits, pause: float) -> None:
        self.name = self.address = name
        self.limits = limits
        self._public, self._by, self._pause = public, by, pause

    def compose(self, texts: Mapping[str, str], form: str) -> Content:
        return Content(dict(texts))

    def send(self, messages: Sequence[Message], wire: Wire) -> list[Outcome]:
        if not wire.start(range(len(messages))):
            return [NotStarted() for _ in messages]
        self._public.enter(self.name)
        time.sleep(self._pause)
        outcomes: list[Outcome] = []
        for index, message in enumerate(messages):
            self._public.see(message, self._by)
            outcomes.append(Accepted("seen"))
            wire.settle(index, outcomes[index])
        self._public.leave(self.name)
        return outcomes


@dataclass
class Node:
    """One process: a database connection, lanes and an engine."""

    url: str
    folder: Path
    public: Public
    name: str
    kind: str
    limits: Mapping[str, Limits]
    pause: float = 0.0
    #: How this process takes lanes from holders that are silent.
    may_inherit: bool = True

    def __post_init__(self) -> None:
        self.database = Database(self.url)
        self.storage: Storage = join_stores(self.database)
        self.engine = self._make_engine()
        self._beats = threading.Event()

    def start(self) -> Node:
        self.beat()
        self.engine.start()
        self.database.waker = self.engine
        return self

    def beat(self) -> None:
        self.storage.workers.beat(self.name, "here", 1, "worker", "0", read_clock())

    def stop(self) -> bool:
        ended = self.engine.stop(20.0)
        with suppress(StorageError):
            self.storage.workers.leave([self.name])
        self.database.close()
        return ended

    def sweep(self) -> int:
        """As each process does every few seconds."""
        with suppress(StorageError):
            return wake_forgotten(self.storage.lanes, self.engine, read_clock())
        return 0

    def add_edition(self, channel: str, number: int, list_name: str = "", form: str = "each") -> int:
        """Freeze one story; returns the edition's id."""
        now = read_clock()
        post_id = add_post(self.storage, now, number)
        late = now + timedelta(hours=2)
        key, title = f"{channel}:{number}", f"Story number {number}"
        plan = EditionPlan(key, f"now-{channel}", channel, form, title, now, late, (post_id,))
        edition_id = self.storage.editions.add_edition(plan, now)
        assert edition_id is not None
        content = Content({"text": title})
        self.storage.editions.freeze(edition_id, content, list_name=list_name, revisions={}, links=(), now=now)
        return edition_id

    def states(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for row in self.storage.reports.list_editions(limit=10_000):
            for state, count in row.counts.items():
                found[state] = found.get(state, 0) + count
        return found

    def _make_engine(self) -> Engine:
        if self.kind == "local":
            return LocalEngine(list(self.limits), self._open_lane)
        from distributor.engine.procrastinate import ProcrastinateEngine

        return ProcrastinateEngine(
            self.database.url.set(drivername="postgresql").render_as_string(hide_password=False),
            list(self.limits),
            lambda name: self.limits[name].batch,
            self._open_lane,
            lambda name: self.storage.lanes.release(name, self.name),
        )

    def _open_lane(self, name: str, is_stopping: Callable[[], bool], pause: Callable[[float], None]) -> Lane:
        limits = self.limits[name]
        storage = self.storage
        if self.kind != "local" and limits.batch == 1:
            storage = storage.taking_turns(Turn(lambda: self.may_inherit))
        return Lane(
            channel=LoudChannel(name, self.public, self.name, limits, self.pause),
            ledger=storage.ledger,
            journal=SendJournal(self.folder / self.name, self.name, name),
            fence=self.name,
            clock=read_clock,
            slots=lambda edition, recipient: {},
            may_start=lambda: not is_stopping(),
            pause=pause,
            unknowns=self.storage.recovery,
        )


def read_clock() -> datetime:
    return datetime.now(UTC)


def voice(*paces: Pace) -> Limits:
    return Limits(paces=paces)


def crowd(batch: int) -> Limits:
    return replace(Limits(), batch=batch)


def wait_for(what: str, condition: Callable[[], Any], meanwhile: Callable[[], object] = lambda: None) -> None:
    """Wait until the condition holds; `meanwhile` is done now and then."""
    deadline = time.monotonic() + PATIENCE
    asked = time.monotonic()
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {PATIENCE:.0f} s"
        if time.monotonic() - asked > 1.0:
            asked = time.monotonic()
            meanwhile()
        time.sleep(0.01)
