"""Counting into both databases, killed on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redirect_rig import TARGETS, Client, make_redirects, serving
from sqlalchemy import func, insert, select

from distributor.core.clicks import classify
from distributor.pipeline.track import Drained, Rules, drain
from distributor.storage.database import Database
from distributor.storage.links import Links
from distributor.storage.tables import click, click_hour, journal, link
from distributor.web.public.clicks import ClickFiles, ClickJournal
from distributor.web.public.redirect import LinkMap, Redirects
from distributor.web.public.traits import format_record, read_traits

HERE = Path(__file__).parent
AT = 1_795_428_000_000
RULES = Rules(classify, lambda day: b"salt")


@pytest.fixture
def database(ready_database_url: str) -> Iterator[Database]:
    made = Database(ready_database_url)
    rows = [
        {"slug": slug, "key": slug, "target": target, "schedule": "now", "channel": "tg", "slot": "article"}
        for slug, target in TARGETS.items()
    ]
    with made.write() as connection:
        connection.execute(insert(link), [{**row, "created_at": datetime.now(UTC)} for row in rows])
    yield made
    made.close()


def append_clicks(folder: Path, count: int) -> None:
    written = ClickJournal(folder)
    for number in range(count):
        traits = read_traits({b"user-agent": b"curl/%d" % number})
        written.append(format_record(AT + number, b"slug%07d" % (number % 50), b"GET", b"", traits))
    written.close()


def count_rows(database: Database) -> tuple[int, int, int]:
    """Clicks, clicks of the hours together, positions left."""
    with database.read() as connection:
        clicks = connection.execute(select(func.count()).select_from(click)).scalar_one()
        hours = connection.execute(select(func.sum(click_hour.c.count))).scalar_one()
        positions = connection.execute(select(func.count()).select_from(journal)).scalar_one()
    return clicks, int(hours or 0), positions


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", [1, 2, 5])
def test_a_kill_around_the_commit_counts_each_click_once(
    database: Database, ready_database_url: str, tmp_path: Path, when: str, call: int
) -> None:
    folder = tmp_path / "clicks"
    append_clicks(folder, 200)
    command = [sys.executable, str(HERE / "drain_rig.py"), ready_database_url, str(folder), when, str(call)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(HERE.parents[1])})
    assert done.returncode == -signal.SIGKILL
    drain(ClickFiles(folder), Links(database), RULES)
    assert count_rows(database) == (200, 200, 0)
    assert ClickFiles(folder).names() == []


def test_clicks_on_links_that_are_not_known_are_told_apart(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "clicks"
    append_clicks(folder, 3)
    written = ClickJournal(folder)
    written.append(format_record(AT, b"neverMinted", b"GET", b"", read_traits({})))
    written.close()
    assert drain(ClickFiles(folder), Links(database), RULES) == Drained(counted=3, unknown=1)
    assert count_rows(database) == (3, 3, 0)


def test_a_locked_database_delays_no_reader_and_loses_no_click(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "clicks"
    store = Links(database)
    links = LinkMap(store.find_target, store.list_targets, lambda: 0.0)
    redirects = Redirects(links, ClickJournal(folder), lambda: AT, beyond=make_redirects(tmp_path / "other").beyond)
    with database.write(), serving(redirects) as port, Client(port) as client:
        # Not in memory: looked up in the database that someone is writing to.
        for slug in list(TARGETS)[:3]:
            assert client.ask(f"/l/{slug}")[1]["location"] == TARGETS[slug]
        assert links.refresh() == len(TARGETS)
        assert client.ask("/l/slug0000009")[0] == 302
    redirects.journal.close()
    assert drain(ClickFiles(folder), store, RULES) == Drained(counted=4)
