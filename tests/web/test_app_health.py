"""/healthz, /readyz and /metrics."""

from __future__ import annotations

import shutil
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, text, update

from distributor.app import read_clock
from distributor.core.alerting import Trouble
from distributor.core.clicks import ClickRow
from distributor.core.delivery import settle
from distributor.core.errors import Unknown
from distributor.core.message import Content
from distributor.core.minting import MintedLink
from distributor.core.planning import EditionPlan
from distributor.core.sending import Batch, Settled
from distributor.storage import Storage, join_stores
from distributor.storage.database import Database
from distributor.storage.settling import BREAKER
from distributor.storage.tables import channel, delivery, meta, worker
from distributor.web.metrics import make_label
from distributor.web.parts import ClickJournalState
from tests.storage.scene import add_edition, add_post
from tests.web.app_rig import KEY, NOW, Away, add_letter, dump, make_parts, serving

FAR = {"X-Forwarded-For": "203.0.113.9"}


def test_a_sound_process_is_ready(storage: Storage) -> None:
    with serving(make_parts(storage)) as browser:
        before = dump(storage)
        answer = browser.ask("/readyz")
        assert (answer.status, answer.json()) == (200, {"ready": True, "reasons": {}})
        assert answer.headers["content-type"] == "application/json"
        assert dump(storage) == before


@pytest.mark.parametrize(
    ("change", "name", "sentence"),
    [
        ({"is_starting": lambda: True}, "starting", "the program is still starting"),
        ({"is_draining": lambda: True}, "draining", "the program is stopping"),
        ({"disk_free": lambda: 0.031}, "disk", "3.1% of the disk is free"),
        ({"tick_age": lambda: timedelta(minutes=5)}, "clock", "the last tick was 300 seconds ago"),
        ({"checks": {"safe mode": lambda: "two copies of one database"}}, "safe mode", "two copies"),
    ],
)
def test_each_reason_not_to_be_ready_is_named(
    storage: Storage, change: dict[str, Any], name: str, sentence: str
) -> None:
    with serving(make_parts(storage, **change)) as browser:
        answer = browser.ask("/readyz")
        assert answer.status == 503
        assert list(answer.json()["reasons"]) == [name]
        assert sentence in answer.json()["reasons"][name]
        assert sentence in browser.ask("/").text.replace("&#x27;", "'")


def test_readiness_is_told_at_once_when_the_start_is_over(storage: Storage) -> None:
    starting = [True]
    with serving(make_parts(storage, is_starting=lambda: starting[0])) as browser:
        assert browser.ask("/readyz").status == 503
        starting.clear()
        starting.append(False)
        assert browser.ask("/readyz").status == 200


def test_a_process_without_a_clock_or_with_a_fresh_tick_is_ready(storage: Storage) -> None:
    for age in (None, timedelta(seconds=3)):
        with serving(make_parts(storage, tick_age=lambda age=age: age)) as browser:
            assert browser.ask("/readyz").status == 200


def test_a_database_of_another_version_is_not_ready(storage: Storage) -> None:
    with storage.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with serving(make_parts(storage)) as browser:
        answer = browser.ask("/readyz")
    assert answer.status == 503
    assert "newer than this program" in answer.json()["reasons"]["database"]


def test_a_plain_text_answer_says_what_to_do(storage: Storage) -> None:
    with serving(make_parts(storage)) as browser:
        assert browser.ask("/readyz", headers={"Accept": "text/plain"}).text == "ready\n"
    with serving(make_parts(storage, disk_free=lambda: 0.031)) as browser:
        answer = browser.ask("/readyz", headers={"Accept": "text/plain"})
    assert (answer.status, answer.headers["content-type"]) == (503, "text/plain; charset=utf-8")
    assert answer.text == "disk: 3.1% of the disk is free; it should be 5%; free some\n"


def test_in_safe_mode_nothing_is_ready(storage: Storage) -> None:
    with storage.database.write() as connection:
        connection.execute(insert(meta).values(key="safe_mode", value="a copy; type: distributor db adopt"))
    with serving(make_parts(storage)) as browser:
        answer = browser.ask("/readyz")
    assert (answer.status, list(answer.json()["reasons"])) == (503, ["safe mode"])
    assert "distributor db adopt" in answer.json()["reasons"]["safe mode"]


def add_process(storage: Storage, roles: str, age: timedelta) -> None:
    """A process that gave its last sign of life so long ago."""
    row = {"fence": roles, "host": "h", "process": 1, "roles": roles, "version": "1", "started_at": NOW}
    with storage.database.write() as connection:
        real = NOW if storage.database.is_sqlite else read_clock()
        connection.execute(insert(worker).values(**row, beat_at=real - age))


def test_where_nobody_sends_any_more_nothing_is_ready(storage: Storage) -> None:
    add_process(storage, "web", timedelta(seconds=1))
    add_process(storage, "clock,worker", timedelta(minutes=3))
    with serving(make_parts(storage)) as browser:
        told = browser.ask("/readyz").json()["reasons"]
        page = browser.ask("/metrics").text
    assert set(told) == {"no clock", "no worker"}
    assert told["no worker"].endswith("nothing is sent. distributor run --roles worker")
    found = read_samples(page)
    roles = ("web", "clock", "worker")
    assert [found[("processes", (("role", role),))] for role in roles] == [1, 0, 0]


def test_a_database_that_cannot_be_written_is_not_ready(tmp_path: Path, sqlite_ready: Path) -> None:
    path = tmp_path / "distributor.db"
    shutil.copyfile(sqlite_ready, path)
    database = Database(f"sqlite:///{path}", busy_seconds=0.05)
    storage = join_stores(database)
    assert storage.health.find_problem() == ""
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with serving(make_parts(storage)) as browser:
            answer = browser.ask("/readyz")
    finally:
        holder.close()
        storage.close()
    assert answer.status == 503
    assert "locked" in answer.json()["reasons"]["database"]


def test_strangers_learn_the_names_of_reasons_only() -> None:
    with serving(make_parts(Away(), console_token=KEY)) as browser:
        told = browser.ask("/readyz", headers=FAR)
        assert (told.status, told.json()["reasons"]) == (503, {"database": "not ready"})
        own = browser.ask("/readyz", headers={**FAR, "Authorization": f"Bearer {KEY}"})
        assert "secret-label" in own.json()["reasons"]["database"]


def test_being_alive_asks_nobody() -> None:
    with serving(make_parts(Away(), is_draining=lambda: True)) as browser:
        assert (browser.ask("/healthz").status, browser.ask("/healthz").text) == (200, "ok\n")


def read_samples(page: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name.removeprefix("distributor_"), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def make_unknown(storage: Storage, at: datetime) -> None:
    """The next delivery of the letter gets no answer, which is written down at that moment."""
    batch = storage.ledger.claim("letter", limit=1, paces=(), fence="me", lease=900, now=NOW)
    assert isinstance(batch, Batch)
    what = settle(Unknown("reset"), 1, 20, 1)
    storage.ledger.settle("letter", "me", [Settled(batch.claimed[0].delivery_id, 1, at, at, what)], at)


def test_metrics_say_what_is_in_the_database(storage: Storage) -> None:
    add_letter(storage)
    make_unknown(storage, NOW - timedelta(minutes=10))
    storage.decisions.pause("tg", "wrong headline", "the editor", NOW)
    storage.posts.note_failure("front", "{}", "503", None, NOW)
    storage.posts.apply_poll("other", "{}", [], {}, None, NOW - timedelta(seconds=90))
    journal = ClickJournalState(backlog=120, written=7, lost=1)
    parts = make_parts(
        storage, journal=lambda: journal, tick_age=lambda: timedelta(seconds=2), disk_free=lambda: 0.5
    )
    with serving(parts) as browser:
        answer = browser.ask("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = read_samples(answer.text)
    letter, tg = ("channel", "letter"), ("channel", "tg")
    assert found[("deliveries", (letter, ("state", "queued")))] == 2
    assert found[("unknown_deliveries", (letter,))] == 1
    assert found[("unknown_deliveries", (tg,))] == 0
    assert found[("oldest_delivery_age_seconds", (letter, ("state", "unknown")))] == 600
    assert found[("oldest_delivery_age_seconds", (tg, ("state", "unknown")))] == 0
    assert found[("editions", (letter, ("state", "frozen")))] == 1
    assert found[("accounting_mismatches", ())] == 0
    assert found[("channel_paused", (tg,))] == 1
    assert found[("channel_paused", (letter,))] == 0
    assert found[("source_failures", (("source", "front"),))] == 1
    assert found[("source_ok_age_seconds", (("source", "other"),))] == 90
    assert found[("posts", (("status", "held"),))] == 0
    assert found[("posts", (("status", "live"),))] == 1
    assert found[("click_journal_bytes", ())] == 120
    assert found[("click_journal_written_total", ())] == 7
    assert found[("click_journal_dropped_total", ())] == 1
    assert found[("tick_age_seconds", ())] == 2
    assert found[("disk_free_ratio", ())] == 0.5
    assert found[("database_up", ())] == 1


def test_clicks_are_totals_by_channel_and_class(storage: Storage) -> None:
    post_id = add_post(storage, NOW)
    plan = EditionPlan("k", "now-tg", "tg", "each", "Title", NOW, None, (post_id,))
    edition_id = storage.editions.add_edition(plan, NOW)
    assert edition_id
    link = MintedLink("slug1", "key1", "https://news.example/1", edition_id, post_id, "article")
    storage.editions.freeze(edition_id, Content({}), list_name="", revisions={}, links=[link], now=NOW)
    rows = [ClickRow("slug1", NOW, klass, "", 1, "", "", "") for klass in ("human", "human", "bot")]
    storage.links.add_clicks("j", 10, rows)
    with serving(make_parts(storage)) as browser:
        found = read_samples(browser.ask("/metrics").text)
    assert found[("clicks_total", (("channel", "tg"), ("class", "human")))] == 2
    assert found[("clicks_total", (("channel", "tg"), ("class", "bot")))] == 1


def test_metrics_say_what_all_processes_counted(storage: Storage) -> None:
    storage.counters.add(
        {("attempts", "tg", "busy"): 3, ("send_seconds", "tg"): 0.5, ("stories", "front", "alias"): 9}
    )
    storage.counters.add(
        {("attempts", "tg", "busy"): 1, ("recoveries", "unknown"): 2, ("lease_expiries", "queued"): 1}
    )
    with serving(make_parts(storage)) as browser:
        found = read_samples(browser.ask("/metrics").text)
    assert found[("attempts_total", (("channel", "tg"), ("result", "busy")))] == 4
    assert found[("send_seconds_total", (("channel", "tg"),))] == 0.5
    assert found[("stories_total", (("kind", "alias"), ("source", "front")))] == 9
    assert found[("recoveries_total", (("state", "unknown"),))] == 2
    assert found[("lease_expiries_total", (("state", "queued"),))] == 1


def test_metrics_say_how_the_installation_stands(storage: Storage) -> None:
    add_letter(storage)
    with storage.database.write() as connection:
        held = {"state": "held", "reason": "channel closed: 535 for editor@example.org"}
        connection.execute(update(delivery).values(held))
    storage.alerts.note([Trouble("disk", "8 % is free")], NOW)
    storage.decisions.pause("tg", "revoked", BREAKER, NOW)
    parts = make_parts(storage, lags=lambda: {"morning": 61.0}, paces=lambda: {("tg", "60 s"): 7.0})
    with serving(parts) as browser:
        found = read_samples(browser.ask("/metrics").text)
    assert found[("held_deliveries", (("channel", "letter"), ("reason", "channel closed")))] == 3
    assert found[("alerts", ())] == 1
    assert found[("channel_closed", (("channel", "tg"),))] == 1
    assert found[("channel_closed", (("channel", "letter"),))] == 0
    assert found[("schedule_lag_seconds", (("schedule", "morning"),))] == 61
    assert found[("pace_left", (("channel", "tg"), ("window", "60 s")))] == 7
    assert found[("safe_mode", ())] == 0
    assert found[("wal_bytes", ())] >= 0
    assert ("backup_age_seconds", ()) not in found


def test_the_page_is_valid_as_prometheus_reads_it(storage: Storage) -> None:
    add_letter(storage)
    with serving(make_parts(storage)) as browser:
        families = list(text_string_to_metric_families(browser.ask("/metrics").text))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    assert all(family.documentation and family.type in ("gauge", "counter") for family in families)


def test_no_label_holds_an_address_or_a_url(storage: Storage) -> None:
    for name in ("https://feeds.example/?key=secret", "editor@example.org", "a" * 300, 'q"\n\\'):
        storage.posts.note_failure(name, "{}", "503", None, NOW)
        with storage.database.write() as connection:
            connection.execute(insert(channel).values(name=name, is_paused=True))
    add_edition(storage, NOW, channel="@dailyexample")
    with serving(make_parts(storage)) as browser:
        found = read_samples(browser.ask("/metrics").text)
    labels = {value for _, pairs in found for _, value in pairs}
    assert labels
    assert not [value for value in labels if set(value) & set('@:/?&="\n\\') or len(value) > 80]


def test_labels_stay_apart_and_plain_names_stay_themselves() -> None:
    assert make_label("front page-2.sport") == "front page-2.sport"
    assert make_label("a@b") != make_label("a@c")
    assert make_label("a@b").startswith("name-")


def test_without_a_database_the_rest_is_still_measured() -> None:
    with serving(make_parts(Away(), disk_free=lambda: 0.25)) as browser:
        answer = browser.ask("/metrics")
    found = read_samples(answer.text)
    assert (answer.status, found[("database_up", ())], found[("disk_free_ratio", ())]) == (200, 0, 0.25)
    assert "secret-label" not in answer.text
