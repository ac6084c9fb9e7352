"""pause and resume as they are typed: what is said, in numbers, and what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.cli.desk import Folder, lately
from tests.cli.test_look import lose_an_answer
from tests.storage.scene import add_edition, add_readers, states


@pytest.fixture
def busy(folder: Folder) -> Folder:
    """Three readers, and an edition on each channel that is not late yet."""
    with folder.open() as storage:
        add_readers(storage, lately(0.6), 3)
        add_edition(storage, lately(0.6), channel="tg", number=1)
        add_edition(storage, lately(0.6), channel="letter", list_name="readers", number=1)
    return folder


def test_a_pause_says_how_many_messages_wait_for_its_end(busy: Folder) -> None:
    done = busy.type("pause", "letter", "--reason", "wrong headline", "--json")
    assert (done.code, done.told) == (0, "letter is paused; waiting: 3\n")
    assert done.json == {"paused": ["letter"], "waiting": {"letter": 3}}


def test_without_a_channel_all_are_paused_and_opened(busy: Folder) -> None:
    assert busy.type("pause", "--reason", "evacuation").told == (
        "tg is paused; waiting: 1\nletter is paused; waiting: 3\n"
    )
    assert busy.type("pause", "--reason", "again").told == "every channel is paused already\n"
    assert busy.type("resume").told == (
        "tg is open: 1 message of 1 edition goes out in order\n"
        "letter is open: 3 messages of 1 edition go out in order\n"
    )
    done = busy.type("resume")
    assert (done.code, done.told) == (0, "no channel is paused\n")


@pytest.mark.parametrize(
    ("flags", "mode", "state", "said"),
    [
        ([], "all", "queued", "3 messages of 1 edition go out in order"),
        (["--drop"], "drop", "skipped", "3 messages of 1 edition are skipped"),
        (["--newest"], "newest", "queued", "3 messages of 1 edition go out in order"),
        (["--spread", "10"], "spread", "queued", "3 messages of 1 edition go out over 10 minutes"),
        (["--review"], "review", "held", "3 messages of 1 edition are held for a person"),
    ],
)
def test_what_waited_is_decided_about_in_numbers(
    busy: Folder, flags: list[str], mode: str, state: str, said: str
) -> None:
    busy.type("pause", "letter", "--reason", "wrong headline")
    done = busy.type("resume", "letter", *flags, "--json")
    assert done.told == f"letter is open: {said}\n"
    assert [row["mode"] for row in done.json] == [mode]
    found = busy.type("deliveries", "--channel", "letter", "--json").json
    assert [row["state"] for row in found] == [state] * 3
    with busy.open() as storage:
        assert storage.reports.list_notices(level="audit")[0].text.endswith(f"resumed letter: {said}")


def test_two_wishes_at_once_are_refused_before_anything_is_done(busy: Folder) -> None:
    busy.type("pause", "letter", "--reason", "wrong headline")
    done = busy.type("resume", "letter", "--drop", "--review")
    assert done.code == 2
    assert "choose one of" in done.told
    assert busy.type("resume", "letter", "--spread", "0").code == 2
    with busy.open() as storage:
        assert states(storage) == {"queued": 4}


def test_an_open_channel_is_not_opened_again(busy: Folder) -> None:
    done = busy.type("resume", "letter", "--drop")
    assert done.code == 1
    assert "letter is not paused" in done.told
    with busy.open() as storage:
        assert states(storage) == {"queued": 4}


def test_all_unknown_ones_of_an_edition_are_settled_at_once_and_the_time_left_is_shown(busy: Folder) -> None:
    with busy.open() as storage:
        numbers = [lose_an_answer(storage, "letter"), lose_an_answer(storage, "letter")]
    rows = busy.type("deliveries", "--state", "unknown", "--json").json
    assert all(row["decide_by"] > row["changed_at"] for row in rows)
    assert "decide by" in busy.type("deliveries", "--state", "unknown").out
    done = busy.type("deliveries", "resolve", "--all-of", "2", "--leave", "--json")
    assert done.json == {"decision": "leave", "deliveries": sorted(numbers)}


def test_why_something_is_held_stands_beside_it(busy: Folder) -> None:
    with busy.open() as storage:
        add_edition(storage, lately(5), number=5, lateness=timedelta(hours=1))
        storage.recovery.hold_late(lately(0))
    assert "late" in busy.type("deliveries", "--state", "held").out
