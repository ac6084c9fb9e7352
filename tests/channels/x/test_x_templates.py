"""The shipped templates give posts that can be sent unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from x_support import SITE

from distributor.channels.x.channel import XChannel
from distributor.channels.x.length import weighted_length
from distributor.core.message import Content
from distributor.core.post import Post
from distributor.pipeline.render import (
    EditionView,
    Job,
    LinkSpec,
    OverflowView,
    PostView,
    Renderer,
    ScheduleView,
    Templates,
    build_context,
)

TEMPLATES = Path(__file__).parents[3] / "templates"
NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
HEADLINES = (
    "Ferries to the northern islands return after nine days of storms",
    "City council votes to keep the night trams running through the winter",
    "A bakery that opened in 1911 has found its fourth generation of bakers",
    "Scientists name a moss that grows only on one bridge",
    "How the harbour got its clock back, and who wound it for forty years",
    "A sixth story that has no room",
)


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    made = Renderer(Templates([TEMPLATES]))
    yield made
    made.close()


def word(renderer: Renderer, channel: XChannel, form: str, headlines: tuple[str, ...], more: str = "") -> Content:
    views = [
        PostView(index, Post("front", str(index), f"https://example.org/{index}", headline))
        for index, headline in enumerate(headlines, start=1)
    ]
    context = build_context(
        SITE,
        "x",
        ScheduleView("morning", "Morning briefing"),
        EditionView(NOW),
        views,
        overflow=OverflowView(3, more) if more else None,
    )
    return renderer.render(Job(channel, ("x",), form, context), make_link)


def make_link(spec: LinkSpec) -> str:
    return f"{SITE.public_url}/l/{spec.slot.replace('_', '')}{spec.post_id or 0}"


def test_each_story_is_its_headline_and_its_link(renderer: Renderer, make_channel: Callable[..., XChannel]) -> None:
    content = word(renderer, make_channel(), "each", HEADLINES[:1])
    assert content.payload["text"] == f"{HEADLINES[0]}\n\nhttps://go.example.org/l/article1"
    assert content.warnings == ()


def test_a_headline_of_any_length_leaves_room_for_the_link(
    renderer: Renderer, make_channel: Callable[..., XChannel]
) -> None:
    text = str(word(renderer, make_channel(), "each", ("Long words " * 60,)).payload["text"])
    assert weighted_length(text) <= 280
    assert text.endswith("…\n\nhttps://go.example.org/l/article1")


def test_a_digest_lists_headlines_and_leads_to_the_first_story(
    renderer: Renderer, make_channel: Callable[..., XChannel]
) -> None:
    text = str(word(renderer, make_channel(), "digest", HEADLINES[:2]).payload["text"])
    assert text.splitlines() == [
        "Morning briefing",
        "",
        f"• {HEADLINES[0]}",
        f"• {HEADLINES[1]}",
        "",
        "https://go.example.org/l/article1",
    ]


def test_a_digest_with_more_stories_than_room_is_shortened_from_its_end(
    renderer: Renderer, make_channel: Callable[..., XChannel]
) -> None:
    text = str(word(renderer, make_channel(), "digest", HEADLINES, "https://example.org/").payload["text"])
    assert weighted_length(text) <= 280
    assert f"• {HEADLINES[0]}\n• {HEADLINES[1]}\n" in text
    assert text.endswith("\n\nhttps://go.example.org/l/overflow0")
    assert "\n\n\n" not in text
    assert HEADLINES[5] not in text
