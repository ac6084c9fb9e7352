"""A WordPress site through its REST API: found, read, followed by modification time."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.core.errors import SourceError
from distributor.core.post import Image
from distributor.core.source_state import PollResult, SourceState
from distributor.sources.fetch import Fetcher
from distributor.sources.sandbox import NewsSite, Reply
from distributor.sources.sandbox_pages import Story
from distributor.sources.wordpress.parse import read_item
from distributor.sources.wordpress.settings import Settings
from distributor.sources.wordpress.source import Source
from tests.sources.conftest import NOW

MINUTE = timedelta(minutes=1)


@pytest.fixture
def source(site: NewsSite, fetcher: Fetcher) -> Source:
    return Source(Settings(name="front", url=f"{site.url}/"), fetcher)


def poll(source: Source, state: SourceState | None = None, now: datetime = NOW) -> PollResult:
    return source.poll(state or SourceState(), now)


def publish(site: NewsSite, count: int, start: int = 0, at: datetime = NOW) -> None:
    for number in range(start, start + count):
        site.publish(Story(f"s{number}", f"Story {number}", published_at=at + number * timedelta(seconds=1)))


def test_a_post_is_read_whole(source: Source, site: NewsSite) -> None:
    site.publish(
        Story(
            "fish",
            "Fish & <i>chips</i>",
            "Oil is up.",
            "<p onclick=x>Oil <a href='/oil'>is</a> up.<script>x</script></p>",
            byline="Jo",
            section="Food & Drink",
            tags=("chips", "oil"),
            image="https://example.org/fish.jpg",
            published_at=NOW - MINUTE,
            updated_at=NOW,
        )
    )
    [post] = poll(source).posts
    assert (post.guid, post.url, post.canonical_url) == (
        f"{site.url}/?p=1",
        f"{site.url}/news/fish/",
        f"{site.url}/news/fish/",
    )
    assert (post.headline, post.summary) == ("Fish & <i>chips</i>", "Oil is up.")
    assert post.body_html == f'<p>Oil <a href="{site.url}/oil" rel="noopener noreferrer">is</a> up.</p>'
    assert (post.byline, post.section, post.tags) == ("Jo", "Food & Drink", ("chips", "oil"))
    assert (post.published_at, post.updated_at) == (NOW - MINUTE, NOW)
    assert post.image == Image("https://example.org/fish.jpg")
    assert set(post.provenance.values()) == {"wordpress"}
    assert source.enrich(post, NOW) is post


def test_only_what_was_modified_comes_again(source: Source, site: NewsSite) -> None:
    publish(site, 5, at=NOW - timedelta(days=1))
    first = poll(source)
    assert len(first.posts) == 5 and first.state.baseline_done
    site.publish(Story("new", "New", published_at=NOW))
    second = poll(source, first.state)
    assert [post.headline for post in second.posts] == [
        "Story 0",
        "Story 1",
        "Story 2",
        "Story 3",
        "Story 4",
        "New",
    ]
    site.correct("s2", headline="Corrected", updated_at=NOW + MINUTE)
    third = poll(source, second.state, NOW + MINUTE)
    assert [post.headline for post in third.posts] == ["New", "Corrected"]
    assert poll(source, third.state, NOW + MINUTE).posts == ()


def test_the_window_overlaps_by_two_hours_in_utc(source: Source, site: NewsSite) -> None:
    """The hour that clocks repeat: a site compares local times."""
    publish(site, 1)
    poll(source, poll(source).state)
    assert site.calls[-1].query["modified_after"] == "2026-11-23T10:00:00Z"


def test_an_equal_answer_is_unchanged(source: Source, site: NewsSite) -> None:
    publish(site, 2)
    state = poll(source, poll(source).state).state
    assert poll(source, state).is_unchanged


def test_pages_are_turned_until_the_end(source: Source, site: NewsSite) -> None:
    state = poll(source).state
    publish(site, 250)
    result = poll(source, state, NOW + 10 * MINUTE)
    assert len(result.posts) == 250 and result.note == ""
    assert result.state.cursor == (NOW + timedelta(seconds=249)).isoformat()


def test_more_than_a_thousand_come_over_several_polls(source: Source, site: NewsSite) -> None:
    state = poll(source).state
    for number in range(1500):
        site.publish(Story(f"s{number}", f"S {number}", published_at=NOW + number * MINUTE))
    later = NOW + timedelta(days=2)
    first = poll(source, state, later)
    assert len(first.posts) == 1000 and "the rest is read at the next polls" in first.note
    seen = {post.guid for post in first.posts} | {post.guid for post in poll(source, first.state, later).posts}
    assert len(seen) == 1500


def test_a_post_that_slips_between_pages_is_looked_for_again(source: Source, site: NewsSite) -> None:
    state = poll(source).state
    publish(site, 150)
    listing = "/wp-json/wp/v2/posts"
    headers = {"X-WP-Total": "200", "X-WP-TotalPages": "2"}
    full = b"[" + b",".join([b'{"id":1,"modified_gmt":"2026-11-23T12:00:00"}'] * 100) + b"]"
    site.answer_next(listing, Reply(200, full, headers), Reply(200, b"[]", headers))
    result = poll(source, state, NOW + MINUTE)
    assert result.state.cursor == state.cursor
    assert len(poll(source, result.state, NOW + MINUTE).posts) == 150


def test_an_empty_site_has_no_history(source: Source, site: NewsSite) -> None:
    first = poll(source)
    assert not first.state.baseline_done and first.state.first_polled_at == NOW
    publish(site, 1, at=NOW + MINUTE)
    assert len(poll(source, first.state, NOW + 2 * MINUTE).posts) == 1


def test_a_site_whose_clock_is_ahead_hides_nothing(source: Source, site: NewsSite) -> None:
    site.publish(Story("ahead", "Ahead", published_at=NOW + timedelta(days=3)))
    state = poll(source).state
    publish(site, 1, at=NOW + MINUTE)
    assert "Story 0" in [post.headline for post in poll(source, state, NOW + 2 * MINUTE).posts]


def test_what_is_withdrawn_is_not_listed(source: Source, site: NewsSite) -> None:
    publish(site, 2)
    site.withdraw("s0")
    assert [post.headline for post in poll(source).posts] == ["Story 1"]


@pytest.mark.parametrize(
    "home",
    [
        Reply(200, b"<html><link rel='https://api.w.org/' href='/wp-json/' /></html>"),
        Reply(200, b'<html><link href="/?rest_route=/&amp;x=1" rel="https://api.w.org/"></html>'),
        Reply(200, b"<html></html>"),
        Reply(200, b"", {"Link": '</feed>; rel="alternate", </wp-json/>; rel="https://api.w.org/"'}),
    ],
)
def test_the_api_is_found_by_every_sign_of_it(home: Reply, source: Source, site: NewsSite) -> None:
    publish(site, 1)
    site.answer_next("/", home)
    assert len(poll(source).posts) == 1


def test_the_address_of_the_api_itself_will_do(site: NewsSite, fetcher: Fetcher) -> None:
    publish(site, 1)
    assert len(poll(Source(Settings(name="front", url=f"{site.url}/wp-json/"), fetcher)).posts) == 1


def test_the_api_is_looked_for_once_and_again_after_a_failure(source: Source, site: NewsSite) -> None:
    publish(site, 1)
    state = poll(source).state
    before = len(site.calls)
    poll(source, state)
    assert [call.path for call in site.calls[before:]] == ["/wp-json/wp/v2/posts"]
    poll(source, replace(state, url=site.url + "/old-api/", failures=1))
    assert [call.path for call in site.calls[-2:]] == ["/", "/wp-json/wp/v2/posts"]


def test_a_blocked_api_says_to_use_the_feed(source: Source, site: NewsSite) -> None:
    site.rest_is_blocked = True
    with pytest.raises(SourceError, match=r"401 \(rest_login_required\).*use kind: feed with url: http://.*/feed/"):
        poll(source)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(200, b"<html>challenge", {"Content-Type": "text/html"}), "with a page; use kind: feed"),
        (Reply(200, b'{"code":"x"}'), "with a page; use kind: feed"),
        (Reply(403, b"blocked by firewall"), "answered 403 to its REST API; use kind: feed"),
        (Reply(500, b'{"code":"internal_server_error"}'), r"answered 500 \(internal_server_error\)"),
        (Reply(410, b""), "it is gone"),
        (Reply(200, b'[{"id":1,"modified_gmt":"2001-01-01T00:00:00"}]'), r"older than 5\.7; use kind: feed"),
        (Reply(200, b"[" * 100_000), "use kind: feed"),
    ],
)
def test_a_bad_answer_costs_one_poll(reply: Reply, reason: str, source: Source, site: NewsSite) -> None:
    publish(site, 1)
    state = poll(source).state
    site.answer_next("/wp-json/wp/v2/posts", reply)
    with pytest.raises(SourceError, match=reason):
        poll(source, state)
    assert poll(source, state).is_unchanged


def test_a_site_that_is_no_wordpress_says_to_use_the_feed(source: Source, site: NewsSite) -> None:
    site.answer_next("/", Reply(200, b"<html>"), Reply(200, b"<html>"))
    with pytest.raises(SourceError, match="no WordPress REST API was found there; use kind: feed"):
        poll(source)


def test_busy_sites_are_obeyed(source: Source, site: NewsSite) -> None:
    publish(site, 1)
    state = poll(source).state
    site.answer_next("/wp-json/wp/v2/posts", Reply(503, headers={"Retry-After": "300"}))
    with pytest.raises(SourceError) as caught:
        poll(source, state)
    assert caught.value.retry_after == 300


WHOLE = {"id": 1, "status": "publish", "link": "https://e.example/a", "title": {"rendered": "T"}}


@pytest.mark.parametrize(
    "change",
    [
        {"status": "draft"},
        {"status": "private"},
        {"status": "future"},
        {"content": {"protected": True}},
        {"link": ""},
    ],
)
def test_what_readers_cannot_open_is_left_out(change: dict[str, object]) -> None:
    assert read_item(WHOLE, "https://e.example/", "front", "", NOW)
    assert read_item({**WHOLE, **change}, "https://e.example/", "front", "", NOW) is None


def test_embedded_errors_are_gaps() -> None:
    error = {"code": "rest_user_invalid_id", "message": "no", "data": {"status": 404}}
    embedded = {"author": [error], "wp:featuredmedia": [error], "wp:term": [[error], error]}
    post = read_item({**WHOLE, "_embedded": embedded}, "https://e.example/", "front", "News", NOW)
    assert post and (post.byline, post.image, post.section, post.guid) == (
        "",
        None,
        "News",
        "https://e.example/?p=1",
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["rendered", "name", "taxonomy", "author", "wp:term", "source_url"]), inner
        )
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*WHOLE, "content", "excerpt", "_embedded", "date_gmt", "guid"]), values))
def test_no_shape_of_an_answer_is_a_crash(item: dict[str, object]) -> None:
    read_item(item, "https://e.example/", "front", "", NOW)
    read_item({**WHOLE, "_embedded": item, "content": item}, "https://e.example/", "front", "", NOW)
