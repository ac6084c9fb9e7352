"""The stories of the sample newsroom: written ones from stories.toml, and bulletins without end after them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

PAPER = "The Harbour Gazette"
TOWN = "Wrenmouth"
#: A whole story (headline, summary, body) is corrected by plain replacement of words.
Change = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Picture:
    """What `pictures.draw` needs, and what stands in for it where it cannot be seen."""

    scene: str
    colours: str
    alt: str


@dataclass(frozen=True, slots=True)
class Correction:
    headline: str
    changes: tuple[Change, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Story:
    """One story as the desk wrote it. `hours_ago` is for those that are in the paper from the beginning."""

    slug: str
    section: str
    byline: str
    headline: str
    summary: str
    paragraphs: tuple[str, ...]
    tags: tuple[str, ...] = ()
    language: str = "en"
    when: str = "fresh"
    hours_ago: float = 0.0
    picture: Picture | None = None
    correction: Correction | None = None

    @property
    def is_breaking(self) -> bool:
        return self.when == "breaking"


def load_stories() -> tuple[Story, ...]:
    """Every written story, in the order of the file."""
    text = Path(__file__).with_name("stories.toml").read_text(encoding="utf-8")
    return tuple(_read_story(entry) for entry in tomllib.loads(text)["story"])


def _read_story(entry: dict[str, Any]) -> Story:
    picture, correction = entry.pop("picture", None), entry.pop("correction", None)
    paragraphs = tuple(part.strip() for part in entry.pop("body").split("\n\n"))
    return Story(
        **{**entry, "tags": tuple(entry.get("tags", ()))},
        paragraphs=paragraphs,
        picture=picture and Picture(**picture),
        correction=correction and _read_correction(correction),
    )


def _read_correction(entry: dict[str, Any]) -> Correction:
    changes = tuple((old, new) for old, new in entry["changes"])
    return Correction(entry["headline"], changes, entry["note"])


def correct_story(story: Story) -> Story:
    """The story with its correction made; ValueError when it has none."""
    correction = story.correction
    if correction is None:
        raise ValueError(f"nothing is wrong with {story.slug}")
    return replace(
        story,
        headline=correction.headline,
        summary=_change(story.summary, correction.changes),
        paragraphs=tuple(_change(text, correction.changes) for text in story.paragraphs),
    )


def _change(text: str, changes: tuple[Change, ...]) -> str:
    for old, new in changes:
        text = text.replace(old, new)
    return text


def make_bulletin(number: int, now: datetime) -> Story:
    """The harbour bulletin of this minute, for when all stories are told."""
    high = now + timedelta(minutes=35 + 47 * number % 340)
    low = high + timedelta(hours=6, minutes=12)
    wind = ("west", "south-west", "south", "north-west", "north")[number % 5]
    force, berths, height = 2 + number % 5, 3 + 7 * number % 11, 3.6 + number % 8 / 10
    headline = f"Harbour bulletin {now:%H:%M}: wind {wind} {force}, {berths} berths free"
    summary = f"High water at {high:%H:%M} with {height:.1f} metres, low water at {low:%H:%M}. All ferries run."
    text = f"The harbour office reads wind {wind} {force} and has {berths} free berths for visitors. {summary}"
    colours = ("sea", "dusk", "dawn", "amber", "night")[number % 5]
    return Story(
        slug=f"bulletin-{number}",
        section=("Harbour", "Weather")[number % 2],
        byline="Harbour desk",
        headline=headline,
        summary=summary,
        paragraphs=(text,),
        tags=("Bulletin",),
        picture=Picture("boats", colours, "Boats on the water"),
    )
