"""A newsroom to word: its site, some stories in three languages, and a channel that keeps what it is given."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from distributor.core.contracts import Channel, Site, Wire
from distributor.core.message import Content, Message, Outcome
from distributor.core.post import Image, Post
from distributor.pipeline.render import (
    EditionView,
    LinkSpec,
    OverflowView,
    PostView,
    ScheduleView,
    build_context,
)

NOW = datetime(2026, 11, 23, 5, 30, tzinfo=UTC)
FOLLOW = {
    "google_news": "https://news.example.com/publications/1",
    "rss": "https://example.org/feed/",
    "telegram": "https://t.me/dailyexample",
    "x": "https://x.com/dailyexample",
}
SITES = {
    "en": Site("The Daily Example", "https://go.example.org", "Europe/Kyiv", "en", FOLLOW),
    "uk": Site("Щоденний приклад", "https://go.example.org", "Europe/Kyiv", "uk", FOLLOW),
    "ar": Site("المثال اليومي", "https://go.example.org", "Asia/Riyadh", "ar", FOLLOW),
}
HEADLINES = {
    "en": (
        "River towns reopen their night ferries",
        "Parliament shortens the budget debate",
        "A century of weddings",
    ),
    "uk": ("Нічні пороми повертаються", "Парламент скоротив дебати", "Століття весіль"),
    "ar": ("عودة العبّارات الليلية", "البرلمان يقصّر المناقشة", "قرن من الأعراس"),
}


def make_post(number: int = 1, headline: str = "A headline", **fields: Any) -> PostView:
    """A story that has everything; fields=None takes something away."""
    full: dict[str, Any] = {
        "summary": "Four crossings will run until two in the morning. Bakers will be first aboard.",
        "body_html": "<p>Four <b>crossings</b> will run.</p>",
        "byline": "Marta Lindqvist",
        "section": "Region",
        "tags": ("Night ferries", "River"),
        "language": "",
        "published_at": NOW - timedelta(hours=number),
        "updated_at": NOW,
        "image": Image(f"https://img.example.org/{number}.jpg", "A lit ferry", 1200, 675),
        "provenance": {"byline": "feed"},
    }
    return PostView(number, Post("front", f"g{number}", f"https://example.org/{number}", headline, **full | fields))


def make_bare_post(number: int = 1) -> PostView:
    """The least that a source gives: a headline and an address."""
    return PostView(number, Post("front", "", f"https://example.org/{number}", "Only a headline"))


def make_context(
    posts: Sequence[PostView] = (), language: str = "en", *, site: Site | None = None, **rest: Any
) -> dict[str, Any]:
    site = site or SITES[language]
    views = posts or [
        make_post(number, headline, section="Region" if number != 2 else "")
        for number, headline in enumerate(HEADLINES[language], 1)
    ]
    defaults: dict[str, Any] = {
        "overflow": OverflowView(7, "https://example.org/all"),
        "more": {"Region": [make_post(21, "Ferry bakers")]},
    }
    edition = EditionView(NOW, "https://go.example.org/v/0123456789abcdef")
    return build_context(
        site, "letter", ScheduleView("morning", "Morning briefing"), edition, views, **defaults | rest
    )


class Minter:
    """Gives each link a short address and remembers what was asked for."""

    def __init__(self) -> None:
        self.specs: list[LinkSpec] = []

    def __call__(self, spec: LinkSpec) -> str:
        self.specs.append(spec)
        return f"https://go.example.org/l/{len(self.specs):011d}"


def preview(spec: LinkSpec) -> str:
    return "https://go.example.org/l/preview"


class ToyChannel(Channel):
    """Its parts are markup and plain text; its content is the rendered texts."""

    kind = "toy"
    name = "toy"
    address = "@toy"

    def __init__(self, parts: Mapping[str, Sequence[str]] | None = None) -> None:
        self.parts = parts or {"each": ("each.html", "each.txt"), "digest": ("digest.txt",)}

    def compose(self, texts: Mapping[str, str], form: str) -> Content:
        return Content(dict(texts))

    def send(self, messages: Sequence[Message], wire: Wire) -> list[Outcome]:
        return []

    def close(self) -> None:
        return None
