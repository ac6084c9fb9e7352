"""Polling with a source that says what it is told: what is new, what changed, what is held, what is remembered."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from distributor.core.errors import SourceError
from distributor.core.post import Post
from distributor.core.source_state import SourceState
from distributor.pipeline.poll import MOST_PAGES, Polled, poll
from distributor.storage import Storage
from distributor.storage.post_rows import PostRow
from tests.desk import EVERY, HOUR, Desk, ToldSource, make_plan, make_story


@pytest.fixture
def desk(storage: Storage, now: datetime) -> Desk:
    """A source with one old story."""
    made = Desk(storage, now)
    made.open(make_plan())
    return made


def find(desk: Desk, number: int) -> PostRow:
    """The one stored post of this story."""
    (row,) = [row for row in desk.storage.posts.list_recent(5000) if row.post.url.endswith(f"/{number}")]
    return row


def counts(polled: Polled) -> tuple[int, int, int, int]:
    return polled.new, polled.changed, polled.held, polled.history


def remembered(desk: Desk, name: str = "front") -> SourceState:
    return SourceState.from_json(desk.storage.posts.load_sources()[name].state)


def test_what_stands_in_a_feed_at_first_is_history(storage: Storage, now: datetime) -> None:
    desk = Desk(storage, now)
    assert counts(desk.poll([make_story(n) for n in range(50)])) == (0, 0, 0, 50)
    assert desk.statuses() == {"baseline": 50}
    assert desk.sources["front"].pages == [], "history is not worth the site's bandwidth"


def test_an_empty_feed_has_no_history_and_its_first_story_is_news(storage: Storage, now: datetime) -> None:
    desk = Desk(storage, now)
    desk.poll([])
    polled = desk.poll([make_story(1, published_at=desk.now + timedelta(minutes=1))])
    assert counts(polled) == (1, 0, 0, 0)


def test_a_new_story_is_stored_with_its_page_read_and_its_hour(desk: Desk) -> None:
    polled = desk.poll([make_story(1, published_at=desk.now), make_story(0)])
    assert counts(polled) == (1, 0, 0, 0)
    row = find(desk, 1)
    assert (row.status, row.revision, row.first_seen_at, row.sources) == ("live", 1, desk.now, ("front",))
    assert row.ripe_at == desk.now - EVERY
    assert desk.sources["front"].pages == ["https://news.example/1"]


def test_the_same_feed_again_changes_nothing(desk: Desk) -> None:
    posts = [make_story(1), make_story(2)]
    desk.poll(posts)
    before = desk.storage.posts.list_recent()
    assert counts(desk.poll(posts)) == (0, 0, 0, 0)
    assert desk.storage.posts.list_recent() == before
    assert len(desk.sources["front"].pages) == 2


def test_a_feed_that_says_unchanged_is_asked_again_at_its_time(desk: Desk) -> None:
    desk.sources["front"].is_unchanged = True
    assert desk.poll([]).is_unchanged
    row = desk.storage.posts.load_sources()["front"]
    assert (row.last_poll_at, row.last_ok_at, row.failures, row.error) == (desk.now, desk.now, 0, "")
    assert row.next_poll_at is not None
    assert row.next_poll_at >= desk.now + EVERY


@pytest.mark.parametrize("end", ["news", "quiet", "failure"])
def test_who_polled_claims_the_source_no_longer(desk: Desk, end: str) -> None:
    claimed = replace(remembered(desk), claimed_by="a process")
    told = ToldSource(posts=(make_story(1),), is_unchanged=end == "quiet")
    told.trouble = SourceError("away") if end == "failure" else None
    poll("front", told, EVERY, claimed, desk.storage.posts, told.enrich, desk.now)
    assert remembered(desk).claimed_by == ""


def test_a_changed_story_gets_a_revision_and_keeps_its_place(desk: Desk) -> None:
    desk.poll([make_story(1)])
    before = find(desk, 1)
    assert counts(desk.poll([make_story(1, headline="Story number 1, corrected")])) == (0, 1, 0, 0)
    row = find(desk, 1)
    assert (row.id, row.revision, row.post.headline) == (before.id, 2, "Story number 1, corrected")
    assert (row.first_seen_at, row.changed_at) == (before.first_seen_at, desk.now)
    assert row.ripe_at == before.ripe_at


def test_a_new_date_alone_is_no_revision(desk: Desk) -> None:
    desk.poll([make_story(1, published_at=desk.now)])
    assert counts(desk.poll([make_story(1, published_at=desk.now + HOUR / 60)])) == (0, 0, 0, 0)
    assert find(desk, 1).revision == 1


def test_a_story_with_another_id_or_address_is_the_same_story(desk: Desk) -> None:
    desk.poll([make_story(1)])
    assert counts(desk.poll([make_story(1, guid="another")])) == (0, 0, 0, 0)
    assert counts(desk.poll([make_story(1, guid="another", url="https://news.example/moved/1")])) == (0, 0, 0, 0)
    assert counts(desk.poll([make_story(1, guid="third", url="https://news.example/moved/1")])) == (0, 0, 0, 0)
    assert desk.statuses() == {"baseline": 1, "live": 1}


# -- too many at once ----------------------------------------------------------------------------------------


def test_three_thousand_stories_at_once_are_held_and_can_be_released(desk: Desk) -> None:
    polled = desk.poll([make_story(n) for n in range(1, 3001)])
    assert counts(polled) == (0, 0, 3000, 0)
    assert desk.statuses() == {"baseline": 1, "held": 3000}
    assert desk.plan(make_plan()) == 0
    assert desk.sources["front"].pages == []
    (notice,) = desk.storage.reports.list_notices(level="warning")
    assert notice.text == "front: 3000 stories are held (burst); see: distributor posts --held"
    ids = desk.storage.posts.list_held_ids("front")
    assert desk.storage.posts.release(ids[:2], "the editor", desk.now) == 2
    assert desk.plan(make_plan()) == 2


def test_a_busy_day_is_no_burst(desk: Desk) -> None:
    number = 0
    for count in (4, 4, 4, 12):
        posts = [make_story(number := number + 1) for _ in range(count)]
        assert counts(desk.poll(posts)) == (count, 0, 0, 0)
    posts = [make_story(number := number + 1) for _ in range(13)]
    assert counts(desk.poll(posts)) == (0, 0, 13, 0)


def test_no_more_pages_are_read_in_one_poll_than_is_polite(desk: Desk) -> None:
    for count in (5, 15, 30):
        desk.poll([make_story(1000 * count + n) for n in range(count)])
    assert desk.statuses() == {"baseline": 1, "live": 50}
    assert len(desk.sources["front"].pages) == 5 + 15 + MOST_PAGES


def test_a_site_that_changes_every_page_at_once_holds_what_is_live_and_leaves_history_alone(desk: Desk) -> None:
    """A new theme adds a word to each summary: nothing may go out because of it, least of all history."""
    for number in range(1, 9):
        desk.poll([make_story(number)])
    changed = [make_story(n, summary="By our own correspondent.") for n in range(9)]
    desk.poll(changed)
    assert desk.statuses() == {"baseline": 1, "held": 8}
    assert find(desk, 0).revision == 2


# -- not meant for readers yet -------------------------------------------------------------------------------


def test_a_story_under_embargo_is_held_until_the_words_are_gone(desk: Desk) -> None:
    assert counts(desk.poll([make_story(1, headline="EMBARGO: minister resigns")])) == (0, 0, 1, 0)
    assert desk.plan(make_plan()) == 0
    desk.poll([make_story(1, headline="Minister resigns")], after=HOUR)
    row = find(desk, 1)
    assert (row.status, row.revision, row.ripe_at) == ("live", 2, desk.now)
    assert desk.plan(make_plan()) == 1


def test_a_live_story_that_is_taken_back_by_its_words_is_held(desk: Desk) -> None:
    desk.poll([make_story(1)])
    desk.poll([make_story(1, headline="DO NOT PUBLISH: Story number 1")])
    assert (find(desk, 1).status, find(desk, 1).reason) == ("held", "words")
    assert desk.plan(make_plan()) == 0


def test_a_story_of_next_month_is_held_and_one_of_this_evening_waits(desk: Desk) -> None:
    evening = desk.now + timedelta(hours=5)
    polled = desk.poll(
        [make_story(1, published_at=evening), make_story(2, published_at=desk.now + timedelta(days=30))]
    )
    assert counts(polled) == (1, 0, 1, 0)
    assert find(desk, 1).ripe_at == evening
    assert find(desk, 2).reason == "future"


def test_a_dropped_story_stays_dropped_whatever_the_feed_says(desk: Desk) -> None:
    desk.poll([make_story(1, headline="EMBARGO: minister resigns")])
    assert desk.storage.posts.drop([find(desk, 1).id], "the editor", desk.now) == 1
    desk.poll([make_story(1, headline="Minister resigns")])
    desk.poll([make_story(1, headline="DO NOT PUBLISH: minister resigns")])
    assert find(desk, 1).status == "dropped"
    assert desk.storage.posts.release([find(desk, 1).id], "the editor", desk.now) == 0


def test_only_what_is_held_can_be_released_or_dropped(desk: Desk) -> None:
    desk.poll([make_story(1)])
    ids = [find(desk, 1).id, find(desk, 0).id, 999]
    assert desk.storage.posts.release(ids, "the editor", desk.now) == 0
    assert desk.storage.posts.drop(ids, "the editor", desk.now) == 0
    assert desk.statuses() == {"baseline": 1, "live": 1}


def test_a_released_story_is_not_late_however_long_it_was_held(desk: Desk) -> None:
    desk.poll([make_story(1, headline="EMBARGO: minister resigns")])
    desk.now += timedelta(days=40)
    desk.storage.posts.release(desk.storage.posts.list_held_ids(), "the editor", desk.now)
    assert desk.plan(make_plan()) == 1
    assert desk.storage.reports.list_editions()[0].state == "planned"


# -- one story, several sources ------------------------------------------------------------------------------


def wire(number: int, **fields: str) -> Post:
    """The story as the wire words it."""
    return make_story(number, "wire", summary=f"The wire's own words about {number}.", **fields)


@pytest.fixture
def two(desk: Desk) -> Desk:
    """The wire carries what front had, with its own words."""
    desk.poll([make_story(n) for n in (1, 2, 3)])
    desk.poll([wire(n) for n in range(4)], "wire")
    return desk


def test_a_story_of_two_sources_is_one_post(two: Desk) -> None:
    assert two.statuses() == {"baseline": 1, "live": 3}
    assert find(two, 1).sources == ("front", "wire")
    assert find(two, 1).post.summary == "What happened in story 1."


def test_two_sources_that_word_a_story_apart_make_no_revisions_and_read_no_pages(two: Desk) -> None:
    pages = len(two.sources["wire"].pages)
    for _ in range(3):
        two.poll([wire(n) for n in range(4)], "wire")
        two.poll([make_story(n) for n in (1, 2, 3)])
    assert {find(two, n).revision for n in (1, 2, 3)} == {1}
    assert len(two.sources["wire"].pages) == pages


def test_a_correction_is_seen_among_many_stories_that_another_source_words(desk: Desk) -> None:
    """What differs only because another source brought it first is no burst of changes."""
    for n in range(1, 13):
        desk.poll([make_story(n)])
    desk.poll([wire(n) for n in range(13)], "wire")
    desk.poll([wire(50), *(wire(n) for n in range(13))], "wire")
    polled = desk.poll([wire(50, headline="Story number 50, corrected"), *(wire(n) for n in range(13))], "wire")
    assert counts(polled) == (0, 1, 0, 0)
    assert (find(desk, 50).status, find(desk, 50).revision) == ("live", 2)


def test_a_source_that_only_repeats_others_has_had_its_first_poll(two: Desk) -> None:
    """Otherwise its first own story would be taken for history and never be sent."""
    assert counts(two.poll([wire(9), *(wire(n) for n in range(4))], "wire")) == (1, 0, 0, 0)


def test_what_one_source_holds_another_cannot_let_out(two: Desk) -> None:
    two.poll([make_story(7, headline="EMBARGO: minister resigns")])
    two.poll([wire(7, headline="Minister resigns")], "wire")
    two.poll([wire(7, headline="Minister resigns today")], "wire")
    assert find(two, 7).status == "held"


# -- a source in trouble -------------------------------------------------------------------------------------


def test_a_source_that_cannot_be_read_keeps_what_it_knew_and_says_why(desk: Desk) -> None:
    desk.poll([make_story(1)])
    before = remembered(desk)
    polled = desk.poll(SourceError("the site answers 503"))
    assert polled == Polled("front", error="the site answers 503")
    row = desk.storage.posts.load_sources()["front"]
    assert (row.error, row.failures, row.last_poll_at) == ("the site answers 503", 1, desk.now)
    assert row.last_ok_at == desk.now - EVERY
    after = remembered(desk)
    assert (after.first_polled_at, after.failures) == (before.first_polled_at, 1)
    assert counts(desk.poll([make_story(2), make_story(1)])) == (1, 0, 0, 0)
    assert desk.storage.posts.load_sources()["front"].error == ""
    assert remembered(desk).failures == 0


def test_a_source_in_trouble_is_asked_less_and_less_often(desk: Desk) -> None:
    waits = []
    for _ in range(8):
        desk.poll(SourceError("connection refused"))
        at = desk.storage.posts.load_sources()["front"].next_poll_at
        assert at is not None
        waits.append(at - desk.now)
    assert all(earlier < later for earlier, later in pairwise(waits[:5]))
    assert waits[0] > EVERY
    assert waits[-1] < timedelta(minutes=70)
    assert desk.storage.posts.load_sources()["front"].failures == 8


def test_a_site_that_names_a_time_is_obeyed(desk: Desk) -> None:
    desk.poll(SourceError("the site answers 429", retry_after=7200.0))
    assert not remembered(desk).is_due("", desk.now + timedelta(minutes=119))
    assert remembered(desk).is_due("", desk.now + timedelta(minutes=121))


def test_a_feed_that_is_gone_for_good_is_not_asked_again(desk: Desk) -> None:
    desk.poll(SourceError("the site answers 410", is_gone=True))
    assert not remembered(desk).is_due("", desk.now + timedelta(days=400))


def test_a_source_s_bug_is_that_source_s_trouble(desk: Desk) -> None:
    class Broken(ToldSource):
        def poll(self, state: SourceState, now: datetime) -> None:  # type: ignore[override]
            raise KeyError("oops")

    desk.sources["front"] = Broken()
    assert "KeyError" in desk.poll([]).error
    assert desk.storage.posts.load_sources()["front"].failures == 1


def test_a_stop_of_a_day_makes_stories_late_by_their_date_and_not_by_ours(desk: Desk) -> None:
    back = desk.now + timedelta(days=1)
    desk.poll([make_story(1, published_at=back - timedelta(hours=3))], after=timedelta(days=1))
    assert find(desk, 1).ripe_at == back - timedelta(hours=3)
    assert find(desk, 1).first_seen_at == back
