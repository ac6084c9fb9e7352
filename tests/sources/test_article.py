"""What pages add to thin feeds: the order of trust, where each field came from, and never more than a gap."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.core.errors import SourceError
from distributor.core.post import Image, Post
from distributor.sources.article import enrich, has_gaps
from distributor.sources.article_page import PageFacts, read_page
from distributor.sources.fetch import Fetcher
from distributor.sources.json_ld import read_json_ld
from distributor.sources.reader import Reader
from distributor.sources.sandbox import NewsSite, Reply
from distributor.sources.sandbox_pages import Story
from tests.sources.conftest import NOW

URL = "https://www.example.org/news/a/"
TEN = datetime(2026, 11, 23, 10, tzinfo=UTC)


def read(head: str = "", body: str = "", guess: tuple[str, ...] = ()) -> PageFacts:
    html = f"<!doctype html><html lang=en><head>{head}</head><body>{body}</body></html>"
    return read_page(html.encode(), URL, "text/html; charset=utf-8", NOW, may_guess=guess)


def linked(**article: object) -> str:
    return f'<script type="application/ld+json">{json.dumps({"@type": "NewsArticle", **article})}</script>'


def meta(name: str, content: str) -> str:
    return f'<meta property="{name}" content="{content}">'


EVERYWHERE = {
    "json-ld": linked(headline="By JSON-LD", author={"name": "Jo"}, datePublished="2026-11-23T10:00:00Z"),
    "og": meta("og:title", "By og") + meta("article:published_time", "2026-11-23T09:00:00Z"),
    "meta": meta("dc.title", "By meta") + meta("author", "Al") + meta("date", "2026-11-23T08:00:00Z"),
    "html": "<article><h1>By html</h1><p class=byline>By Bo</p><time datetime=2026-11-23T07:00:00Z>now</time>",
}


def test_structured_data_is_trusted_before_tags_and_tags_before_markup() -> None:
    order = list(EVERYWHERE)
    for best in range(4):
        facts = read("".join(EVERYWHERE[name] for name in order[best:3]), EVERYWHERE["html"])
        assert facts.sources["headline"] == order[best]
        assert facts.sources["published_at"] == order[best]
    assert read("", EVERYWHERE["html"]).texts["byline"] == "Bo"


def test_a_page_as_seo_plugins_write_it_is_read_whole() -> None:
    facts = read(
        linked(
            headline="AT&amp;T up",
            author=[{"@type": "Person", "name": "Jo Doe"}, {"name": "Al"}],
            datePublished="2026-11-23T12:00:00+02:00",
            dateModified="2026-11-23T11:00:00Z",
            articleSection=["World", "x"],
            keywords="ships, rivers",
            inLanguage="en-GB",
            description="What <b>happened</b>.",
        )
        + meta("og:image", "/lead.jpg")
        + meta("og:image:width", "1200")
        + meta("og:image:alt", "A ship")
        + '<link rel="canonical" href="https://example.org/news/a">'
    )
    assert facts.texts == {
        "headline": "AT&T up",
        "summary": "What happened.",
        "byline": "Jo Doe, Al",
        "published_at": "2026-11-23T10:00:00+00:00",
        "updated_at": "2026-11-23T11:00:00+00:00",
        "section": "World",
        "language": "en-GB",
        "canonical_url": "https://example.org/news/a",
    }
    assert facts.tags == ["ships", "rivers"] and facts.sources["tags"] == "json-ld"
    assert facts.image == Image("https://www.example.org/lead.jpg", "A ship", 1200)


@pytest.mark.parametrize(
    "data",
    [
        {"@graph": [{"@type": "WebSite", "name": "Site"}, {"@type": ["Thing", "BlogPosting"], "headline": "H"}]},
        [{"@type": "Organization"}, [{"@type": "ReportageNewsArticle", "headline": ["H"]}]],
        {"@type": "WebPage", "mainEntity": {"@type": "Article", "headline": {"@value": "H"}}},
        {"@type": "Article", "headline": "", "name": "H"},
    ],
)
def test_the_article_is_found_wherever_json_ld_puts_it(data: object) -> None:
    assert read_json_ld(["{broken", "null", json.dumps(data)]).texts["headline"] == "H"


def test_json_ld_references_are_followed() -> None:
    graph = {
        "@graph": [
            {"@type": "Article", "headline": "H", "author": {"@id": "#jo"}, "image": {"@id": "#pic"}},
            {"@type": "Person", "@id": "#jo", "name": "Jo"},
            {"@type": "ImageObject", "@id": "#pic", "url": "https://e.example/p.jpg", "width": {"value": 900}},
        ]
    }
    found = read_json_ld([json.dumps(graph)])
    assert (
        found.authors == ["Jo"] and found.image["url"] == "https://e.example/p.jpg" and found.image["width"] == 900
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["@type", "@graph", "@id", "author", "image", "name", "url", "headline"]), inner
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_no_shape_of_json_ld_is_a_crash(value: object) -> None:
    read_json_ld(
        [json.dumps({"@type": "Article", "headline": value, "author": value, "image": value, "keywords": value})]
    )
    read_json_ld([json.dumps(value)])


@pytest.mark.parametrize(
    ("address", "believed"),
    [
        ("https://example.org/news/a-better-slug", True),
        ("/news/a", True),
        ("https://m.example.org/news/a", True),
        ("https://example.org/", False),
        ("https://agency.example/news/a", False),
        ("javascript:alert(1)", False),
        ("", False),
    ],
)
def test_a_canonical_address_is_believed_for_its_own_site_and_no_home_page(address: str, believed: bool) -> None:
    facts = read(f'<link rel="canonical" href="{address}">')
    assert ("canonical_url" in facts.texts) == believed


def test_a_wall_time_without_a_zone_is_not_taken_for_an_instant() -> None:
    assert "published_at" not in read(linked(headline="H", datePublished="2026-11-23T10:00:00")).texts


def test_guesses_are_marked_as_guesses() -> None:
    body = "<div class=meta><span class=autor>Written by Jane Roe</span> on November 20, 2026</div><p>Words.</p>"
    facts = read("<title>Ships</title>", body, guess=("byline", "published_at", "headline"))
    guessed = {name for name, source in facts.sources.items() if source == "trafilatura"}
    assert "headline" in guessed
    assert guessed <= {"headline", "byline", "published_at"}


@pytest.mark.parametrize(
    ("encoding", "declared", "header"),
    [
        ("utf-8", "", "text/html"),
        ("windows-1251", "", "text/html; charset=windows-1251"),
        ("windows-1251", "<meta charset=windows-1251>", "text/html"),
        ("utf-8", "<meta charset=no-such-thing>", "text/html; charset=bogus"),
        ("utf-8", "<meta charset=hex>", "text/html; charset=base64"),
    ],
)
def test_a_page_is_decoded_by_what_it_declares(encoding: str, declared: str, header: str) -> None:
    page = f"<html><head>{declared}<meta property='og:title' content='Київ'></head></html>".encode(encoding)
    assert read_page(page, URL, header, NOW).texts["headline"] == "Київ"


def test_a_page_too_deep_for_an_article_is_refused() -> None:
    with pytest.raises(SourceError, match="deeper than any article"):
        read(body="<div>" * 100_000)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_page(noise: bytes) -> None:
    read_page(b"<html><meta property=og:title content=" + noise, URL, "text/html", NOW)


THIN = Post("front", "1", "", "A headline of the feed", published_at=TEN, provenance={"headline": "feed"})


@pytest.fixture
def thin(site: NewsSite) -> Post:
    story = site.publish(
        Story(
            "a",
            "A headline of the page",
            "What the page says.",
            byline="Jo",
            section="World",
            tags=("ships",),
            image="https://example.org/ship.jpg",
            published_at=TEN - timedelta(hours=1),
            updated_at=TEN + timedelta(minutes=30),
        )
    )
    return replace(THIN, url=site.url + story.path)


def test_a_page_fills_gaps_and_says_from_where(
    thin: Post, site: NewsSite, fetcher: Fetcher, reader: Reader
) -> None:
    post = enrich(thin, fetcher, NOW, reader)
    assert (post.headline, post.published_at) == ("A headline of the feed", TEN)
    assert (post.summary, post.byline, post.section, post.tags) == (
        "What the page says.",
        "Jo",
        "World",
        ("ships",),
    )
    assert (post.updated_at, post.canonical_url) == (TEN + timedelta(minutes=30), thin.url)
    assert post.image == Image("https://example.org/ship.jpg")
    assert post.provenance == {
        "headline": "feed",
        "summary": "og",
        "byline": "json-ld",
        "section": "json-ld",
        "tags": "json-ld",
        "updated_at": "json-ld",
        "canonical_url": "meta",
        "language": "meta",
        "image": "og",
        "article": "read",
    }


def test_a_post_without_gaps_costs_no_request(thin: Post, site: NewsSite, fetcher: Fetcher, reader: Reader) -> None:
    whole = replace(enrich(thin, fetcher, NOW, reader), provenance={})
    asked = len(site.calls)
    assert not has_gaps(whole) and enrich(whole, fetcher, NOW, reader) is whole
    assert len(site.calls) == asked


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(404, b"gone"), "answered 404"),
        (Reply(500), "answered 500"),
        (Reply(200, b"%PDF", {"Content-Type": "application/pdf"}), "no web page but application/pdf"),
        (Reply(200, b"<div>" * 1000, {"Content-Type": "text/html"}), "deeper than any article"),
        (Reply(200, b"x" * 1000, {}, cut=10), "in the middle"),
        (Reply(302, headers={"Location": "http://169.254.169.254/"}), "not a public address"),
    ],
)
def test_a_bad_page_leaves_the_post_as_it_was_and_says_why(
    reply: Reply, reason: str, thin: Post, site: NewsSite, fetcher: Fetcher, reader: Reader
) -> None:
    site.answer_next("/news/a/", reply)
    post = enrich(thin, fetcher, NOW, reader)
    assert replace(post, provenance=thin.provenance) == thin
    assert post.provenance["article"].startswith("not read: ") and reason in post.provenance["article"]


def test_an_empty_page_adds_nothing(thin: Post, site: NewsSite, fetcher: Fetcher, reader: Reader) -> None:
    site.answer_next("/news/a/", Reply(200, b"", {"Content-Type": "text/html"}))
    post = enrich(thin, fetcher, NOW, reader)
    assert replace(post, provenance=thin.provenance) == thin
