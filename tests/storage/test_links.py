"""Tracked links and the clicks on them, counted exactly once."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from distributor.core.clicks import RULESET, ClickRow
from distributor.core.message import Content
from distributor.core.minting import MintedLink
from distributor.core.planning import EditionPlan
from distributor.storage import Storage
from tests.storage.scene import add_post


@pytest.fixture
def linked(storage: Storage, now: datetime) -> Storage:
    """One edition with an article link, a share button and the link that is shared on."""
    post_id = add_post(storage, now)
    plan = EditionPlan("k", "now-tg", "tg", "each", "Story number 1", now, None, (post_id,))
    edition_id = storage.editions.add_edition(plan, now)
    assert edition_id is not None
    links = [
        MintedLink(slug, f"{edition_id}:{slot}", f"https://news.example/{slot}", edition_id, post_id, slot)
        for slug, slot in (("aaa", "article"), ("bbb", "share_x"), ("ccc", "shared_x"))
    ]
    storage.editions.freeze(edition_id, Content({}), list_name="", revisions={}, links=links, now=now)
    return storage


def click(slug: str, at: datetime, klass: str = "human") -> ClickRow:
    return ClickRow(slug, at, klass, "a reason", RULESET)


def test_a_slug_leads_to_its_target_and_an_unknown_one_nowhere(linked: Storage) -> None:
    assert linked.links.find_target("aaa") == "https://news.example/article"
    assert linked.links.find_target("AAA") is None
    assert linked.links.find_target("") is None


def test_new_links_are_listed_once_each(linked: Storage) -> None:
    rows = linked.links.list_targets(0, limit=2)
    assert [slug for _, slug, _ in rows] == ["aaa", "bbb"]
    assert [slug for _, slug, _ in linked.links.list_targets(rows[-1][0])] == ["ccc"]
    assert linked.links.list_targets(10**6) == []


def test_clicks_are_counted_by_post_channel_edition_slot_and_schedule(linked: Storage, now: datetime) -> None:
    rows = [click("aaa", now), click("aaa", now, "bot"), click("bbb", now), click("ccc", now), click("ccc", now)]
    assert linked.links.add_clicks("j", 100, rows) == 5
    found = {
        by: [(one.label, one.human, one.other) for one in linked.reports.count_clicks(by)]
        for by in ("post", "channel", "edition", "slot", "schedule")
    }
    assert found == {
        "post": [("Story number 1", 4, 1)],
        "channel": [("tg", 4, 1)],
        "edition": [("tg: Story number 1", 4, 1)],
        "slot": [("shared_x", 2, 0), ("article", 1, 1), ("share_x", 1, 0)],
        "schedule": [("now-tg", 4, 1)],
    }


def test_clicks_and_the_place_in_the_journal_are_stored_together(linked: Storage, now: datetime) -> None:
    assert linked.links.position("j") == 0
    assert linked.links.add_clicks("j", 70, [click("aaa", now), click("nobody's", now)]) == 1
    assert linked.links.position("j") == 70
    with pytest.raises(Exception, match="without a zone"):
        linked.links.add_clicks("j", 140, [click("aaa", now), click("bbb", now.replace(tzinfo=None))])
    assert linked.links.position("j") == 70
    assert [row.human for row in linked.reports.count_clicks("channel")] == [1]
    linked.links.forget_journal("j")
    assert linked.links.position("j") == 0


def test_a_report_looks_back_as_far_as_it_is_asked(linked: Storage, now: datetime) -> None:
    linked.links.add_clicks("j", 1, [click("aaa", now - timedelta(days=40)), click("aaa", now)])
    assert linked.reports.count_clicks("slot", since=now - timedelta(days=30))[0].human == 1
    assert linked.reports.count_clicks("slot")[0].human == 2
    assert linked.reports.count_clicks("slot", edition_id=999) == []


def test_links_are_listed_with_their_readers(linked: Storage, now: datetime) -> None:
    linked.links.add_clicks("j", 1, [click("bbb", now), click("bbb", now, "scanner"), click("bbb", now, "preview")])
    rows = {row.slot: (row.slug, row.human, row.other, row.headline) for row in linked.reports.list_links()}
    assert rows["share_x"] == ("bbb", 1, 2, "Story number 1")
    assert rows["article"] == ("aaa", 0, 0, "Story number 1")
    assert linked.reports.list_links(post_id=999) == []
    assert len(linked.reports.list_links(limit=2)) == 2


def test_thousands_of_clicks_are_one_batch(linked: Storage, now: datetime) -> None:
    rows = [click(("aaa", "bbb", "ccc")[n % 3], now + timedelta(minutes=n)) for n in range(3000)]
    assert linked.links.add_clicks("j", 1, rows) == 3000
    assert sum(row.human for row in linked.reports.count_clicks("slot")) == 3000
