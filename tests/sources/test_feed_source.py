"""Polling a feed on a real socket: politely, only what changed, and with every answer a site can give."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.core.errors import SourceError
from distributor.core.source_state import PollResult, SourceState, back_off, read_http_seconds, rest
from distributor.sources import kinds, load, open_source, settings_model
from distributor.sources.feed.settings import Settings
from distributor.sources.feed.source import Source
from distributor.sources.fetch import Fetcher
from distributor.sources.reader import Reader
from distributor.sources.sandbox import NewsSite, Reply
from distributor.sources.sandbox_pages import Story
from tests.sources.conftest import NOW

MINUTES = timedelta(minutes=1)
HTML = {"Content-Type": "text/html"}


@pytest.fixture
def source(site: NewsSite, fetcher: Fetcher, reader: Reader) -> Source:
    for number in range(3):
        site.publish(
            Story(f"s{number}", f"Story {number}", "Summary.", section="World", published_at=NOW - number * MINUTES)
        )
    return Source(Settings(name="front", url=f"{site.url}/feed/"), fetcher, reader)


def poll(source: Source, state: SourceState | None = None, now: datetime = NOW) -> PollResult:
    return source.poll(state or SourceState(), now)


def test_the_first_poll_brings_everything(source: Source) -> None:
    result = poll(source)
    assert [post.headline for post in result.posts] == ["Story 2", "Story 1", "Story 0"]
    assert result.state.baseline_done and result.state.first_polled_at == NOW
    assert NOW + 2 * MINUTES <= (result.state.next_poll_at or NOW) <= NOW + 2.2 * MINUTES


@pytest.mark.parametrize("path", ["/feed/atom/", "/feed.json"])
def test_every_format_brings_the_same_stories(
    path: str, site: NewsSite, source: Source, fetcher: Fetcher, reader: Reader
) -> None:
    other = Source(Settings(name="front", url=site.url + path), fetcher, reader)
    assert [(p.guid, p.url, p.headline) for p in poll(other).posts] == [
        (p.guid, p.url, p.headline) for p in poll(source).posts
    ]


def test_both_validators_go_back_byte_for_byte_and_a_304_is_unchanged(source: Source, site: NewsSite) -> None:
    first = poll(source)
    second = poll(source, first.state)
    asked = site.calls[-1].headers
    assert second.is_unchanged and not second.posts
    assert (asked["if-none-match"], asked["if-modified-since"]) == (first.state.etag, first.state.last_modified)


def test_after_a_change_the_feed_is_read_again(source: Source, site: NewsSite) -> None:
    first = poll(source)
    site.correct("s1", headline="Story 1, corrected", updated_at=NOW + MINUTES)
    result = poll(source, first.state)
    assert not result.is_unchanged and result.posts[1].headline == "Story 1, corrected"
    assert poll(source, result.state).is_unchanged


def test_a_weakened_etag_is_not_sent_back_beside_a_date(source: Source, site: NewsSite) -> None:
    """WordPress wants both to match and compares the ETag as text: with W/ it would never answer 304."""
    site.weak_etags = True
    first = poll(source)
    assert first.state.etag.startswith("W/")
    assert poll(source, first.state).is_unchanged
    assert "if-none-match" not in site.calls[-1].headers and "if-modified-since" in site.calls[-1].headers


def test_an_equal_body_is_unchanged_without_any_validator(source: Source, site: NewsSite) -> None:
    site.has_validators = False
    first = poll(source)
    assert first.state.etag == "" and not first.is_unchanged
    assert poll(source, first.state).is_unchanged


class NeverReader(Reader):
    """A reading process that must not be needed."""

    def run(self, task: str, about: dict[str, object], body: bytes) -> object:
        raise AssertionError(f"{task} was parsed although nothing changed")


@pytest.mark.parametrize("has_validators", [True, False])
def test_what_did_not_change_is_never_parsed(
    has_validators: bool, source: Source, site: NewsSite, fetcher: Fetcher
) -> None:
    site.has_validators = has_validators
    first = poll(source)
    assert poll(Source(source.settings, fetcher, NeverReader()), first.state).is_unchanged
    assert site.calls[-1].headers.get("if-none-match", "") == first.state.etag


def test_a_304_that_nobody_asked_for_is_an_error(source: Source, site: NewsSite) -> None:
    site.answer_next("/feed/", Reply(304))
    with pytest.raises(SourceError, match="nothing was known"):
        poll(source)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(200, b"<html><title>Checking your browser</title>", HTML), "a web page .'Checking your browser'"),
        (Reply(200, b"", HTML), "empty page"),
        (Reply(401), "wants a login"),
        (Reply(403), "firewall"),
        (Reply(404), "check its url"),
        (Reply(429), "asked too often"),
        (Reply(500), "the site has a problem"),
        (Reply(503), "overloaded"),
        (Reply(206, b"<rss"), "that is no feed"),
        (Reply(200, b"<rss" * 100, {}, cut=50), "in the middle"),
    ],
)
def test_a_bad_answer_costs_one_poll_and_forgets_nothing(
    reply: Reply, reason: str, source: Source, site: NewsSite
) -> None:
    first = poll(source)
    site.answer_next("/feed/", reply)
    with pytest.raises(SourceError, match=reason):
        poll(source, first.state)
    assert poll(source, first.state).is_unchanged


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *(("120", 120.0), ("0", 0.0), ("9" * 400, 1e9), ("soon", None), ("-5", None), ("", None)),
        (format_datetime(NOW + 2 * MINUTES, usegmt=True), 120.0),
        (format_datetime(NOW - MINUTES, usegmt=True), 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(
    value: str, seconds: float | None, source: Source, site: NewsSite
) -> None:
    site.answer_next("/feed/", Reply(429, headers={"Retry-After": value} if value else {}))
    with pytest.raises(SourceError) as caught:
        poll(source)
    assert caught.value.retry_after == seconds


def test_gone_stops_a_source_until_its_address_changes(source: Source, site: NewsSite) -> None:
    site.answer_next("/feed/", Reply(410))
    with pytest.raises(SourceError, match="410 Gone") as caught:
        poll(source)
    state = back_off(SourceState(configured="https://a.example/"), "front", 2 * MINUTES, caught.value, NOW)
    assert state.is_gone and not state.is_due("https://a.example/", NOW + timedelta(days=999))
    assert state.is_due("https://b.example/", NOW)


def test_a_wish_of_the_site_slows_polling_down_within_bounds(source: Source, site: NewsSite) -> None:
    waits = []
    for wish in ("max-age=30", "public, max-age=600", "max-age=86400", "max-age=junk", "no-store"):
        site.headers["Cache-Control"] = wish
        state = poll(source).state
        waits.append(((state.next_poll_at or NOW) - NOW) // MINUTES)
    assert waits == [2, 10, 15, 2, 2]


def test_a_new_address_is_believed_after_three_polls(source: Source, site: NewsSite) -> None:
    site.put("/new", b"<rss version='2.0'><channel></channel></rss>")
    state = SourceState()
    used = []
    for number in range(5):
        site.answer_next("/feed/", Reply(301, headers={"Location": "/new"}))
        site.put("/new", f"<rss version='2.0'><channel><title>{number}</title></channel></rss>".encode())
        state = poll(source, state).state
        used.append(state.url)
    assert used == ["", "", site.url + "/new", site.url + "/new", site.url + "/new"]
    assert [call.path for call in site.calls[-2:]] == ["/new", "/new"]


def test_a_move_that_was_taken_back_is_forgotten(source: Source, site: NewsSite) -> None:
    site.put("/portal", b"<rss version='2.0'><channel></channel></rss>")
    site.answer_next("/feed/", *[Reply(301, headers={"Location": "/portal"})] * 2)
    state = poll(source).state
    state = poll(source, replace(state, body_hash="")).state
    assert state.moved_polls == 2
    assert poll(source, state).state.moved_polls == 0


def test_a_new_address_that_fails_is_doubted_and_the_old_one_tried(source: Source, site: NewsSite) -> None:
    state = replace(poll(source).state, url=site.url + "/nowhere", failures=5)
    result = poll(source, state)
    assert result.state.url == "" and result.state.failures == 0


def test_another_address_in_the_settings_is_another_source(source: Source) -> None:
    state = replace(poll(source).state, configured="https://old.example/feed")
    result = poll(source, state)
    assert not result.is_unchanged and len(result.posts) == 3


def test_an_empty_feed_is_no_baseline_but_a_first_look(source: Source, site: NewsSite) -> None:
    for number in range(3):
        site.withdraw(f"s{number}")
    state = poll(source).state
    assert not state.baseline_done and state.first_polled_at == NOW
    site.publish(Story("first", "The first story"))
    later = poll(source, state, NOW + MINUTES)
    assert later.state.baseline_done and later.state.first_polled_at == NOW


def test_settings_reach_the_posts(site: NewsSite, source: Source, fetcher: Fetcher, reader: Reader) -> None:
    site.publish(Story("plain", "No section"))
    own = Source(Settings(name="front", url=f"{site.url}/feed/", section="News", max_items=2), fetcher, reader)
    result = poll(own)
    assert [post.section for post in result.posts] == ["News", "World"]
    assert result.note == "the feed has 4 entries; only the first 2 were read"


def test_a_feed_made_to_hang_its_reader_costs_one_poll(site: NewsSite, source: Source, fetcher: Fetcher) -> None:
    """feedparser's pattern for addresses needs hours for an author of 200,000 letters."""
    author = "a" * 200_000
    body = f"<!DOCTYPE rss><rss version='2.0'><channel><item><author>{author}</author></item></channel></rss>"
    site.answer_next("/feed/", Reply(200, body.encode()))
    impatient = Reader(patience=2)
    with pytest.raises(SourceError, match="could not be read within 2 seconds"):
        poll(Source(source.settings, fetcher, impatient))
    assert len(poll(Source(source.settings, fetcher, impatient)).posts) == 3
    impatient.close()


states = st.builds(
    SourceState,
    **dict.fromkeys(
        ("configured", "url", "etag", "last_modified", "body_hash", "cursor", "moved_to", "error", "claimed_by"),
        st.text(max_size=20),
    ),
    **dict.fromkeys(("moved_polls", "failures"), st.integers(0, 99)),
    **dict.fromkeys(
        ("next_poll_at", "asked_at", "first_polled_at"), st.none() | st.datetimes(timezones=st.just(UTC))
    ),
    **dict.fromkeys(("baseline_done", "is_gone"), st.booleans()),
)


@given(states)
def test_a_state_comes_back_as_it_was_stored(state: SourceState) -> None:
    text = state.to_json()
    assert SourceState.from_json(text) == state
    assert SourceState.from_json(text + " ") == state, "read anew, not remembered"


@given(states)
def test_a_state_is_written_as_json_writes_it(state: SourceState) -> None:
    data = {field.name: getattr(state, field.name) for field in fields(state)}
    assert state.to_json() == json.dumps(data, sort_keys=True, default=datetime.isoformat)


@given(states)
def test_a_poll_that_worked_changes_nothing_but_times_and_failures(state: SourceState) -> None:
    rested = rest(state, "front", 2 * MINUTES, NOW)
    expected = replace(state, failures=0, error="", next_poll_at=rested.next_poll_at, asked_at=NOW)
    assert rested == expected


def test_a_state_is_read_right_after_thousands_of_others() -> None:
    for number in range(5000):
        SourceState(etag=str(number)).to_json()
    assert SourceState.from_json(SourceState(etag="0").to_json()).etag == "0"


def test_states_of_other_versions_are_read() -> None:
    assert SourceState.from_json("") == SourceState.from_json("{}") == SourceState()
    assert SourceState.from_json('{"etag": "x", "mood": 1}').etag == "x"


def test_waits_double_to_an_hour_and_success_ends_them() -> None:
    state, waits = SourceState(), []
    for _ in range(8):
        state = back_off(state, "front", 2 * MINUTES, SourceError("down"), NOW)
        waits.append(((state.next_poll_at or NOW) - NOW) / MINUTES)
    for wait, least in zip(waits, [4, 8, 16, 32, 60, 60, 60, 60], strict=True):
        assert least <= wait <= least * 1.1
    assert state.error == "down" and state.failures == 8
    state = rest(state, "front", 2 * MINUTES, NOW)
    assert state.failures == 0 and state.error == ""


@given(st.integers(0, 10_000), st.integers(0, 10**12) | st.none(), st.text(max_size=9))
def test_a_wait_is_never_shorter_than_asked_nor_longer_than_a_day(
    failures: int, after: int | None, name: str
) -> None:
    state = SourceState(failures=failures)
    got = back_off(state, name, 2 * MINUTES, SourceError("x", retry_after=after), NOW)
    wait = ((got.next_poll_at or NOW) - NOW).total_seconds()
    assert min(after or 0, 86_400) <= wait <= 86_400
    assert got == back_off(state, name, 2 * MINUTES, SourceError("x", retry_after=after), NOW)


def test_sources_are_spread_by_their_names() -> None:
    moments = {rest(SourceState(), f"source {number}", 10 * MINUTES, NOW).next_poll_at for number in range(20)}
    assert len(moments) == 20


@given(st.text(max_size=40))
def test_any_retry_after_is_read(value: str) -> None:
    seconds = read_http_seconds(value, NOW)
    assert seconds is None or seconds >= 0


def test_the_folder_listing_is_the_registry(fetcher: Fetcher) -> None:
    assert kinds()[:2] == ("feed", "wordpress")
    settings = settings_model("feed")(name="front", url="https://example.org/feed/")
    assert open_source(settings, fetcher).kind == load("feed").Source.kind == "feed"
    with pytest.raises(LookupError, match="no source kind 'gopher'; known: feed, wordpress"):
        load("gopher")
    with pytest.raises(LookupError):
        load("../feed")


def test_settings_have_the_documented_defaults() -> None:
    settings = Settings(name="front", url="https://example.org/feed/")
    assert (settings.kind, settings.every, settings.enrich, settings.max_items) == ("feed", 2 * MINUTES, True, 500)
    assert Settings.model_validate({"name": "a", "url": "http://a.example/", "every": "90s"}).every == 1.5 * MINUTES


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"url": "ftp://example.org/"}, "must begin with http"),
        ({"url": "https://me:secret@example.org/"}, "name and password"),
        ({"every": "0s"}, "greater than or equal"),
        ({"every": "8d"}, "less than or equal"),
        ({"every": "often"}, "not a length of time"),
        ({"evry": "2m"}, "Extra inputs"),
        ({"max_items": 0}, "greater than or equal"),
        ({"name": ""}, "at least 1 character"),
    ],
)
def test_mistakes_in_settings_are_named(change: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Settings.model_validate({"name": "front", "url": "https://example.org/feed/", **change})
