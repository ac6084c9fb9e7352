"""A newsroom in one process: told sources, a town that reads what channels bring, and the product between them."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from distributor.app import App, read_settings
from distributor.core.contracts import Channel, Wire
from distributor.core.errors import DistributorError, Unknown
from distributor.core.message import Accepted, Content, Limits, Message, NotStarted, Outcome
from distributor.pipeline.freeze import Desk as Words
from distributor.pipeline.render import Job, LinkSpec
from distributor.pipeline.send import Lane, send_next
from distributor.storage import Storage, join_stores
from distributor.storage.database import Database
from tests.desk import ToldSource, make_story
from tests.faults.broken_calls import Breaks, break_database
from tests.storage.scene import add_readers

READERS = 30


class Crash(BaseException):
    """The plug is pulled: nothing of the process goes on."""


class TownChannel(Channel):
    """What it sends is read by the town at once. `answers`: what becomes of the next messages' answers."""

    kind = "town"

    def __init__(self, name: str, list_name: str, public: Counter[tuple[str, str, int]]) -> None:
        self.name, self.list_name = name, list_name
        self.address = f"@{name}"
        self.parts: Mapping[str, Sequence[str]] = {"each": ("each.txt",)}
        self.limits = Limits(batch=10 if list_name else 1)
        self.public = public
        self.answers: deque[str] = deque()

    def compose(self, texts: Mapping[str, str], form: str) -> Content:
        return Content(dict(texts))

    def send(self, messages: Sequence[Message], wire: Wire) -> list[Outcome]:
        outcomes = []
        for index, message in enumerate(messages):
            outcome = self._send_one(index, message, wire)
            wire.settle(index, outcome)
            outcomes.append(outcome)
        return outcomes

    def _send_one(self, index: int, message: Message, wire: Wire) -> Outcome:
        if not wire.start([index]):
            return NotStarted()
        title = str(message.edition.content.payload["text"])
        self.public[self.name, title, message.recipient.id] += 1
        match self.answers.popleft() if self.answers else "":
            case "crash":
                raise Crash
            case "lost":
                return Unknown("the answer was lost")
        return Accepted(f"id-{message.delivery_id}")


class PlainWords:
    """Words with one link, without a template engine."""

    def render(self, job: Job, minter: Callable[[LinkSpec], str]) -> Content:
        post = job.context["post"]
        minter(LinkSpec("article", "https://news.example/1", int(post["id"])))
        return Content({"text": str(post["headline"])})

    def close(self) -> None:
        """Nothing is open."""


class TownApp(App):
    """The product with the town's channels."""

    public: Counter[tuple[str, str, int]]

    def open_channel(self, name: str) -> Channel:
        return TownChannel(name, "readers" if name == "letter" else "", self.public)


@dataclass
class Town:
    """One installation whose calls can fail. `now` is its clock. `unexplained`: exceptions that no loop expects."""

    folder: Path
    url: str
    now: datetime
    breaks: Breaks = field(default_factory=Breaks)
    public: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)
    stories: list[int] = field(default_factory=list)
    told: ToldSource = field(default_factory=ToldSource)
    lanes: dict[str, Lane] = field(default_factory=dict)
    generation: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        database = Database(self.url, busy_seconds=1.0)
        break_database(database, self.breaks)
        self.storage: Storage = join_stores(database)
        if database.is_sqlite:
            with database.write() as connection:
                connection.exec_driver_sql("SELECT 1")
                driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA synchronous=OFF")
        self.settings = _make_settings(self.folder)
        self.start_process()

    def start_process(self) -> None:
        """Another process takes over; the one before it does nothing more."""
        self.generation += 1
        self.lanes = {}
        app = TownApp(self.settings, self.storage, self.read_clock, fence=f"process{self.generation}")
        app.public = self.public
        app.state_dir = self.folder / "var"
        app.sources = {"front": self.told}
        app.desk = Words(app.site, PlainWords(), self.storage.posts, self.storage.editions, self.storage.secret)  # type: ignore[arg-type]
        self.app = app

    def read_clock(self) -> datetime:
        self.now += timedelta(milliseconds=10)
        return self.now

    def close(self) -> None:
        self.breaks.disarm()
        self.storage.close()

    # -- what the loops do -----------------------------------------------------------------------------------

    def publish(self, *numbers: int) -> None:
        self.stories += numbers
        self.told.posts = [make_story(n, published_at=self.now - timedelta(minutes=1)) for n in [0, *self.stories]]

    def poll(self) -> None:
        self.app.poll("front")

    def plan(self) -> None:
        self.app.plan()
        self.app.freeze()

    def lane(self, name: str) -> Lane:
        if name not in self.lanes:
            self.lanes[name] = self.app.open_lane(name, lambda: False, self._pause)
        return self.lanes[name]

    def send(self, name: str) -> None:
        """As a lane's loop: until there is nothing to do at this moment."""
        while send_next(self.lane(name)) == 0:
            pass

    def try_to(self, act: Callable[[], object]) -> bool:
        """As every loop does it: an error of ours is told and the next round tries again."""
        try:
            act()
        except DistributorError:
            return False
        except Exception as error:
            self.unexplained.append(f"{type(error).__name__}: {error}")
            return False
        return True

    def go_on(self) -> None:
        """Rounds of everything until all that can end has ended: past leases, rests and retries."""
        for minutes in (0, 1, 17, 1):
            self.now += timedelta(minutes=minutes)
            for act in (self.app.housekeep, self.poll, self.plan, *self._sends()):
                self.try_to(act)

    def _sends(self) -> list[Callable[[], object]]:
        return [lambda name=name: self.send(name) for name in ("tg", "letter")]  # type: ignore[misc]

    def _pause(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    # -- the oracle ------------------------------------------------------------------------------------------

    def find_wrong(self, unknown_allowed: int) -> list[str]:
        """What is not as it must be, in sentences."""
        states = Counter(row.state for row in self.storage.reports.list_deliveries(limit=10_000))
        wrong = [f"an exception that nobody expects: {one}" for one in self.unexplained]
        wrong += [f"seen {count} times: {what}" for what, count in self.public.items() if count > 1]
        doubtful = states["unknown"] + states["presumed"]
        if doubtful > unknown_allowed:
            wrong.append(f"{doubtful} unknown, {unknown_allowed} were in flight")
        if open_states := {name: n for name, n in states.items() if name not in ("sent", "unknown", "presumed")}:
            wrong.append(f"not ended: {open_states}")
        missing = self.list_expected() - self.public.keys()
        if len(missing) > doubtful:
            wrong.append(f"lost: {sorted(missing)[:3]} and {len(missing)} in all, {doubtful} unknown")
        if states["sent"] > self.public.total():
            wrong.append(f"{states['sent']} are called sent, {self.public.total()} were seen")
        return wrong

    def list_expected(self) -> set[tuple[str, str, int]]:
        titles = [f"Story number {number}" for number in self.stories]
        readers = {("letter", title, one) for title in titles for one in range(1, READERS + 1)}
        return readers | {("tg", title, 0) for title in titles}


def _make_settings(folder: Path) -> Any:
    path = folder / "config" / "distributor.yaml"
    path.parent.mkdir(exist_ok=True)
    mail = {"name": "letter", "kind": "email", "from": "news@example.org", "list": "readers", "host": "127.0.0.1"}
    chat = {"name": "tg", "kind": "telegram", "token": "1:a", "chat": "@daily"}
    each = {"form": "each", "when": "immediately", "max_lateness": "12h"}
    document = {
        "site": {"name": "The Daily Example", "public_url": "https://go.example.org"},
        "sources": [{"name": "front", "kind": "feed", "url": "https://news.example/feed", "every": "1m"}],
        "channels": [mail, chat],
        "schedules": [{"name": f"now-{name}", "channel": name, **each} for name in ("tg", "letter")],
    }
    path.write_text(json.dumps(document))
    return read_settings(path, {})


def open_town(folder: Path, url: str, now: datetime) -> Town:
    """A town whose source is known and whose readers have come; nothing is due yet."""
    town = Town(folder, url, now)
    add_readers(town.storage, now, READERS)
    town.publish()
    town.poll()
    town.plan()
    town.now += timedelta(minutes=2)
    return town
