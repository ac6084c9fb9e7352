"""A newsroom on loopback that can be put back to where it was: feed, sandboxes, configuration, and a first day.

Its readers, its history and a story that went out yesterday are made once by the product itself and saved. A run
begins with two new stories in the feed, and a weekly letter that has been due for ten minutes.
"""

from __future__ import annotations

import itertools
import json
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from xml.sax.saxutils import escape

from sqlalchemy import text

from distributor.channels import load
from distributor.channels.sandbox_server import Reply, ScriptedServer
from distributor.sources.sandbox import NewsSite
from distributor.storage.database import Database
from distributor.storage.place import find_home
from tests.chaos.child import Bomb
from tests.chaos.keeping import open_keeping
from tests.chaos.nursery import Life, Nursery
from tests.walk.newsroom import FeedSite

READERS = 8
#: Readers of the letter that goes through the patient SMTP client.
FEW = 3
#: Readers of a list that no letter goes to; they leave it.
LEAVERS = 300
PATIENCE = 240.0
LETTER = "Weekly letter"
#: How the titles of digests begin that go to Telegram alone.
ROUND = "Round "
#: Where these channels stand among the boxes.
LETTER1, LETTER2 = 3, 4
#: The exit code for a database that cannot be used (yet): a killed holder's lock may outlive it for a moment.
REFUSED = 4


class Feed(FeedSite):
    """Stories are for all channels, items only for the weekly letter."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[str] = []
        #: How many of the next requests for the feed get nothing that can be read.
        self.outages = 0

    def answer(self, path: str) -> tuple[bytes, str]:
        if path == "/feed" and self.outages > 0:
            self.outages -= 1
            return b"We are down for maintenance", "text/html"
        body, kind = super().answer(path)
        extra = "".join(
            f"<item><guid isPermaLink='false'>{name}</guid><link>{self.url}/{name}</link>"
            f"<category>Weekly</category><title>{escape(name)}</title>"
            f"<description>About {name}.</description></item>"
            for name in self.items
        )
        return body.replace(b"</channel>", extra.encode() + b"</channel>"), kind


class Stage:
    """One newsroom for many runs, one after the other."""

    def __init__(
        self, folder: Path, kind: str, server_url: str, nursery: Nursery, engine: str = "", readers: int = READERS
    ) -> None:
        self.folder, self.nursery, self.engine, self.readers = folder, nursery, engine, readers
        self.server_url = server_url
        self.feed = Feed()
        self.site = NewsSite()
        #: Where alerts and pings go.
        self.outside = ScriptedServer(0, lambda call, name: Reply(200, b""))
        self.outside.start()
        self.boxes: dict[str, Any] = {"tg": load("telegram", "sandbox").Sandbox()}
        self.boxes["x"] = load("x", "sandbox").Sandbox(limit=1_000_000)
        self.boxes |= {f"letter{i}": box() for i, box in enumerate(load("email", "sandbox").SANDBOXES)}
        self.boxes["letter2"] = load("email", "sandbox").SANDBOXES[0]()
        for box in self.boxes.values():
            box.start()
        self.port = find_port()
        self.log = folder / "run.log"
        self.keeping = open_keeping(kind, folder / "var", server_url)
        self.config = folder / "config" / "distributor.yaml"
        self.config.parent.mkdir(parents=True)
        #: Of stories, never used before.
        self.numbers = itertools.count(100)
        due = datetime.now(UTC) - timedelta(minutes=10)
        self.settings = self._settings(f"{due:%H:%M}")
        self.config.write_text(json.dumps(self.settings))
        self._prepare()

    # -- before the runs -------------------------------------------------------------------------------------

    def _settings(self, due: str) -> dict[str, Any]:
        channels = [{"name": name, **box.settings()} for name, box in self.boxes.items()]
        channels[LETTER1] |= {"webhook_key": self.boxes["letter1"].webhook_key}
        channels[LETTER2] |= {"client": "plain", "connections": 1, "list": "few"}
        letters = [one["name"] for one in channels if one["kind"] == "email"]
        each = [
            {"name": f"now-{c['name']}", "channel": c["name"], "form": "each", "when": "immediately"}
            | {"filter": {"sections": ["World"]}, "max_lateness": "20h"}
            for c in channels
        ]
        weekly = [
            {"name": f"weekly-{name}", "channel": name, "form": "digest", "at": due, "title": LETTER}
            | {"filter": {"sections": ["Weekly"]}, "max_lateness": "20h"}
            for name in letters
        ]
        return {
            "site": {"name": "The Daily Example", "public_url": f"http://127.0.0.1:{self.port}", "timezone": "UTC"},
            "database": {"url": self.keeping.url},
            "state_dir": str(self.folder / "var"),
            "web": {"listen": f"127.0.0.1:{self.port}"},
            "network": {"allow_private": ["127.0.0.0/8"]},
            "sources": [{"name": "front", "kind": "feed", "url": f"{self.feed.url}/feed", "every": "1s"}],
            "templates_dir": str(self.folder / "templates"),
            "channels": channels,
            "schedules": [*each, *weekly],
            **({"engine": self.engine} if self.engine else {}),
        }

    def _prepare(self) -> None:
        """Live through the first day, then turn the clock of the letter back."""
        self.feed.publish(1, datetime.now(UTC) - timedelta(days=2))
        self.require("db", "upgrade")
        (self.folder / "templates").mkdir()
        self._invite("readers", [f"reader{i}@example.org" for i in range(self.readers)])
        self._invite("few", [f"reader{i}@example.org" for i in range(FEW)])
        self._invite("leavers", [f"leaver{i}@example.org" for i in range(LEAVERS)])
        self.require("poll")
        life = self.start()
        self.wait_for("the schedules", lambda: self.ask("SELECT name FROM schedule"), life)
        self.feed.publish(2)
        self.feed.items = ["Tomatoes", "Potatoes"]
        self.wait_for("the first story", lambda: self.is_settled(["Story number 2"], 5), life)
        self.wait_for(
            "the items", lambda: self.ask("SELECT count(*) FROM post WHERE status = 'live'")[0][0] == 3, life
        )
        life.terminate()
        assert life.wait() == 0, self.log.read_text()[-3000:]
        now = time.time()
        self.tell(f"UPDATE post SET ripe_at = {now - 1800} WHERE status = 'live'")
        self.tell(f"UPDATE schedule SET started_at = {now - 3600}, planned_until = {now - 900}")
        self.keeping.save()

    def _invite(self, name: str, addresses: list[str]) -> None:
        people = self.folder / f"{name}.csv"
        people.write_text("\n".join(["email", *addresses, ""]))
        self.require("subscribers", "import", str(people), "--list", name)

    # -- during a run ----------------------------------------------------------------------------------------

    def fresh(self) -> None:
        """As it was after the first day; the feed shows only what was there then."""
        self.keeping.restore()
        self._feel_at_home()
        self.feed.stories, self.feed.outages = self.feed.stories[:2], 0
        self.configure({})
        self.log.unlink(missing_ok=True)
        for path in self.folder.glob("trace-*"):
            path.unlink()

    def _feel_at_home(self) -> None:
        """What was put back is a copy, and the product would rightly hold it: say that it lives here."""
        database = Database(self.keeping.url)
        try:
            with database.write("chaos.home") as connection:
                here = find_home(database, connection)
                connection.execute(text("UPDATE meta SET value = :here WHERE key = 'home'"), {"here": here})
        finally:
            database.close()

    def configure(self, changes: dict[str, Any]) -> None:
        """The configuration as it was at first, with these entries instead."""
        self.config.write_text(json.dumps({**self.settings, **changes}))

    def publish(self, count: int) -> list[str]:
        """New stories; their headlines, never used before."""
        numbers = [next(self.numbers) for _ in range(count)]
        for number in numbers:
            self.feed.publish(number)
        return [f"Story number {number}" for number in numbers]

    def start(
        self, bomb: Bomb | None = None, roles: str = "web,clock,worker", trace: Path | None = None, trip: str = ""
    ) -> Life:
        words = ["run", "--roles", roles, "--config", str(self.config)]
        return self.nursery.start(words, self.log, bomb, trace, trip=trip)

    def run(self, *words: str, bomb: Bomb | None = None, trace: Path | None = None) -> int | None:
        """One command to its end; its exit code."""
        life = self.nursery.start([*words, "--config", str(self.config)], self.log, bomb, trace)
        return life.wait(PATIENCE)

    def require(self, *words: str) -> None:
        code = self.run(*words)
        assert code == 0, f"{words} ended with {code}: {self.log.read_text()[-3000:]}"

    def wait_for(self, what: str, condition: Callable[[], object], life: Life | None = None) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline or (life is not None and life.dead.is_set()):
                raise AssertionError(f"{what} did not happen; {self.log.read_text()[-3000:]}")
            time.sleep(0.05)

    # -- questions to the database ---------------------------------------------------------------------------

    def ask(self, sentence: str) -> list[Any]:
        """The rows of one question, as named tuples, over a connection of the tests' own."""
        return self.keeping.ask(sentence)

    def tell(self, sentence: str) -> None:
        """Change the database behind the product's back, while it does not run."""
        self.keeping.tell(sentence)

    def is_settled(self, titles: list[str], editions: int, closed: str = "") -> bool:
        """Whether so many editions of these titles are there and nothing of them waits or is on the wire; on the
        `closed` channel it may wait, and an edition that waits for a person is nobody's work."""
        rows = self.ask(
            "SELECT e.title, e.state, e.channel, sum(CASE WHEN d.state IN ('queued', 'claimed', 'sending') "
            "THEN 1 ELSE 0 END) FROM edition e LEFT JOIN delivery d ON d.edition_id = e.id GROUP BY e.id"
        )
        mine = [row for row in rows if row[0] in titles]
        is_done = all(row[1] != "planned" and (not row[3] or row[2] == closed) for row in mine)
        return len(mine) >= editions and is_done

    def is_listening(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def mark(self) -> dict[str, int]:
        """How much the public of each channel has seen so far."""
        return {name: len(box.seen) for name, box in self.boxes.items()}

    def close(self) -> None:
        self.keeping.close()
        for box in self.boxes.values():
            box.stop()
        self.feed.close()
        self.site.close()
        self.outside.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def find_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
