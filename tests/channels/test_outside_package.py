"""A channel can come from another package: no file here names it, and default/ words it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from distributor.channels import ENTRY_POINTS, Surroundings, kinds, load, open_channel, settings_model
from distributor.core.contracts import Site, Wire
from distributor.core.message import Accepted, Edition, Message, Recipient
from distributor.core.post import Post
from distributor.pipeline.render import (
    EditionView,
    Job,
    PostView,
    Renderer,
    ScheduleView,
    Templates,
    build_context,
)

CHANNEL = """
from distributor.core.contracts import Channel
from distributor.core.message import Accepted, Content

FLOWN = []


class PigeonChannel(Channel):
    kind = "pigeon"
    parts = {"each": ("each.txt",), "digest": ("digest.txt",)}

    def __init__(self, settings):
        self.name = settings.name
        self.address = settings.loft

    def compose(self, texts, form):
        return Content({"text": texts[self.parts[form][0]].strip()})

    def send(self, messages, wire):
        outcomes = []
        for index, message in enumerate(messages):
            wire.start([index])
            FLOWN.append(message.edition.content.payload["text"])
            outcomes.append(Accepted(f"pigeon-{len(FLOWN)}"))
            wire.settle(index, outcomes[-1])
        return outcomes


def open_channel(settings, around):
    return PigeonChannel(settings)
"""
SETTINGS = """
from typing import Literal
from pydantic import BaseModel


class Settings(BaseModel):
    name: str
    kind: Literal["pigeon"]
    loft: str
"""
SITE = Site("The Daily Example", "https://go.example.org")


class OpenWire(Wire):
    def start(self, indexes: object) -> bool:
        return True

    def settle(self, index: int, outcome: object) -> None:
        pass


@pytest.fixture
def outside_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package beside ours, installed as pip would: its modules and its entry point."""
    package = tmp_path / "pigeon_post"
    package.mkdir()
    for name, text in {"__init__": "", "channel": CHANNEL, "settings": SETTINGS}.items():
        (package / f"{name}.py").write_text(text)
    facts = tmp_path / "pigeon_post-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeon-post\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\npigeon = pigeon_post\n")
    monkeypatch.syspath_prepend(str(tmp_path))


def test_a_package_that_is_not_installed_is_told_with_what_there_is() -> None:
    with pytest.raises(LookupError, match=r"no channel kind 'pigeon'; known: .*telegram"):
        load("pigeon", "channel")


@pytest.mark.usefixtures("outside_package")
def test_a_channel_of_another_package_is_listed_opened_worded_by_default_and_sends(tmp_path: Path) -> None:
    assert kinds()[-1] == "pigeon"
    assert "telegram" in kinds()
    settings = settings_model("pigeon")(name="roof", kind="pigeon", loft="north tower")
    channel = open_channel(settings, Surroundings(SITE))
    (tmp_path / "templates" / "default").mkdir(parents=True)
    (tmp_path / "templates" / "default" / "each.txt").write_text("{{ post.headline }}\n\n{{ post.link }}\n")
    post = Post(source="front", guid="1", url="https://news.example.org/rain", headline="Rain by noon")
    now = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    context = build_context(SITE, "roof", ScheduleView("now"), EditionView(now), [PostView(1, post)])
    renderer = Renderer(Templates([tmp_path / "templates"]))
    try:
        job = Job(channel, ("pigeon",), "each", context)
        content = renderer.render(job, lambda spec: "https://go.example.org/l/abc")
    finally:
        renderer.close()
    assert content.payload == {"text": "Rain by noon\n\nhttps://go.example.org/l/abc"}
    edition = Edition(1, "roof", "now", "each", "0123456789abcdef", content)
    assert channel.send([Message(1, edition, Recipient(0, channel.address))], OpenWire()) == [Accepted("pigeon-1")]
