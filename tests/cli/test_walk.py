"""The walk typed by hand: init, check, poll, plan, preview, send-test, and readers from a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distributor.channels import load
from tests.cli.desk import LETTER, TELEGRAM, Folder, lately
from tests.walk.newsroom import FeedSite


def count_rows(path: Path) -> dict[str, int]:
    with sqlite3.connect(path) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}
    connection.close()
    return counts


# -- init and check ------------------------------------------------------------------------------------------


def test_a_new_newsroom_gets_a_configuration_and_keeps_its_own(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    done = folder.type("init")
    assert done.code == 0
    assert f"distributor check --config {folder.config}" in done.told
    folder.config.write_text("site: mine")
    done = folder.type("init")
    assert done.code == 3
    assert "already there and was left as it is" in done.told
    assert folder.config.read_text() == "site: mine"


def test_a_sound_configuration_is_called_so(folder: Folder) -> None:
    done = folder.type("check", "--no-online")
    assert done.code == 0
    assert done.told == "the configuration is sound\n"
    assert "warning: " in done.out, "the token is written out"


def test_a_template_that_would_fail_is_found_before_the_first_story(folder: Folder) -> None:
    template = folder.path / "templates" / "telegram" / "each.html"
    template.parent.mkdir(parents=True)
    template.write_text("{{ post.nonsense }}")
    done = folder.type("check", "--no-online", "--json")
    assert done.code == 1
    (problem,) = done.json["problems"]
    assert problem.startswith("schedule now-tg: ")
    assert "nonsense" in problem


def test_services_that_do_not_answer_are_problems(folder: Folder) -> None:
    done = folder.type("check", "--json")
    assert done.code == 1
    assert {problem.partition(":")[0] for problem in done.json["problems"]} == {"channel tg", "channel letter"}


# -- poll and plan -------------------------------------------------------------------------------------------


@pytest.fixture
def site() -> Iterator[FeedSite]:
    made = FeedSite()
    yield made
    made.close()


def test_polling_stores_what_is_new_and_sends_nothing(folder: Folder, site: FeedSite) -> None:
    site.publish(1, lately(30))
    folder.sources = ({"name": "front", "kind": "feed", "url": f"{site.url}/feed", "enrich": False},)
    folder.write_config()
    (first,) = folder.type("poll", "--json").json
    assert (first["source"], first["new"], first["history"], first["error"]) == ("front", 0, 1, "")
    site.publish(2, lately(0))
    done = folder.type("poll", "front")
    assert done.code == 0
    assert "polling front ..." in done.told
    assert [row["headline"] for row in folder.type("posts", "--status", "live", "--json").json] == [
        "Story number 2"
    ]
    assert folder.type("deliveries", "--json").json == []


def test_a_source_that_cannot_be_read_is_a_1_with_its_reason(folder: Folder) -> None:
    folder.sources = ({"name": "front", "kind": "feed", "url": "http://127.0.0.1:9/feed"},)
    folder.write_config()
    done = folder.type("poll", "--json")
    assert done.code == 1
    assert done.json[0]["error"]
    assert folder.type("status").code == 1
    done = folder.type("poll", "back")
    assert done.code == 1
    assert "there is no source 'back'; there are: front" in done.told


def test_the_forecast_shows_the_days_ahead_and_changes_nothing(busy: Folder) -> None:
    before = count_rows(busy.database)
    rows = busy.type("plan", "--days", "3", "--json").json
    assert [row["schedule"] for row in rows if row["due"] == "as published"] == ["now-tg"]
    mornings = [row for row in rows if row["schedule"] == "morning"]
    assert 3 <= len(mornings) <= 4
    assert all(row["local"].endswith("07:30") for row in mornings)
    assert count_rows(busy.database) == before


# -- preview -------------------------------------------------------------------------------------------------


def test_a_preview_is_shown_written_and_given_to_scripts_without_a_trace(busy: Folder) -> None:
    before = count_rows(busy.database)
    done = busy.type("preview", "tg")
    assert done.code == 0
    assert "Story number 2" in done.out, "the newest"
    page, text = busy.path / "letter.html", busy.path / "letter.txt"
    assert busy.type("preview", "letter", "--form", "digest", "--out", str(page)).told == f"written to {page}\n"
    assert "<html" in page.read_text()
    assert busy.type("preview", "letter", "--out", str(text)).code == 0
    assert "<html" not in text.read_text()
    shown = busy.type("preview", "letter", "--post", "1", "--schedule", "morning", "--json").json
    assert "Story number 1" in shown["text"]
    assert count_rows(busy.database) == before


def test_what_cannot_be_shown_is_told(busy: Folder) -> None:
    for words, sentence in (
        (["preview", "tq"], "there is no channel 'tq'; there are: tg, letter"),
        (["preview", "tg", "--post", "999"], "there is no such post"),
    ):
        done = busy.type(*words)
        assert (done.code, done.out) == (1, "")
        assert sentence in done.told
    assert busy.type("preview", "tg", "--form", "eech").code == 2


def test_without_stories_there_is_nothing_to_show(folder: Folder) -> None:
    done = folder.type("preview", "tg")
    assert done.code == 1
    assert "there are no posts yet; run: distributor poll" in done.told


# -- send-test -----------------------------------------------------------------------------------------------


@pytest.fixture
def chat() -> Iterator[Any]:
    with load("telegram", "sandbox").Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def wired(busy: Folder, chat: Any) -> Folder:
    busy.channels = ({**TELEGRAM, **chat.settings(), "allow": ["4711"]}, LETTER)
    busy.write_config()
    return busy


def test_a_test_goes_to_one_allowed_place_and_leaves_no_trace(wired: Folder, chat: Any) -> None:
    before = count_rows(wired.database)
    done = wired.type("send-test", "tg", "--to", "4711")
    assert done.code == 0, done.told
    (sight,) = chat.seen
    assert (sight.recipient, done.told) == ("4711", f"accepted: {sight.receipt}\n")
    assert count_rows(wired.database) == before


@pytest.mark.parametrize("to", ["@daily", "4712", "", "4711,4712"])
def test_a_test_can_go_nowhere_else(wired: Folder, chat: Any, to: str) -> None:
    done = wired.type("send-test", "tg", "--to", to)
    assert done.code == 1
    assert "is not allow-listed for tg; add it to the channel's `allow` (now: 4711)" in done.told
    assert chat.seen == []


def test_a_test_that_is_refused_says_why(wired: Folder, chat: Any) -> None:
    chat.script("closed")
    done = wired.type("send-test", "tg", "--to", "4711")
    assert done.code == 1
    assert "kicked" in done.told


# -- readers -------------------------------------------------------------------------------------------------


def test_readers_come_from_a_file_and_go_into_one(folder: Folder, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text(
        "email,name\na@example.org,Ann\nb@example.org,Ben\na@example.org,Ann again\nno address,Nobody\n"
    )
    done = folder.type("subscribers", "import", str(people), "--list", "readers")
    assert done.code == 1, "one line could not be read"
    assert "2 added to readers" in done.told
    assert f"{people}: line 5" in done.told
    assert folder.type("subscribers", "suppress", "b@example.org", "--reason", "asked by phone").code == 0
    assert folder.type("subscribers", "suppress", "nonsense").code == 1
    again = folder.type("subscribers", "import", str(people), "--list", "other")
    assert "1 added to other" in again.told
    out = tmp_path / "out.csv"
    assert folder.type("subscribers", "export", "--list", "readers", "--out", str(out)).code == 0
    assert out.read_text().count("@example.org") >= 2
    assert folder.type("subscribers", "export", "--list", "readers").out.splitlines()[0].startswith("email,")
    assert folder.type("subscribers", "suppress", "b@example.org", "--undo").told.startswith("1 may be")


def test_a_file_that_is_not_there_is_told(folder: Folder) -> None:
    done = folder.type("subscribers", "import", "/nowhere.csv", "--list", "readers")
    assert done.code != 0
    assert "/nowhere.csv" in done.told
