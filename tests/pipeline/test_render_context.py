"""What templates may say: taken from the stories, cleaned, complete, in plain data."""

import json
from datetime import timedelta

import pytest

from distributor.core.contracts import Site
from distributor.core.errors import TemplateError
from distributor.core.post import Image
from distributor.pipeline.render import (
    EditionView,
    OverflowView,
    ScheduleView,
    build_context,
    build_page_context,
    find_direction,
)
from tests.stories import NOW, SITES, make_bare_post, make_context, make_post


def test_the_context_is_plain_data() -> None:
    context = make_context()
    assert json.loads(json.dumps(context)) == context


def test_the_same_words_exist_for_the_richest_and_the_barest_story() -> None:
    rich, bare = make_context([make_post()]), make_context([make_bare_post()])
    assert rich.keys() == bare.keys()
    assert rich["post"].keys() == bare["post"].keys()
    assert bare["post"]["image"] is None
    assert bare["post"]["published"] == ""


def test_an_edition_without_stories_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at least one post"):
        build_context(SITES["en"], "letter", ScheduleView("s"), EditionView(NOW), [])


def test_stories_are_grouped_by_section_in_the_order_they_come() -> None:
    sections = ["World", "", "World", "Sport", ""]
    context = make_context([make_post(n, section=name) for n, name in enumerate(sections, 1)])
    assert [(group["name"], [post["id"] for post in group["posts"]]) for group in context["sections"]] == [
        ("World", [1, 3]),
        ("", [2, 5]),
        ("Sport", [4]),
    ]


def test_more_stories_go_with_their_section() -> None:
    more = {"World": [make_post(9, "Elsewhere", section="World")], "Sport": [make_post(8, "Match")]}
    context = make_context([make_post(1, section="World"), make_post(2, section="Art")], more=more)
    assert [story["headline"] for story in context["more"]] == ["Elsewhere"]
    assert [[story["headline"] for story in group["more"]] for group in context["sections"]] == [["Elsewhere"], []]


def test_a_guessed_byline_is_not_printed() -> None:
    assert make_context([make_post(provenance={"byline": "html"})])["post"]["byline"] == ""


@pytest.mark.parametrize(
    ("published", "updated", "expected"),
    [
        (NOW, NOW + timedelta(minutes=1), True),
        (NOW, NOW + timedelta(seconds=59), False),
        (NOW, NOW - timedelta(hours=1), False),
        (None, NOW, False),
        (NOW, None, False),
    ],
)
def test_updated_means_changed_after_it_was_out(published: object, updated: object, expected: bool) -> None:
    post = make_post(published_at=published, updated_at=updated)
    assert make_context([post])["post"]["is_updated"] is expected


def test_marks_in_story_text_cannot_pass_for_ours() -> None:
    hostile = "a\ue100unsubscribe_url\ue101b\ue200\ue301\ue201c\ue000d"
    context = make_context(
        [make_post(1, hostile, summary=hostile, section=hostile, byline=hostile, body_html=hostile)]
    )
    words = context["post"]
    for name in ("headline", "summary", "section", "byline", "body_html"):
        assert words[name] == "aunsubscribe_urlbcd"


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:image/png;base64,AA", "/x.jpg", 'https://a/"onerror=x', ""]
)
def test_an_image_with_an_odd_address_is_left_out(url: str) -> None:
    assert make_context([make_post(image=Image(url, "alt"))])["post"]["image"] is None


def test_a_story_that_cannot_be_linked_parks_the_edition() -> None:
    view = make_bare_post()
    object.__setattr__(view.post, "url", "javascript:alert(1)")
    with pytest.raises(TemplateError, match="'Only a headline' has no web address to link to"):
        make_context([view])


def test_follow_links_have_names_and_hostile_ones_are_left_out() -> None:
    site = Site(
        "S", "https://s", follow={"google_news": "https://n.example/", "my page": "https://m.example/", "z": "x:y"}
    )
    follow = make_context(site=site)["site"]["follow"]
    assert [(network["label"], network["url"]) for network in follow] == [
        ("Google News", "https://n.example/"),
        ("My Page", "https://m.example/"),
    ]


def test_an_overflow_without_a_page_has_no_link() -> None:
    assert make_context(overflow=OverflowView(3))["overflow"] == {"count": 3, "url": "", "link": ""}


@pytest.mark.parametrize(
    ("language", "direction"),
    [
        ("ar", "rtl"),
        ("he", "rtl"),
        ("fa-IR", "rtl"),
        ("ur_PK", "rtl"),
        ("az-Arab", "rtl"),
        ("ar-Latn", "ltr"),
        ("en", "ltr"),
        ("uk-UA", "ltr"),
        ("", "ltr"),
    ],
)
def test_the_direction_follows_from_the_language(language: str, direction: str) -> None:
    assert find_direction(language) == direction


def test_a_story_in_another_language_keeps_its_own_direction() -> None:
    context = make_context([make_post(language="en")], "ar")
    assert (context["site"]["dir"], context["post"]["dir"]) == ("rtl", "ltr")


def test_pages_know_the_site_and_their_own_words() -> None:
    context = build_page_context(SITES["en"], "javascript:x", state="ask")
    assert (context["site"]["name"], context["site"]["home"], context["state"]) == ("The Daily Example", "", "ask")
