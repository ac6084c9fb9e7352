"""A story whose page has vanished from its site is not told; the others of its digest are."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from distributor.app import App, read_settings
from distributor.channels import load
from distributor.core.errors import SourceError
from distributor.core.post import Post
from distributor.pipeline.freeze import freeze
from distributor.pipeline.last_look import LastLook
from distributor.sources.sandbox import NewsSite, Reply
from distributor.sources.sandbox_pages import Story
from distributor.storage import Storage
from tests.desk import Desk, make_story
from tests.shared_renderer import SharedRenderer
from tests.storage.scene import states

HOUR = timedelta(hours=1)
#: A bit more than lies between two noes.
PAUSE = timedelta(seconds=21)


@dataclass
class Town:
    """A site that publishes and pulls, and a chat that hears of it each hour: each story, and a digest."""

    site: NewsSite
    desk: Desk
    app: App

    @property
    def storage(self) -> Storage:
        return self.desk.storage

    def tell(self, number: int, **fields: Any) -> Post:
        story = self.site.publish(Story(f"s{number}", f"Story number {number}"))
        return make_story(number, url=self.site.url + story.path, **fields)

    def publish(self, count: int) -> list[Post]:
        """So many stories, seen by a poll."""
        posts = [self.tell(number) for number in range(1, count + 1)]
        self.desk.poll(posts)
        return posts

    def come_to_the_hour(self) -> None:
        self.desk.now = self.desk.now.replace(minute=0, second=0) + HOUR
        self.app.plan()

    def tick(self, after: timedelta = timedelta(seconds=1)) -> list[str]:
        self.desk.now += after
        return self.app.freeze()

    def editions(self, state: str) -> list[tuple[str, str]]:
        return sorted((row.schedule, row.reason) for row in self.storage.reports.list_editions(state=state))

    def held(self) -> dict[str, str]:
        rows = self.storage.posts.list_recent(status="held")
        return {row.post.headline: row.reason for row in rows}

    def asked(self) -> list[str]:
        return [f"{call.method} {call.path}" for call in self.site.calls]

    def words(self, schedule: str) -> str:
        (number,) = [row.id for row in self.storage.reports.list_editions() if row.schedule == schedule]
        planned = self.storage.editions.load_planned(number)
        assert planned is not None
        found = self.storage.editions.find_by_token(planned.token)
        assert found is not None
        return found[1].to_json()


def open_town(
    site: NewsSite, storage: Storage, now: datetime, folder: Path, renderer: SharedRenderer, **source: Any
) -> Town:
    channel = {"name": "tg", **load("telegram", "sandbox").SANDBOXES[0]().settings()}
    schedules = [
        {"name": "singles", "channel": "tg", "form": "each", "every": "1h"},
        {"name": "digest", "channel": "tg", "form": "digest", "every": "1h"},
    ]
    front = {"name": "front", "kind": "feed", "url": f"{site.url}/feed/", **source}
    path = folder / "distributor.yaml"
    about = {"name": "The Daily Example", "public_url": "https://go.example.org"}
    entries = {"site": about, "sources": [front], "channels": [channel], "schedules": schedules}
    path.write_text(json.dumps({**entries, "network": {"allow_private": [site.place]}}))
    desk = Desk(storage, now)
    app = App(read_settings(path, {}), storage, lambda: desk.now)
    app.desk = replace(app.desk, renderer=renderer)
    desk.poll([make_story(0)])
    app.plan()
    return Town(site, desk, app)


@pytest.fixture
def site() -> Iterator[NewsSite]:
    with NewsSite() as site:
        yield site


@pytest.fixture
def town(
    site: NewsSite, storage: Storage, now: datetime, tmp_path: Path, renderer: SharedRenderer
) -> Iterator[Town]:
    town = open_town(site, storage, now, tmp_path, renderer)
    yield town
    town.app.words_channel("tg").close()
    town.app.fetcher.close()


def test_a_story_that_is_pulled_before_its_hour_is_held_and_the_digest_goes_with_the_rest(town: Town) -> None:
    town.publish(2)
    town.site.withdraw("s1")
    town.come_to_the_hour()
    assert town.tick() == ["tg"], "the other story's own edition"
    assert town.editions("planned") == [("digest", ""), ("singles", "")], "one no may be a server that is behind"
    assert town.tick() == []
    assert sorted(town.asked()) == ["HEAD /news/s1/", "HEAD /news/s2/"]
    assert town.tick(PAUSE) == ["tg"], "the digest"
    ((headline, reason),) = town.held().items()
    assert headline == "Story number 1"
    assert reason.startswith("page: its page answered 404 at 2026-11-23 08:00")
    ((schedule, why),) = town.editions("held")
    assert schedule == "singles"
    assert why.endswith(f"is held ({reason})")
    assert "Story number 2" in town.words("digest")
    assert "Story number 1" not in town.words("digest")
    subjects = {row.subject for row in town.storage.reports.list_notices(level="warning")}
    assert {"vanished page", "withdrawn story"} <= subjects
    assert states(town.storage) == {"queued": 2}


def test_what_an_editor_releases_goes_and_is_not_asked_for_again(town: Town) -> None:
    town.publish(1)
    town.site.withdraw("s1")
    town.come_to_the_hour()
    town.tick()
    town.tick(PAUSE)
    assert [schedule for schedule, _ in town.editions("held")] == ["digest", "singles"]
    town.storage.posts.release(town.storage.posts.list_held_ids(), "anna", town.desk.now)
    before = len(town.asked())
    town.desk.now += HOUR
    for row in town.storage.reports.list_editions(state="held"):
        town.storage.editions.unpark(row.id, None)
    assert town.tick() == ["tg", "tg"]
    assert len(town.asked()) == before


def test_what_a_digest_left_out_comes_in_the_next_one_when_it_is_released(town: Town) -> None:
    town.publish(2)
    town.site.withdraw("s1")
    town.come_to_the_hour()
    town.tick()
    town.tick(PAUSE)
    town.storage.posts.release(town.storage.posts.list_held_ids(), "anna", town.desk.now)
    town.come_to_the_hour()
    assert town.tick() == ["tg"]
    titles = [row.title for row in town.storage.reports.list_editions(state="frozen") if row.schedule == "digest"]
    assert titles == ["Story number 1", "Story number 2"]


@pytest.mark.parametrize("status", [200, 401, 403, 429, 500, 502, 503])
def test_any_other_answer_lets_it_go(town: Town, status: int) -> None:
    town.publish(1)
    town.site.answer_next("/news/s1/", *[Reply(status)] * 3)
    town.come_to_the_hour()
    assert town.tick() == ["tg", "tg"]
    assert town.asked() == ["HEAD /news/s1/"], "one look for all editions"


def test_a_second_answer_that_is_no_no_lets_it_go(town: Town) -> None:
    town.publish(1)
    town.site.answer_next("/news/s1/", Reply(404))
    town.come_to_the_hour()
    assert town.tick() == []
    assert town.tick(PAUSE) == ["tg", "tg"]
    assert town.asked() == ["HEAD /news/s1/", "GET /news/s1/"]
    assert town.held() == {}


@pytest.mark.parametrize("url", ["https://news.invalid/1", "http://127.0.0.1:9/1", "ftp://news.example/1"])
def test_a_page_that_cannot_or_may_not_be_asked_for_stops_nothing(town: Town, url: str) -> None:
    town.desk.poll([make_story(1, url=url)])
    town.come_to_the_hour()
    town.tick()
    assert town.held() == {}
    assert town.editions("planned") == []


def test_a_fresh_story_is_not_asked_for(town: Town) -> None:
    town.desk.now = town.desk.now.replace(minute=53)
    town.publish(1)
    town.come_to_the_hour()
    assert town.tick() == ["tg", "tg"]
    assert town.asked() == []


def test_a_source_may_be_left_alone(
    site: NewsSite, storage: Storage, now: datetime, tmp_path: Path, renderer: SharedRenderer
) -> None:
    town = open_town(site, storage, now, tmp_path, renderer, check_page="off")
    town.publish(1)
    town.come_to_the_hour()
    assert town.tick() == ["tg", "tg"]
    assert town.asked() == []
    town.app.words_channel("tg").close()


def test_a_process_that_read_the_digest_before_cannot_word_what_was_left_out_of_it(town: Town) -> None:
    """Two clocks: one has found a page gone, the other had read the edition before and asked no page."""
    town.publish(2)
    town.come_to_the_hour()
    (digest,) = [one for one in town.storage.editions.list_planned() if one.schedule == "digest"]
    wording = town.app._find_wording(digest)
    assert wording is not None
    assert town.storage.editions.leave_out(digest.id, digest.post_ids[:1], town.desk.now)
    assert freeze(replace(town.app.desk, look=None), digest, wording, town.desk.now) == "again"
    assert town.editions("planned") != []
    town.tick()
    assert not town.storage.editions.leave_out(digest.id, digest.post_ids, town.desk.now), "it is frozen by now"


def test_a_site_that_does_not_answer_costs_the_patience_once(storage: Storage, now: datetime) -> None:
    """And what it says later no more."""
    desk = Desk(storage, now)
    desk.poll([make_story(0)])
    desk.poll([make_story(1), make_story(2)])
    rows = storage.posts.list_recent(status="live")
    hung = threading.Event()

    def ask(url: str, is_sure: bool) -> int:
        hung.wait(30)
        return 404

    look = LastLook(ask, {"front": timedelta()}, patience=0.01)
    assert look.judge(rows, desk.now).step == "ask"
    look.ask_all(desk.now)
    hung.set()
    assert look.judge(rows, desk.now).step == "go"


@pytest.mark.parametrize("trouble", [SourceError("refused"), KeyError("a bug")])
def test_trouble_in_asking_is_no_no(storage: Storage, now: datetime, trouble: Exception) -> None:
    desk = Desk(storage, now)
    desk.poll([make_story(0)])
    desk.poll([make_story(1)])
    rows = storage.posts.list_recent(status="live")

    def ask(url: str, is_sure: bool) -> int:
        raise trouble

    look = LastLook(ask, {"front": timedelta()})
    assert look.judge(rows, desk.now).step == "ask"
    look.ask_all(desk.now)
    assert look.judge(rows, desk.now).step == "go"
