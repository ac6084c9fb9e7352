"""The files an operator would write: the configuration, pointed at the sandboxes, and the lists of readers."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from distributor.demo.newsroom.stories import PAPER

Settings = Mapping[str, Any]

SENDER = "news@harbour-gazette.example"
LISTS = ("readers", "harbour")
#: Said in the CSV file of readers: this one has left, so an import never writes to them.
GONE = "old.friend@example.org"
_READERS = (
    *("night.owl", "early.bird", "ferry.rider", "book.worm", "tide.watcher", "quay.runner", "choir.alto"),
    *("hill.farmer", "bus.driver", "tea.drinker", "star.gazer"),
)
READERS = tuple(f"{name}@example.org" for name in _READERS)
HARBOUR_READERS = tuple(f"{name}@example.org" for name in ("ferry.rider", "tide.watcher", "crane.watcher"))


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How fast things go. A digest waits for its next due time while it has fewer than `fewest` stories."""

    digest_every: str
    fewest: int
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where things are: the product to its readers, the newsroom's feed, the demo's own pages."""

    public: str
    feed: str
    pages: str


_CONFIG = Template("""\
# Written by the demo. Only the addresses differ from a real newsroom's configuration.
site:
  name: $paper
  public_url: $public_url
  timezone: $timezone
  follow: $follow
web: {listen: $listen}
state_dir: ../var
templates_dir: ../templates
network:
  allow_private: [$newsroom]  # the newsroom is on this machine

sources:
  - {name: gazette, kind: feed, url: $feed_url, every: 1s}

channels:
  - $telegram
  - $x
  - $letter
  - $harbour

schedules:
  - {name: telegram-now, channel: telegram, form: each, when: immediately}
  - {name: x-now, channel: x, form: each, when: immediately, filter: {not: {sections: [Weather]}}}
  - {name: harbour-alert, channel: harbour, form: each, when: immediately, filter: {sections: [Harbour]}}
  - {name: briefing, channel: letter, form: digest, every: $every, min_items: $fewest, title: The briefing}
""")


def write_config(path: Path, rhythm: Rhythm, addresses: Addresses, services: Mapping[str, Settings]) -> None:
    """The configuration file. `services` are the sandboxes' own channel entries: telegram, x, smtp, sendgrid."""
    letter = {**services["smtp"], "from": f"{PAPER} <{SENDER}>", "list": "readers"}
    alerts = {**services["sendgrid"], "from": f"{PAPER} harbour desk <{SENDER}>", "list": "harbour"}
    follow = {"rss": addresses.feed, "telegram": f"{addresses.pages}/telegram", "x": f"{addresses.pages}/x"}
    text = _CONFIG.substitute(
        paper=PAPER,
        public_url=addresses.public,
        timezone=rhythm.timezone,
        follow=_flow(follow),
        listen=_quote(urlsplit(addresses.public).netloc),
        newsroom=_quote(urlsplit(addresses.feed).netloc),
        feed_url=_quote(addresses.feed),
        telegram=_entry("telegram", services["telegram"]),
        x=_entry("x", services["x"]),
        letter=_entry("letter", letter),
        harbour=_entry("harbour", alerts),
        every=rhythm.digest_every,
        fewest=rhythm.fewest,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _entry(name: str, settings: Settings) -> str:
    return _flow({"name": name, **settings})


def _flow(settings: Settings) -> str:
    return "{" + ", ".join(f"{key}: {_quote(value)}" for key, value in settings.items()) + "}"


def _quote(value: Any) -> str:
    """JSON is YAML, but plain words read better without quotes."""
    if isinstance(value, str) and value.replace("-", "").replace("_", "").isalnum() and not value.isdigit():
        return value
    return json.dumps(value, ensure_ascii=False)


def write_readers(folder: Path) -> dict[str, Path]:
    """A CSV file for each list; the one of `readers` has a line of somebody who left."""
    files = {name: folder / f"{name}.csv" for name in LISTS}
    rows: dict[str, list[tuple[str, str, str]]] = {
        "readers": [(address, _name(address), "subscribed") for address in READERS] + [(GONE, _name(GONE), "left")],
        "harbour": [(address, _name(address), "subscribed") for address in HARBOUR_READERS],
    }
    for name, file in files.items():
        _write_csv(file, rows[name])
    return files


def _write_csv(file: Path, rows: Iterable[Sequence[str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("email", "name", "status"))
        writer.writerows(rows)


def _name(address: str) -> str:
    return address.partition("@")[0].replace(".", " ").capitalize()


def find_local_timezone() -> str:
    """The IANA name of this machine's zone, UTC where it cannot be told."""
    name = str(Path("/etc/localtime").resolve()).rpartition("zoneinfo/")[2]
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC"
