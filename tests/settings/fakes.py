"""Kinds of sources and channels as simple as they can be, and a newsroom to break."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from distributor.core.errors import SettingsError
from distributor.settings import Settings, load_settings

GOOD = """\
site: {name: The Daily Example, public_url: https://go.daily.test, timezone: Europe/Kyiv, language: en}
sources:
  - {name: front, kind: feed, url: https://example.org/feed/}
channels:
  - {name: tg, kind: chat, token: "${TOKEN}", chat: "@dailyexample"}
schedules:
  - {name: now-tg, channel: tg, form: each, when: immediately, filter: {sections: [World]}}
  - {name: morning, channel: tg, form: digest, at: 07:30, days: [mon, tue]}
"""


class Feed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Literal["feed"] = "feed"
    url: str = Field(description="The address of the feed.")


class Chat(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Literal["chat"] = "chat"
    token: SecretStr
    chat: str
    from_: str | None = Field(default=None, alias="from")
    password: SecretStr | None = None
    username: str | None = None
    port: int = Field(default=587, ge=1, le=65535)
    silent: bool = False
    allow: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _match(self) -> "Chat":
        if self.username and not self.password:
            raise ValueError("username and password go together; fill in both")
        return self


def find_source(kind: str) -> Any:
    if kind != "feed":
        raise LookupError(f"there is no source kind {kind!r}; known: feed, wordpress")
    return Feed


def find_channel(kind: str) -> Any:
    if kind != "chat":
        raise LookupError(f"there is no channel kind {kind!r}; known: chat, email")
    return Chat


class Desk:
    """Writes configurations and loads them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "distributor.yaml"

    def load(self, text: str, environ: Mapping[str, str] | None = None, **options: Any) -> Settings:
        self.path.write_text(text, encoding="utf-8")
        environ = {"TOKEN": "12345:secret"} if environ is None else environ
        return load_settings(self.path, environ, source_model=find_source, channel_model=find_channel, **options)

    def fail(self, text: str, environ: Mapping[str, str] | None = None, **options: Any) -> list[str]:
        """The problems, each as "line:column: path: text" without the file."""
        with pytest.raises(SettingsError) as caught:
            self.load(text, environ, **options)
        prefix = f"{self.path}:"
        assert all(problem.startswith(prefix) for problem in caught.value.problems)
        return [problem.removeprefix(prefix) for problem in caught.value.problems]


def change(old: str, new: str, text: str = GOOD) -> str:
    assert old in text
    return text.replace(old, new)


def take_mark(text: str) -> tuple[str, str]:
    """The text without its `»`, and the "line:column" where that stood."""
    before, mark, after = text.partition("»")
    assert mark
    return before + after, f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
