"""The files an operator would write: the configuration, pointed at the sandboxes, and the lists of readers."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from distributor.demo.newsroom.stories import PAPER

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


def write_config(
    path: Path,
    *,
    public_url: str,
    feed_url: str,
    pages_url: str,
    rhythm: Rhythm,
    services: Mapping[str, Mapping[str, Any]],
) -> None:
    """The configuration file. `services` are the sandboxes' own channel entries: telegram, x, smtp, sendgrid."""
    listen = public_url.removeprefix("http://")
    newsroom = feed_url.removeprefix("http://").partition("/")[0]
    site_url = feed_url.rpartition("/")[0]
    letter = {**services["smtp"], "from": f"{PAPER} <{SENDER}>", "list": "readers"}
    alerts = {**services["sendgrid"], "from": f"{PAPER} harbour desk <{SENDER}>", "list": "harbour"}
    follow = {"rss": feed_url, "telegram": f"{pages_url}/telegram", "x": f"{pages_url}/x"}
    lines = [
        "# Written by the demo. Only the addresses differ from a real newsroom's configuration.",
        "site:",
        f"  name: {PAPER}",
        f"  public_url: {public_url}",
        f"  timezone: {rhythm.timezone}",
        f"  follow: {_flow(follow)}",
        f"web: {{listen: {_quote(listen)}}}",
        "state_dir: ../var",
        "templates_dir: ../templates",
        "network:",
        f"  allow_private: [{_quote(newsroom)}]  # the newsroom {site_url} is on this machine",
        "",
        "sources:",
        f"  - {{name: gazette, kind: feed, url: {_quote(feed_url)}, every: 1s}}",
        "",
        "channels:",
        _entry("telegram", services["telegram"]),
        _entry("x", services["x"]),
        _entry("letter", letter),
        _entry("harbour", alerts),
        "",
        "schedules:",
        "  - {name: telegram-now, channel: telegram, form: each, when: immediately}",
        "  - {name: x-now, channel: x, form: each, when: immediately, filter: {not: {sections: [Weather]}}}",
        "  - {name: harbour-alert, channel: harbour, form: each, when: immediately, filter: {sections: [Harbour]}}",
        f"  - {{name: briefing, channel: letter, form: digest, every: {rhythm.digest_every}, "
        f"min_items: {rhythm.fewest}, title: The briefing}}",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _entry(name: str, settings: Mapping[str, Any]) -> str:
    return f"  - {_flow({'name': name, **settings})}"


def _flow(settings: Mapping[str, Any]) -> str:
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
