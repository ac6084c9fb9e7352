"""Looking: tables for people, JSON for scripts, and an exit code that says whether somebody is needed."""

from __future__ import annotations

import pytest

from distributor.core.clicks import RULESET, ClickRow
from distributor.core.delivery import settle
from distributor.core.errors import Unknown
from distributor.core.sending import Batch, Settled
from distributor.storage import Storage
from tests.cli.desk import Folder, lately
from tests.storage.scene import add_edition


def lose_an_answer(storage: Storage, channel: str = "tg") -> int:
    """A delivery of this channel becomes unknown; returns its number."""
    batch = storage.ledger.claim(channel, limit=1, paces=(), fence="me", lease=900, now=lately(0.1))
    assert isinstance(batch, Batch)
    (item,) = batch.claimed
    storage.ledger.start([item.delivery_id], "me", lately(0.1))
    what = settle(Unknown("the connection broke", "reset"), 1, 20, 1)
    done = Settled(item.delivery_id, 1, lately(0.1), lately(0.1), what)
    storage.ledger.settle(channel, "me", [done], lately(0.1))
    return item.delivery_id


JSON_COMMANDS = {
    "status": dict,
    "posts": list,
    "posts --held": list,
    "posts --status live": list,
    "editions": list,
    "editions --state frozen --channel tg": list,
    "deliveries": list,
    "deliveries --state queued --edition 2": list,
    "report": list,
    "report --by slot --days 3": list,
    "links": list,
    "links --edition 1": list,
    "plan --days 2": list,
    "poll": list,
    "subscribers lists": list,
    "db check": dict,
    "check --no-online": dict,
}


@pytest.mark.parametrize("has_content", [True, False])
def test_json_is_json_with_and_without_content(folder: Folder, has_content: bool) -> None:
    if has_content:
        with folder.open() as storage:
            add_edition(storage, lately(0))
            add_edition(storage, lately(0), channel="letter", list_name="readers", number=2)
    for words, shape in JSON_COMMANDS.items():
        done = folder.type(*words.split(), "--json")
        assert done.code == 0, words + done.told
        assert isinstance(done.json, shape), words


def test_the_same_for_people_is_plain_text(busy: Folder) -> None:
    for words in JSON_COMMANDS:
        done = busy.type(*words.split())
        assert done.code == 0, words
        assert not done.out.startswith(("{", "[")), words


def test_deliveries_are_filtered_by_state_channel_and_edition(busy: Folder) -> None:
    assert len(busy.type("deliveries", "--json").json) == 4
    assert [row["channel"] for row in busy.type("deliveries", "--channel", "tg", "--json").json] == ["tg"]
    letters = busy.type("deliveries", "--edition", "2", "--json").json
    assert sorted(row["recipient"] for row in letters) == [f"reader{n}@example.org" for n in range(3)]
    assert busy.type("deliveries", "--state", "unknown", "--json").json == []
    assert len(busy.type("deliveries", "--limit", "2", "--json").json) == 2


def test_a_state_that_does_not_exist_is_a_mistake_and_not_an_empty_list(busy: Folder) -> None:
    """A script that asks for `unkown` must not read that all is well."""
    for words in ("deliveries --state unkown", "editions --state parkd", "posts --status hold", "report --by day"):
        done = busy.type(*words.split(), "--json")
        assert (done.code, done.out) == (2, "")


def test_numbers_beyond_what_a_database_counts_are_a_mistake_too(busy: Folder) -> None:
    for words in ("posts release", "editions drop", "deliveries resolve --sent"):
        assert busy.type(*words.split(), str(2**70)).code == 2


def test_while_all_is_well_nobody_is_needed(busy: Folder) -> None:
    done = busy.type("status", "--json")
    assert done.code == 0
    assert done.json == {
        "deliveries": {"letter": {"queued": 3}, "tg": {"queued": 1}},
        "paused": {},
        "processes": [],
        "needs": [],
        "notes": [],
    }


def test_status_says_which_processes_run_and_which_fell_silent(busy: Folder) -> None:
    with busy.open() as storage:
        storage.workers.beat("f1", "node1", 4711, "clock,worker", "0.1.0", lately(0.001))
        storage.workers.beat("f2", "node2", 4712, "worker", "0.1.0", lately(1))
    lines = [line.split() for line in busy.type("status").out.splitlines() if line.startswith("node")]
    assert sorted((one[0], one[1], one[2]) for one in lines) == [
        ("node1", "4711", "clock,worker"),
        ("node2", "4712", "worker"),
    ]
    assert [" ".join(one[-3:]) for one in lines if one[0] == "node2"] == ["taken for dead"]
    told = {one["process"]: one["is_dead"] for one in busy.type("status", "--json").json["processes"]}
    assert told == {"node1 4711": False, "node2 4712": True}


def test_status_says_what_is_stuck_why_and_what_to_type(busy: Folder) -> None:
    with busy.open() as storage:
        lose_an_answer(storage)
        storage.decisions.pause("letter", "wrong headline", "anna", lately(0))
    done = busy.type("status")
    assert done.code == 1
    for sentence in (
        "1 message may or may not have gone out on tg",
        "decide within",
        "distributor deliveries --state unknown --channel tg",
        "The channel letter is paused: wrong headline. 3 messages wait for its end.",
        "distributor resume letter --newest",
    ):
        assert sentence in done.out
    needs = busy.type("status", "--json").json["needs"]
    assert [one["level"] for one in needs] == ["alarm", "alarm"]


def test_clicks_are_reported_with_people_apart_from_machines(busy: Folder) -> None:
    from distributor.core.minting import MintedLink
    from tests.storage.test_editions import WORDS, make_edition

    with busy.open() as storage:
        now = lately(0.5)
        (post,) = [row.id for row in storage.posts.list_recent() if row.post.headline == "Story number 2"]
        number = storage.editions.add_edition(make_edition(post, now, channel="tg"), now)
        assert number is not None
        link = MintedLink("abcdefghijk", "k", "https://news.example/2", number, post, "article")
        storage.editions.freeze(number, WORDS, list_name="", revisions={}, links=[link], now=now)
        clicks = [ClickRow("abcdefghijk", now, klass, "why", RULESET) for klass in ("human", "human", "bot")]
        storage.links.add_clicks("journal", 10, clicks)
    (row,) = busy.type("report", "--by", "slot", "--json").json
    assert (row["slot"], row["people"], row["others"]) == ("article", 2, 1)
    (link_row,) = busy.type("links", "--post", str(post), "--json").json
    assert link_row["link"] == "https://go.example.org/l/abcdefghijk"
    assert (link_row["people"], link_row["headline"]) == (2, "Story number 2")
    assert "https://go.example.org/l/abcdefghijk" in busy.type("links").out


def test_the_lists_are_shown_with_their_members(busy: Folder) -> None:
    assert busy.type("subscribers", "lists", "--json").json == [{"list": "readers", "members": 3}]
