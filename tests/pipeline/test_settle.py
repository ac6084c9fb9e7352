"""A new story may have to lie still for a while: what its source says meanwhile counts."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.core.identity import Known, SourceStats, judge
from distributor.core.post import content_hash
from distributor.pipeline.plan import Plan
from distributor.storage import Storage
from tests.desk import HOUR, Desk, make_plan, make_story
from tests.stories import NOW

MINUTE = timedelta(minutes=1)
SETTLE = 10 * MINUTE
AT_ONCE = make_plan()
READ_BEFORE = SourceStats(first_polled_at=NOW - 30 * HOUR)


@pytest.fixture
def desk(storage: Storage, now: datetime) -> Desk:
    desk = Desk(storage, now, settle=SETTLE)
    desk.open(AT_ONCE)
    return desk


def wait_and_plan(desk: Desk, length: timedelta, schedule: Plan = AT_ONCE) -> int:
    desk.now += length
    return desk.plan(schedule)


def test_a_new_story_goes_when_it_has_settled_and_not_before(desk: Desk) -> None:
    desk.poll([make_story(1)])
    assert desk.storage.posts.find_next_hour(desk.now, desk.now) == desk.now + SETTLE, "then the clock looks again"
    assert wait_and_plan(desk, SETTLE - 2 * timedelta(seconds=1)) == 0
    assert wait_and_plan(desk, timedelta()) == 1


def test_a_story_that_is_taken_back_while_it_settles_is_never_told(desk: Desk) -> None:
    desk.poll([make_story(1)])
    desk.plan(AT_ONCE)
    desk.poll([make_story(1, headline="DO NOT PUBLISH: Story number 1")], after=MINUTE)
    assert wait_and_plan(desk, SETTLE) == 0
    assert desk.planned() == []


def test_a_story_goes_in_the_words_it_has_settled_into(desk: Desk) -> None:
    desk.poll([make_story(1)])
    desk.plan(AT_ONCE)
    desk.poll([make_story(1, headline="Story number 1, corrected")], after=MINUTE)
    assert wait_and_plan(desk, SETTLE) == 1, "a correction does not make it wait anew"
    assert desk.planned() == ["Story number 1, corrected"]


def test_a_settled_story_is_no_later_than_one_that_went_at_once(desk: Desk) -> None:
    schedule = make_plan("quick", max_lateness=5 * MINUTE)
    desk.plan(schedule)
    desk.poll([make_story(1)])
    assert wait_and_plan(desk, SETTLE, schedule) == 1
    (row,) = desk.storage.reports.list_editions()
    assert (row.state, row.due_at) == ("planned", desk.now - timedelta(seconds=1))


def test_settling_makes_no_news_of_what_is_late(desk: Desk) -> None:
    """The program was off for three hours: that the story settles then does not make it fresh."""
    desk.poll([make_story(1, published_at=desk.now + MINUTE)], after=3 * HOUR)
    assert wait_and_plan(desk, SETTLE) == 1
    (row,) = desk.storage.reports.list_editions()
    assert row.state == "held"
    assert row.reason.startswith("late")


def test_what_an_editor_releases_does_not_settle_again(desk: Desk) -> None:
    held = make_story(1, headline="EMBARGOED UNTIL NOON: Story number 1")
    desk.poll([held])
    desk.storage.posts.release(desk.storage.posts.list_held_ids(), "anna", desk.now)
    desk.poll([held], after=timedelta(seconds=1))
    assert desk.plan(AT_ONCE) == 1


def test_a_story_that_misses_its_digest_by_settling_is_in_the_next(desk: Desk) -> None:
    hourly = make_plan("hourly", every="1h", form="digest", max_lateness=HOUR)
    desk.plan(hourly)
    desk.now = desk.now.replace(minute=50)
    desk.poll([make_story(1)], after=5 * MINUTE)
    assert wait_and_plan(desk, 6 * MINUTE, hourly) == 0, "55 past and ten minutes are after the hour"
    assert wait_and_plan(desk, HOUR, hourly) == 1


def test_without_a_wish_nothing_waits(storage: Storage, now: datetime) -> None:
    desk = Desk(storage, now)
    desk.open(AT_ONCE)
    desk.poll([make_story(1)])
    assert desk.plan(AT_ONCE) == 1


@given(
    ahead=st.integers(-120, 1000).map(lambda minutes: minutes * MINUTE),
    settle=st.integers(0, 1440).map(lambda minutes: minutes * MINUTE),
)
def test_a_new_story_waits_for_its_hour_and_for_its_settling(ahead: timedelta, settle: timedelta) -> None:
    story = make_story(1, published_at=NOW + ahead)
    (verdict,) = judge([story], {}, READ_BEFORE, NOW, settle)
    waits = max(ahead, settle)
    assert verdict.not_before == (NOW + waits if waits > timedelta() else None)


@given(ahead=st.integers(2, 1000), settle=st.integers(0, 1440))
def test_a_date_in_the_future_does_not_cut_settling_short(ahead: int, settle: int) -> None:
    """Each poll of a feed says the date again, and says it of a story that is known by now."""
    story = make_story(1, published_at=NOW + ahead * MINUTE)
    known = Known(1, content_hash(story), published_at=story.published_at, seen_at=NOW)
    (again,) = judge([story], {"guid:front-1": known}, READ_BEFORE, NOW + MINUTE, settle * MINUTE)
    assert again.kind in ("same", "alias")
    assert again.not_before == NOW + max(ahead, settle) * MINUTE
