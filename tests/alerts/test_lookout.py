"""What a running program looks at, and the command that tries the ways."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from distributor.alerts import Alerts, Lookout, Losses
from distributor.app import App, read_settings
from distributor.channels.email.sandbox_smtp import SmtpSandbox
from distributor.core.alerting import Facts, find_troubles
from distributor.core.tally import take_counts
from distributor.storage import Storage
from distributor.web.public.clicks import ClickJournal
from tests.alerts.web_rig import Post, open_post
from tests.cli.desk import Folder
from tests.storage.scene import add_edition, add_post

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
AFTER = timedelta(minutes=15)


@pytest.fixture
def post() -> Iterator[Post]:
    with open_post() as opened:
        yield opened


def make_app(folder: Path, storage: Storage, now: datetime, **more: Any) -> App:
    desk = Folder(folder, sources=({"name": "front", "kind": "feed", "url": "http://127.0.0.1:1/feed"},))
    desk.write_config(**more)
    (folder / "var").mkdir(exist_ok=True)
    return App(read_settings(desk.config, {}), storage, lambda: now)


def find_keys(facts: Facts, now: datetime) -> list[str]:
    found = find_troubles(replace(facts, disk_free=1.0), now, AFTER)
    return [one.key for one in found]


def test_a_sound_newsroom_has_no_troubles(tmp_path: Path, storage: Storage) -> None:
    app = make_app(tmp_path, storage, NOW)
    facts = Lookout(app).gather()
    assert find_keys(facts, NOW) == []
    assert 0 < facts.disk_free <= 1


def test_what_a_newsroom_in_trouble_is_found_to_suffer_from(tmp_path: Path, storage: Storage) -> None:
    began = NOW - timedelta(days=1)
    storage.editions.start_schedules(["morning", "now-tg"], began)
    add_post(storage, began, 1)
    number = add_edition(storage, began, channel="tg", number=2)
    storage.posts.note_failure("front", "{}", "503", None, NOW)
    app = make_app(tmp_path, storage, NOW)
    found = find_keys(Lookout(app).gather(), NOW)
    assert {"unplanned morning", f"late {number}", "unread front"} == set(found)


def test_a_schedule_that_the_configuration_no_longer_has_is_not_expected(tmp_path: Path, storage: Storage) -> None:
    storage.editions.start_schedules(["gone"], NOW - timedelta(days=9))
    assert find_keys(Lookout(make_app(tmp_path, storage, NOW)).gather(), NOW) == []


def test_the_thread_tells_and_leaves_the_watch_to_others(tmp_path: Path, storage: Storage, post: Post) -> None:
    storage.editions.start_schedules(["morning"], NOW - timedelta(days=1))
    alerts = {"webhook": f"{post.url}/hook", "ping": f"{post.url}/ping"}
    running = Alerts(make_app(tmp_path, storage, NOW, alerts=alerts), grace=0, every=0.05)
    running.start()
    deadline = time.monotonic() + 20
    while len(post.asked) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    running.stop()
    assert [(method, path) for method, path, _ in post.asked] == [("POST", "/hook"), ("GET", "/ping")]
    assert "morning was due at 2026-11-23 05:30 UTC and has not even been planned" in post.texts[0]
    assert storage.alerts.take_watch("another", 60, NOW)


def test_each_way_is_tried_by_a_command(tmp_path: Path, post: Post) -> None:
    folder = Folder(tmp_path)
    with SmtpSandbox() as relay:
        mail = {"to": ["desk@example.org"], "from": "d@example.org", "host": "127.0.0.1", "tls": "none"}
        folder.write_config(
            alerts={"webhook": post.url, "ping": f"{post.url}/ping", "email": {**mail, "port": relay.port}}
        )
        typed = folder.type("alerts", "--test")
        assert (typed.code, typed.out) == (0, "")
        assert typed.told.splitlines() == ["webhook: delivered", "email: delivered", "ping: delivered"]
        assert relay.seen[0].subject == "[The Daily Example] a test"
        post.statuses = [403]
        typed = folder.type("alerts", "--test", "--json")
        assert typed.code == 1
        assert typed.json == {"webhook": "it answered 403", "email": "delivered", "ping": "delivered"}


def test_without_any_way_the_command_says_what_to_set(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write_config(alerts={})
    typed = folder.type("alerts", "--test")
    assert typed.code == 1
    assert "alerts.webhook" in typed.told


def test_what_is_wrong_is_listed(tmp_path: Path, sqlite_ready: Path) -> None:
    folder = Folder(tmp_path)
    folder.write_config()
    folder.make_database(sqlite_ready)
    assert folder.type("alerts").code == 0
    with folder.open() as storage:
        from distributor.core.alerting import Trouble

        storage.alerts.note([Trouble("disk", "8 % is free")], NOW)
    typed = folder.type("alerts")
    assert typed.code == 1
    assert "8 % is free" in typed.out
    assert json.loads(folder.type("alerts", "--json").out)[0]["key"] == "disk"


def test_clicks_that_a_full_disk_lost_reach_a_person(tmp_path: Path, storage: Storage) -> None:
    journal = ClickJournal(tmp_path / "clicks", write=refuse)
    lookout, now = Lookout(make_app(tmp_path, storage, NOW)), NOW
    take_counts()
    assert "clicks lost" not in find_keys(lookout.gather(), now)
    assert not journal.append(b"a\nb\nc\n", 3)
    # As each process does it; another one may be the watching one.
    storage.counters.add(take_counts())
    (found,) = [one for one in find_troubles(lookout.gather(), now, AFTER) if one.key == "clicks lost"]
    assert "3 clicks could not be written" in found.text
    journal.close()


def refuse(file: int, data: bytes) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_loss_is_told_for_a_quarter_of_an_hour() -> None:
    losses = Losses()
    grown = [losses.note(total, NOW + timedelta(minutes=at)) for at, total in ((0, 5), (1, 5), (2, 9), (16, 9))]
    assert grown == [0, 0, 4, 4]
    assert losses.note(9, NOW + timedelta(minutes=18)) == 0
