"""Deciding: release, drop, resolve, pause, resume. Each says what it did and refuses what is not there."""

from __future__ import annotations

import pytest

from distributor.core.planning import say_jump
from tests.cli.desk import Folder, lately
from tests.cli.test_look import lose_an_answer
from tests.desk import make_story
from tests.storage.scene import add_edition, states
from tests.storage.test_editions import make_edition


@pytest.fixture
def held(folder: Folder) -> list[int]:
    """Two held stories; their numbers."""
    from distributor.core.identity import judge

    with folder.open() as storage:
        now = lately()
        posts = [make_story(n, headline=f"EMBARGO: story {n}") for n in (1, 2)]
        stats = storage.posts.source_stats("front")
        storage.posts.apply_poll("front", "{}", judge([make_story(9)], {}, stats, now), {}, None, now)
        verdicts = judge(posts, {}, storage.posts.source_stats("front"), now)
        storage.posts.apply_poll("front", "{}", verdicts, {}, None, now)
        return storage.posts.list_held_ids()


def test_held_stories_are_released_and_dropped_by_number(folder: Folder, held: list[int]) -> None:
    assert len(folder.type("posts", "--held", "--json").json) == 2
    assert folder.type("posts", "release", str(held[0])).told == "released: 1\n"
    assert folder.type("posts", "drop", str(held[1])).told == "dropped: 1\n"
    done = folder.type("posts", "release", *map(str, held))
    assert done.code == 1
    assert "no held story has one of these numbers" in done.told


def test_all_held_stories_of_a_source_are_decided_at_once(folder: Folder, held: list[int]) -> None:
    assert folder.type("posts", "release", "--source", "wire").code == 1
    assert folder.type("posts", "drop", "--source", "front").told == "dropped: 2\n"


@pytest.mark.parametrize("words", ["posts release", "posts drop", "deliveries resolve --sent"])
def test_a_decision_about_nothing_is_typed_wrongly(busy: Folder, words: str) -> None:
    done = busy.type(*words.split())
    assert done.code == 2
    assert "by their numbers" in done.told


@pytest.mark.parametrize("flags", [[], ["--sent", "--resend"], ["--sent", "--resend", "--leave"]])
def test_an_unknown_delivery_needs_exactly_one_decision(busy: Folder, flags: list[str]) -> None:
    done = busy.type("deliveries", "resolve", "1", *flags)
    assert done.code == 2
    assert "choose one of --sent, --resend and --leave" in done.told


@pytest.mark.parametrize(("flag", "state"), [("--sent", "sent"), ("--resend", "queued"), ("--leave", "presumed")])
def test_an_unknown_delivery_is_settled_once(busy: Folder, flag: str, state: str) -> None:
    with busy.open() as storage:
        number = lose_an_answer(storage)
    assert busy.type("deliveries", "resolve", str(number), flag).code == 0
    (row,) = busy.type("deliveries", "--channel", "tg", "--json").json
    assert row["state"] == state
    done = busy.type("deliveries", "resolve", str(number), flag)
    assert done.code == 1
    assert "is unknown" in done.told


def test_of_several_numbers_only_what_is_unknown_is_settled(busy: Folder) -> None:
    with busy.open() as storage:
        numbers = [lose_an_answer(storage, "letter"), lose_an_answer(storage, "letter")]
    done = busy.type("deliveries", "resolve", "1", *map(str, numbers), "--sent")
    assert (done.code, done.told) == (0, "sent: 2\n")
    rows = {row["id"]: row["state"] for row in busy.type("deliveries", "--json").json}
    assert [rows[number] for number in numbers] == ["sent", "sent"]
    assert sorted(rows.values()) == ["queued", "queued", "sent", "sent"]


def test_many_unknown_deliveries_of_an_edition_are_settled_at_once(busy: Folder) -> None:
    with busy.open() as storage:
        lose_an_answer(storage, "letter")
        lose_an_answer(storage, "letter")
    assert busy.type("deliveries", "resolve", "--edition", "2", "--leave").told == "leave: 2\n"
    assert busy.type("deliveries", "resolve", "--edition", "2", "--leave").code == 1


def test_a_channel_is_paused_and_opened_again(busy: Folder) -> None:
    assert busy.type("pause", "tg", "--reason", "wrong headline").code == 0
    assert busy.type("status", "--json").json["paused"] == {"tg": "wrong headline"}
    assert busy.type("resume", "tg").code == 0
    assert busy.type("status").code == 0


def test_a_pause_needs_a_reason_and_a_channel_that_exists(busy: Folder) -> None:
    assert busy.type("pause", "tg").code == 2
    for words in (["pause", "tq", "--reason", "why"], ["resume", "tq"]):
        done = busy.type(*words)
        assert done.code == 1
        assert "there is no channel 'tq'; there are: tg, letter" in done.told


def park_one(busy: Folder, state: str, reason: str) -> int:
    """An edition for tg that could not be frozen."""
    with busy.open() as storage:
        now = lately(0)
        (post,) = [row.id for row in storage.posts.list_recent() if row.post.headline == "Story number 2"]
        number = storage.editions.add_edition(make_edition(post, now, channel="tg"), now)
        assert number is not None
        storage.editions.park(number, state, reason)
        return number


def test_a_parked_edition_is_released_or_given_up(busy: Folder) -> None:
    number = park_one(busy, "parked", "each.html:7: oops")
    assert busy.type("status").code == 1
    (row,) = busy.type("editions", "--state", "parked", "--json").json
    assert row["reason"] == "each.html:7: oops"
    assert busy.type("editions", "release", str(number)).told == "released: 1\n"
    assert busy.type("editions", "release", str(number)).code == 1
    assert busy.type("editions", "drop", str(number), "--reason", "wrong picture").code == 0
    assert busy.type("editions", "drop", str(number)).code == 1
    assert busy.type("status").code == 0


def test_an_edition_held_for_its_audience_says_how_many_it_is_let_go_for(busy: Folder) -> None:
    number = park_one(busy, "held", say_jump(5000, 1000))
    assert "is held: audience: 5,000 readers, the last one had 1,000" in busy.type("status").out
    told = busy.type("editions", "release", str(number)).told
    assert told == f"edition {number} goes to 5,000 readers, the last one had 1,000\nreleased: 1\n"


def test_what_is_late_can_be_given_up_and_then_nobody_is_needed(folder: Folder) -> None:
    with folder.open() as storage:
        number = add_edition(storage, lately(5))
        storage.recovery.hold_late(lately(0))
    assert folder.type("status").code == 1
    done = folder.type("editions", "drop", str(number), "--reason", "old news")
    assert done.code == 0
    assert "1 waiting deliveries" in done.told
    assert folder.type("status").code == 0
    with folder.open() as storage:
        assert states(storage) == {"skipped": 1}


def test_who_decided_stands_in_the_audit(busy: Folder) -> None:
    busy.type("pause", "tg", "--reason", "wrong headline")
    with busy.open() as storage:
        (notice,) = storage.reports.list_notices(level="audit")
    assert notice.text.endswith("paused tg: wrong headline")
    assert not notice.text.startswith(" ")
