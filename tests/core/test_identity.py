"""New, known, changed, history or held: what judging decides, poll after poll."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.core.hold_words import find_hold_words
from distributor.core.identity import Known, SourceStats, Verdict, identity_keys, judge, normalise_link
from distributor.core.post import Post

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def make_story(number: int, **changes: object) -> Post:
    story = Post(
        source="front",
        guid=f"https://example.org/?p={number}",
        url=f"https://example.org/news/story-{number}/",
        headline=f"Story number {number}",
        summary=f"What happened in {number}.",
        published_at=NOW - timedelta(minutes=number),
    )
    return replace(story, **changes)


@dataclass
class Newsstand:
    """The smallest store that polling needs: what the poll step and the database do, in memory."""

    posts: dict[int, Known] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    sent: list[Post] = field(default_factory=list)
    corrected: list[Post] = field(default_factory=list)
    first_polled_at: datetime | None = None
    median: float = 0.0

    def poll(self, posts: Sequence[Post], now: datetime = NOW) -> list[Verdict]:
        known = {key: self.posts[post_id] for key, post_id in self.keys.items()}
        dates = [stored.published_at for stored in self.posts.values() if stored.published_at]
        stats = SourceStats(not self.posts, self.first_polled_at, self.median, max(dates, default=None))
        verdicts = judge(posts, known, stats, now)
        self.first_polled_at = self.first_polled_at or now
        for verdict in verdicts:
            self._apply(verdict)
        return verdicts

    def _apply(self, verdict: Verdict) -> None:
        if verdict.kind == "same" and verdict.post_id is None:
            return
        post_id = verdict.post_id or len(self.posts) + 1
        for key in verdict.keys:
            assert self.keys.setdefault(key, post_id) == post_id
        held = verdict.reason if verdict.kind in ("held", "changed") else ""
        if verdict.kind in ("new", "released"):
            self.sent.append(verdict.post)
        if verdict.kind == "changed" and not verdict.reason:
            self.corrected.append(verdict.post)
        if verdict.kind in ("same", "alias"):
            held = self.posts[post_id].held
        self.posts[post_id] = Known(post_id, verdict.content_hash, held, verdict.post.published_at)


def kinds(verdicts: Sequence[Verdict]) -> list[str]:
    return [verdict.kind for verdict in verdicts]


@pytest.fixture
def stand() -> Newsstand:
    """A source that was read once: stories 0 to 9 are its history."""
    stand = Newsstand()
    stand.poll([make_story(number) for number in range(10)], NOW - timedelta(hours=1))
    return stand


def test_the_first_poll_is_history_and_sends_nothing() -> None:
    stand = Newsstand()
    assert set(kinds(stand.poll([make_story(number) for number in range(200)]))) <= {"baseline"}
    assert stand.sent == []


def test_a_new_story_is_new_once(stand: Newsstand) -> None:
    feed = [make_story(20), *map(make_story, range(9))]
    assert kinds(stand.poll(feed)) == ["new"] + ["same"] * 9
    assert kinds(stand.poll(feed)) == ["same"] * 10


def test_a_changed_story_is_a_correction_once(stand: Newsstand) -> None:
    feed = [make_story(3, headline="Story number three, corrected")]
    assert kinds(stand.poll(feed)) == ["changed"]
    assert kinds(stand.poll(feed)) == ["same"]
    assert stand.sent == []


def test_a_new_date_alone_is_no_correction(stand: Newsstand) -> None:
    assert kinds(stand.poll([make_story(3, published_at=NOW, updated_at=NOW)])) == ["same"]
    assert kinds(stand.poll([make_story(3, published_at=NOW - timedelta(days=2))])) == ["alias"]


def test_an_empty_first_poll_is_no_history_for_what_comes_after() -> None:
    stand = Newsstand()
    stand.poll([], NOW - timedelta(hours=1))
    verdicts = stand.poll([make_story(1), make_story(2, published_at=NOW - timedelta(days=2))])
    assert kinds(verdicts) == ["new", "baseline"]


def test_a_thousand_new_stories_at_once_are_held_all_of_them(stand: Newsstand) -> None:
    verdicts = stand.poll([make_story(number, published_at=NOW) for number in range(100, 3100)])
    assert {(verdict.kind, verdict.reason) for verdict in verdicts} == {("held", "burst")}
    assert "3000 new stories came at once" in verdicts[0].note


@pytest.mark.parametrize(("median", "count", "sent"), [(0, 5, 5), (0, 6, 0), (4, 12, 12), (4, 13, 0)])
def test_a_burst_is_more_than_thrice_the_usual_and_more_than_five(
    stand: Newsstand, median: float, count: int, sent: int
) -> None:
    stand.median = median
    stand.poll([make_story(number, published_at=NOW) for number in range(100, 100 + count)])
    assert len(stand.sent) == sent


def test_a_wave_of_changes_is_held_too() -> None:
    stand = Newsstand()
    stand.poll(stories := [make_story(number) for number in range(50)], NOW)
    verdicts = stand.poll([replace(story, summary=story.summary + " Subscribe now!") for story in stories])
    assert {(verdict.kind, verdict.reason) for verdict in verdicts} == {("changed", "burst")}
    assert stand.corrected == []


@pytest.mark.parametrize(
    ("ahead", "kind"), [(timedelta(minutes=30), "new"), (timedelta(hours=24), "new"), (timedelta(hours=25), "held")]
)
def test_a_story_from_the_future_waits_or_is_held(stand: Newsstand, ahead: timedelta, kind: str) -> None:
    [verdict] = stand.poll([make_story(20, published_at=NOW + ahead)])
    assert (verdict.kind, verdict.not_before) == (kind, NOW + ahead)


def test_a_far_date_that_came_near_is_released_by_itself(stand: Newsstand) -> None:
    story = make_story(20, published_at=NOW + timedelta(days=3))
    assert stand.poll([story])[0].reason == "future"
    assert kinds(stand.poll([story])) == ["same"]
    [verdict] = stand.poll([story], NOW + timedelta(days=2, hours=1))
    assert (verdict.kind, verdict.not_before) == ("released", story.published_at)


def test_hold_words_hold_and_their_going_releases(stand: Newsstand) -> None:
    assert stand.poll([make_story(20, headline="PREP: The mayor retires")])[0].reason == "words"
    assert stand.sent == []
    [verdict] = stand.poll([make_story(20, headline="The mayor retires")])
    assert (verdict.kind, verdict.is_changed) == ("released", True)


def test_a_correction_that_says_do_not_publish_is_held(stand: Newsstand) -> None:
    [verdict] = stand.poll([make_story(3, headline="DO NOT PUBLISH Story number 3")])
    assert (verdict.kind, verdict.reason) == ("changed", "words")


@pytest.mark.parametrize("age", [timedelta(days=8), timedelta(days=400)])
def test_an_old_story_that_turns_up_is_history(stand: Newsstand, age: timedelta) -> None:
    assert kinds(stand.poll([make_story(20, published_at=NOW - age)])) == ["old"]


def test_a_story_without_a_date_is_new(stand: Newsstand) -> None:
    assert kinds(stand.poll([make_story(20, published_at=None)])) == ["new"]


def test_two_stories_with_one_guid_and_their_own_links_are_two(stand: Newsstand) -> None:
    feed = [make_story(20, guid="1"), make_story(21, guid="1")]
    assert kinds(stand.poll(feed)) == ["new", "new"]
    assert kinds(stand.poll(feed)) == ["same", "same"]
    stand.poll(feed[1:])
    assert len(stand.sent) == 2 and not stand.corrected


def test_an_id_that_is_used_again_does_not_overwrite_the_older_story(stand: Newsstand) -> None:
    later = make_story(20, guid="https://example.org/?p=3", published_at=NOW + timedelta(days=2))
    assert kinds(stand.poll([later], NOW + timedelta(days=2))) == ["new"]
    assert kinds(stand.poll([later], NOW + timedelta(days=2))) == ["same"]


def test_a_feed_where_everything_has_one_guid_and_one_link_tells_each_story_once(stand: Newsstand) -> None:
    feed = [make_story(number, guid="0", url="https://example.org/", published_at=None) for number in (20, 21, 22)]
    assert kinds(stand.poll(feed)) == ["new"] * 3
    assert kinds(stand.poll(feed)) == ["same"] * 3
    assert (
        kinds(stand.poll([make_story(23, guid="0", url="https://example.org/"), *feed])) == ["new"] + ["same"] * 3
    )


def test_stories_without_guids_are_known_by_link(stand: Newsstand) -> None:
    feed = [make_story(number, guid="") for number in (20, 21)]
    assert kinds(stand.poll(feed)) == ["new", "new"]
    assert kinds(stand.poll([replace(feed[0], headline="Another headline"), feed[1]])) == ["changed", "same"]


def test_one_story_listed_twice_is_one(stand: Newsstand) -> None:
    twice = [make_story(20), make_story(20), make_story(20, guid="other")]
    assert kinds(stand.poll(twice)) == ["new", "same", "same"]
    assert kinds(stand.poll(twice[::-1])) == ["same"] * 3


def test_same_headline_and_day_are_two_stories_when_both_are_in_the_feed(stand: Newsstand) -> None:
    letters = [make_story(number, headline="Letters", published_at=NOW) for number in (20, 21)]
    assert kinds(stand.poll(letters)) == ["new", "new"]
    assert kinds(stand.poll(letters)) == ["same", "same"]
    assert kinds(stand.poll([make_story(22, headline="Letters", published_at=NOW), *letters])) == [
        "new",
        "same",
        "same",
    ]


def test_ids_that_are_dealt_anew_follow_link_and_headline(stand: Newsstand) -> None:
    dealt = [make_story(number, guid=f"https://example.org/?p={(number + 1) % 10}") for number in range(10)]
    assert set(kinds(stand.poll(dealt))) == {"same"}


MIGRATIONS = {
    "http becomes https": {"guid": ("https://", "http://"), "url": ("https://", "http://")},
    "www appears": {"guid": ("example.org", "www.example.org"), "url": ("example.org", "www.example.org")},
    "another domain": {"guid": ("example.org", "new.example"), "url": ("example.org", "new.example")},
    "guids become links": {"guid": ("?p=", "news/story-")},
    "guids become numbers": {"guid": ("https://example.org/?p=", "")},
    "slugs change": {"url": ("/news/story-", "/2026/11/")},
    "links get parameters": {"url": ("/news/", "/news/?utm_source=rss&fbclid=1&x=")},
    "slugs and ids change": {"url": ("/news/story-", "/a/"), "guid": ("?p=", "?page_id=9")},
    "links lose their slash and gain a fragment": {"url": ("/news/story-", "/news/../news/story-")},
    "ids are gone": {"guid": ("https://example.org/?p=", "")},
}


def migrate(story: Post, rules: dict[str, tuple[str, str]]) -> Post:
    return replace(story, **{name: getattr(story, name).replace(*rule) for name, rule in rules.items()})


@pytest.mark.parametrize("name", MIGRATIONS)
@pytest.mark.parametrize("length", [4, 10, 200])
@pytest.mark.parametrize("dates", ["kept", "all new", "gone"])
def test_a_feed_that_moves_house_sends_nothing(name: str, length: int, dates: str) -> None:
    stand = Newsstand()
    stories = [make_story(number) for number in range(10)]
    stand.poll(stories, NOW - timedelta(hours=2))
    moved = [migrate(make_story(number), MIGRATIONS[name]) for number in range(length)]
    if dates != "kept":
        moved = [replace(story, published_at=NOW if dates == "all new" else None) for story in moved]
    if length > 10:
        moved = [
            replace(story, published_at=story.published_at and story.published_at - timedelta(hours=4))
            for story in moved
        ]
    stand.poll(moved)
    stand.poll(moved[::-1], NOW + timedelta(minutes=2))
    assert stand.sent == []
    assert stand.corrected == []


@pytest.mark.parametrize("name", MIGRATIONS)
def test_after_moving_house_the_next_story_is_sent(name: str) -> None:
    stand = Newsstand()
    stand.poll([make_story(number) for number in range(10)], NOW - timedelta(hours=2))
    moved = [migrate(make_story(number), MIGRATIONS[name]) for number in range(10)]
    stand.poll(moved)
    stand.poll([migrate(make_story(50, published_at=NOW), MIGRATIONS[name]), *moved], NOW + timedelta(minutes=2))
    assert [post.headline for post in stand.sent] == ["Story number 50"]


def test_a_guid_that_flips_between_http_and_https_is_one(stand: Newsstand) -> None:
    for scheme in ("http://", "https://", "http://www.", "https://"):
        stand.poll([make_story(number, guid=f"{scheme}example.org/?p={number}") for number in range(10)])
    assert stand.sent == [] and len(stand.posts) == 10


def test_a_guid_alone_is_known_whatever_its_scheme(stand: Newsstand) -> None:
    rest = {"url": "https://example.org/moved/3", "headline": "Other words", "published_at": NOW}
    stand.poll([make_story(3, guid="http://www.example.org/?p=3", **rest)])
    assert stand.sent == [] and len(stand.posts) == 10


def test_another_feed_under_the_same_address_is_a_burst(stand: Newsstand) -> None:
    other = [
        make_story(n, guid=f"tag:{n}", url=f"https://other.example/{n}", headline=f"Recipe {n}") for n in range(20)
    ]
    assert {verdict.reason for verdict in stand.poll(other)} == {"burst"}


plain = st.text("abc %", max_size=3)
messy = st.builds(
    Post,
    source=st.just("front"),
    guid=plain,
    url=st.sampled_from(
        ["", "https://example.org/", "https://example.org/a", "http://example.org/b#c", "x:", "//["]
    ),
    headline=plain,
    summary=plain,
    published_at=st.none() | st.sampled_from([NOW, NOW - timedelta(days=1), NOW + timedelta(days=9)]),
)


@given(st.lists(st.lists(messy, max_size=6), max_size=5))
def test_whatever_comes_a_second_look_sends_nothing(polls: list[list[Post]]) -> None:
    stand = Newsstand()
    for feed in polls:
        verdicts = stand.poll(feed)
        assert [verdict.post for verdict in verdicts] == feed
        sent = len(stand.sent)
        again = stand.poll(feed)
        assert len(stand.sent) == sent
        assert not {"new", "baseline", "held", "old"} & set(kinds(again))


@given(st.lists(st.lists(messy, max_size=6), min_size=1, max_size=5))
def test_no_key_ever_belongs_to_two_stories(polls: list[list[Post]]) -> None:
    stand = Newsstand()
    for feed in polls:
        new_keys = [key for verdict in stand.poll(feed) for key in verdict.keys]
        assert len(new_keys) == len(set(new_keys))


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        ("https://www.Example.org:443/News/A/?utm_source=x&b=2&a=1&fbclid=9#top", "example.org/News/A?a=1&b=2"),
        ("http://example.org/news/a", "example.org/news/a"),
        ("https://example.org:8443/a", "example.org:8443/a"),
        ("https://example.org/%d0%b0", "example.org/%D0%B0"),
        ("https://example.org/а", "example.org/%D0%B0"),
        ("https://example.org/", ""),
        ("https://www.example.org?utm_source=rss", ""),
        ("https://example.org/?p=12", "example.org?p=12"),
        ("mailto:desk@example.org", ""),
        ("http://[broken", ""),
        ("https://example.org:99999/", ""),
    ],
)
def test_an_address_is_known_by_what_names_the_page(url: str, identity: str) -> None:
    assert normalise_link(url) == identity


@given(st.text(max_size=60))
def test_normalising_twice_is_normalising_once(path: str) -> None:
    once = normalise_link("https://example.org/" + path)
    assert normalise_link("http://www." + once if once else "") == once


def test_headlines_in_scripts_with_marks_are_told_apart() -> None:
    first, second = (identity_keys(make_story(1, headline=text)) for text in ("कि", "का"))
    assert first[2:] != second[2:]


@pytest.mark.parametrize(
    "headline",
    [
        "EMBARGO until 10:00: the budget",
        "Budget leaks, EMBARGOED",
        "Do not publish: obituary",
        "PREP: The Queen has died",
        "Obituary prep: X",
        "Mayor TK TK resigns",
        "Lorem ipsum dolor",
        "test",
        "Test post 2, please ignore",
        "[TEST] New layout",
        "Це тест",
        "Sperrfrist: Haushalt",
    ],
)
def test_desk_instructions_hold_a_story(headline: str) -> None:
    assert find_hold_words(make_story(1, headline=headline))


@pytest.mark.parametrize(
    "headline",
    [
        "EU agrees on an oil embargo",
        "ARMS EMBARGO LIFTED",
        "US keeps embargo until 2030",
        "Covid tests run short",
        "Third Test: England beat India",
        "Testing times for the minister",
        "This is a testament to her work",
        "Prep schools close",
        "PrEP drug approved",
        "NFL Draft: who won",
    ],
)
def test_the_same_words_as_news_do_not(headline: str) -> None:
    assert find_hold_words(make_story(1, headline=headline)) == ""


def test_instructions_in_the_text_hold_too() -> None:
    assert find_hold_words(make_story(1, summary="Embargoed until Monday, 9:00."))
    assert find_hold_words(make_story(1, body_html="<p><b>NOT FOR PUBLICATION</b></p>"))
