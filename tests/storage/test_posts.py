"""Stories and their sources as the database keeps them. What a poll does with them: tests/pipeline/test_poll.py."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from distributor.core.identity import identity_keys
from distributor.core.post import Image, Post
from distributor.storage import Storage
from distributor.storage.post_rows import PostRow
from distributor.storage.tables import revision
from tests.desk import EVERY, Desk, make_plan, make_story
from tests.storage.scene import add_post


@pytest.fixture
def desk(storage: Storage, now: datetime) -> Desk:
    made = Desk(storage, now)
    made.open(make_plan())
    return made


def candidates(desk: Desk, schedule: str = "now-tg", **changes: object) -> list[PostRow]:
    beginning = desk.now - timedelta(days=30)
    given = {"started_at": beginning, "changed_since": beginning, "after_id": 0, "now": desk.now, **changes}
    return desk.storage.posts.list_candidates(schedule, **given)  # type: ignore[arg-type]


def numbers(rows: list[PostRow]) -> list[int]:
    return [int(row.post.url.rpartition("/")[2]) for row in rows]


def test_a_story_comes_back_as_it_was_stored(desk: Desk) -> None:
    story = make_story(
        1,
        headline="Нічні пороми — «вже» \U0001f6a2",
        byline="M. Lindqvist",
        body_html="<p>Four</p>",
        tags=("ferry", "річка"),
        published_at=desk.now,
        updated_at=desk.now + timedelta(microseconds=1),
        image=Image("https://img.example/1.jpg", "A ferry", 1200, 675),
        canonical_url="https://news.example/canonical/1",
        provenance={"byline": "json-ld"},
    )
    desk.poll([story])
    (row,) = desk.storage.posts.list_recent(status="live")
    assert row.post == story
    assert row.post.provenance == story.provenance


def test_every_revision_is_kept(desk: Desk) -> None:
    for words in ("", ", corrected", ", corrected twice"):
        desk.poll([make_story(1, headline=f"Story number 1{words}")])
    (row,) = desk.storage.posts.list_recent(status="live")
    with desk.storage.database.read() as connection:
        rows = connection.execute(select(revision).where(revision.c.post_id == row.id).order_by(revision.c.number))
        assert [found.number for found in rows] == [1, 2, 3]


def test_candidates_are_live_untold_and_newer_than_the_schedule(desk: Desk) -> None:
    desk.poll([make_story(1), make_story(2, headline="EMBARGO: later"), make_story(3)])
    assert numbers(candidates(desk)) == [3, 1]
    assert candidates(desk, started_at=desk.now + timedelta(seconds=1)) == []
    desk.plan(make_plan())
    assert candidates(desk) == []
    assert numbers(candidates(desk, "another")) == [3, 1]


def test_candidates_come_in_pages_that_neither_skip_nor_repeat(desk: Desk) -> None:
    for first in range(1, 21, 5):
        desk.poll([make_story(n) for n in range(first, first + 5)])
    desk.poll([make_story(7, summary="Corrected.")])
    found: list[int] = []
    since, last = desk.now - timedelta(days=1), 0
    while page := candidates(desk, changed_since=since, after_id=last, limit=3):
        found += numbers(page)
        since, last = page[-1].changed_at, page[-1].id
    assert sorted(found) == list(range(1, 21))
    assert found[-1] == 7


def test_stories_are_kept_in_the_order_they_were_published(desk: Desk) -> None:
    """Feeds list the newest first."""
    desk.poll([make_story(n, published_at=desk.now + n * timedelta(seconds=1)) for n in (3, 2, 1)])
    assert numbers(desk.storage.posts.list_recent()) == [3, 2, 1, 0]


def test_more_from_a_section_is_recent_and_leaves_out_what_is_told(desk: Desk) -> None:
    desk.poll([make_story(1), make_story(2, section="Sport"), make_story(3, headline="EMBARGO: later")])
    desk.poll([make_story(4)])
    told = [row.id for row in desk.storage.posts.list_recent() if row.post.url.endswith("/4")]
    find = desk.storage.posts.list_section
    assert numbers(find("World", desk.now, told, 5)) == [1, 0]
    assert numbers(find("World", desk.now, [], 1)) == [4]
    assert find("World", desk.now + timedelta(days=40), [], 5) == []
    assert find("Weather", desk.now, [], 5) == []


def test_what_is_usual_for_a_source_is_counted_over_polls_that_brought_something(desk: Desk) -> None:
    for numbers_now in ([], [1], [2, 3], [], [4, 5, 6]):
        desk.poll([make_story(n, published_at=desk.now) for n in numbers_now])
    stats = desk.storage.posts.source_stats("front")
    assert stats.median_new_per_poll == 2.0
    assert not stats.is_first_poll
    assert stats.newest_published_at == desk.now - EVERY
    assert desk.storage.posts.source_stats("nobody").is_first_poll


def test_a_source_that_was_never_polled_is_not_listed(desk: Desk) -> None:
    assert set(desk.storage.posts.load_sources()) == {"front"}


def test_a_key_belongs_to_its_source(desk: Desk) -> None:
    desk.poll([make_story(1)])
    keys = identity_keys(make_story(1))
    known = desk.storage.posts.find_known("front", keys)
    assert len({stored.post_id for stored in known.values()}) == 1
    assert desk.storage.posts.find_known("wire", keys) == {}


def test_thousands_of_keys_can_be_asked_at_once(desk: Desk) -> None:
    desk.poll([make_story(1)])
    keys = [f"guid:{n}" for n in range(5000)] + list(identity_keys(make_story(1)))
    assert len({one.post_id for one in desk.storage.posts.find_known("front", keys).values()}) == 1


def test_a_decision_about_held_stories_names_who_took_it(desk: Desk) -> None:
    desk.poll([make_story(1, headline="EMBARGO: one"), make_story(2, headline="EMBARGO: two")])
    first, second = desk.storage.posts.list_held_ids("front")
    assert desk.storage.posts.list_held_ids("wire") == []
    desk.storage.posts.release([first], "anna", desk.now)
    desk.storage.posts.drop([second], "anna", desk.now)
    texts = [notice.text for notice in desk.storage.reports.list_notices(level="audit")]
    assert texts == ["anna dropped 1 held posts", "anna released 1 held posts"]


def test_a_poll_is_written_whole_or_not_at_all(desk: Desk) -> None:
    """A story that the database refuses takes its whole poll back."""
    before = desk.storage.reports.count_by_status()
    with pytest.raises(Exception, match="surrogates not allowed"):
        desk.poll([make_story(1), make_story(2, headline="half a \ud83d letter")])
    assert desk.storage.reports.count_by_status() == before


def test_an_hour_without_a_zone_never_reaches_the_database(storage: Storage, now: datetime) -> None:
    with pytest.raises(Exception, match="without a zone"):
        storage.posts.note_failure("front", "{}", "x", None, now.replace(tzinfo=None))


def test_hours_come_back_to_the_microsecond(storage: Storage, now: datetime) -> None:
    exact = now + timedelta(microseconds=123_457)
    add_post(storage, exact)
    (row,) = storage.posts.list_recent()
    assert row.first_seen_at == exact
    assert candidates(Desk(storage, exact), changed_since=exact, after_id=row.id) == []
    assert len(candidates(Desk(storage, exact), changed_since=exact)) == 1


def test_a_story_without_dates_keeps_none(desk: Desk) -> None:
    desk.poll([Post("front", "g", "https://news.example/77", "Only a headline")])
    (row,) = desk.storage.posts.list_recent(status="live")
    assert (row.post.published_at, row.post.updated_at, row.ripe_at) == (None, None, desk.now)


def test_the_next_hour_is_that_of_the_next_story_that_waits_for_one(desk: Desk) -> None:
    began, now = desk.now - timedelta(days=1), desk.now
    assert desk.storage.posts.find_next_hour(began, now) is None
    hours = [now + timedelta(minutes=minutes) for minutes in (90, 30, 60)]
    desk.poll([make_story(number, published_at=hour) for number, hour in enumerate(hours, 1)])
    assert desk.storage.posts.find_next_hour(began, now) == hours[1]
    assert desk.storage.posts.find_next_hour(began, hours[1]) == hours[2]


def test_a_mark_differs_after_a_commit(storage: Storage, now: datetime) -> None:
    """A server has one for all its databases, so that only SQLite's stays when nothing was committed here."""
    mark = storage.database.read_mark()
    storage.posts.list_recent(status="live")
    assert not storage.database.is_sqlite or storage.database.read_mark() == mark
    add_post(storage, now)
    fresh = storage.database.read_mark()
    assert fresh != mark
    assert not storage.database.is_sqlite or storage.database.read_mark() == fresh
