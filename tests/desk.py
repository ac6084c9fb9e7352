"""A desk without a network: sources that say what they are told, schedules in one line, the walk step by step."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from distributor.app import App, read_settings
from distributor.core.errors import SourceError
from distributor.core.filters import Filter
from distributor.core.post import Post
from distributor.core.schedule import parse_rule
from distributor.core.source_state import PollResult, SourceState, rest
from distributor.pipeline.freeze import Desk as Words
from distributor.pipeline.plan import Candidate, Plan, plan_all
from distributor.pipeline.poll import Polled, poll
from distributor.pipeline.render import Renderer
from distributor.settings import Settings
from distributor.storage import Storage

HOUR = timedelta(hours=1)
EVERY = timedelta(minutes=2)


def make_story(number: int, source: str = "front", **fields: Any) -> Post:
    """A story like a feed gives it. One number is one story, whoever carries it."""
    values: dict[str, Any] = {
        "guid": f"{source}-{number}",
        "url": f"https://news.example/{number}",
        "headline": f"Story number {number}",
        "summary": f"What happened in story {number}.",
        "section": "World",
    }
    return Post(source=source, **values | fields)


@dataclass
class ToldSource:
    """Gives the posts it holds; `trouble` is raised instead. Keeps which pages were read."""

    posts: Sequence[Post] = ()
    trouble: Exception | None = None
    is_unchanged: bool = False
    pages: list[str] = field(default_factory=list)
    asked: int = 0

    def poll(self, state: SourceState, now: datetime) -> PollResult:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        first = state.first_polled_at or now
        after = rest(replace(state, first_polled_at=first, baseline_done=True), "front", EVERY, now)
        return PollResult(after, tuple(self.posts), self.is_unchanged)

    def enrich(self, post: Post, now: datetime) -> Post:
        self.pages.append(post.url)
        return post


@dataclass
class Desk:
    """Storage with told sources and a hand that turns the clock."""

    storage: Storage
    now: datetime
    sources: dict[str, ToldSource] = field(default_factory=dict)
    settle: timedelta = timedelta()

    def poll(self, posts: Iterable[Post] | SourceError, name: str = "front", after: timedelta = EVERY) -> Polled:
        """Turn the clock on, then read the source."""
        self.now += after
        told = self.sources.setdefault(name, ToldSource())
        told.trouble = posts if isinstance(posts, Exception) else None
        told.posts = () if isinstance(posts, Exception) else tuple(posts)
        known = self.storage.posts.load_sources().get(name)
        state = SourceState.from_json(known.state if known else "")
        return poll(name, told, EVERY, state, self.storage.posts, told.enrich, self.now, settle=self.settle)

    def plan(self, *schedules: Plan) -> int:
        """A second later, plan."""
        self.now += timedelta(seconds=1)
        return plan_all(schedules, self.storage.posts, self.storage.editions, self.now)

    def open(self, *schedules: Plan, name: str = "front") -> None:
        """A source with one old story, and schedules that have begun."""
        self.poll([make_story(0, name, published_at=self.now - HOUR)], name)
        self.plan(*schedules)

    def statuses(self) -> dict[str, int]:
        return self.storage.reports.count_by_status()

    def planned(self) -> list[str]:
        """Titles of the editions there are, oldest first."""
        return [row.title for row in reversed(self.storage.reports.list_editions(limit=10_000))]

    def told(self) -> list[tuple[str, tuple[int, ...]]]:
        """(schedule, posts) of planned editions, in the order they go out."""
        return [(one.schedule, one.post_ids) for one in self.storage.editions.list_planned(limit=10_000)]


def make_settings(
    folder: Path, channels: Sequence[dict[str, Any]], schedules: Sequence[str] = (), **site: str
) -> Settings:
    """Settings as a file gives them. A schedule is "name channel form", and "at 07:30" or "every 1h" or at once."""
    entries = []
    for line in schedules:
        name, channel, form, *when = line.split()
        due = {"at": when[1]} if when[:1] == ["at"] else {"every": when[1]} if when[:1] == ["every"] else {}
        entries.append({"name": name, "channel": channel, "form": form, **(due or {"when": "immediately"})})
    about = {"name": "The Daily Example", "public_url": "https://go.example.org", **site}
    path = folder / "config" / "distributor.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"site": about, "channels": list(channels), "schedules": entries}))
    return read_settings(path, {})


def open_newsroom(settings: Settings, desk: Desk, renderer: Renderer) -> App:
    """The product's own desk over the test's storage and clock."""
    app = App(settings, desk.storage, lambda: desk.now)
    app.desk = Words(app.site, renderer, desk.storage.posts, desk.storage.editions, desk.storage.secret)
    return app


def every_post(post: Post) -> bool:
    return True


def make_plan(name: str = "now-tg", *, when: str = "", at: Any = None, every: str = "", **fields: Any) -> Plan:
    """A schedule: immediately unless `at` or `every` is given."""
    given: dict[str, Any] = {"at": at} if at else {"every": every} if every else {"when": when or "immediately"}
    rule = parse_rule(timezone=fields.pop("timezone", "UTC"), **given)
    matches: Callable[[Post], bool] = fields.pop("matches", every_post)
    only = fields.pop("only", None)
    if only is not None:
        matches = Filter(**only).matches
    values: dict[str, Any] = {"channel": "tg", "form": "each", "max_lateness": HOUR, **fields}
    return Plan(name=name, rule=rule, matches=matches, **values)


def make_candidate(number: int, ripe_at: datetime, **fields: Any) -> Candidate:
    return Candidate(number, make_story(number, **fields), ripe_at)
