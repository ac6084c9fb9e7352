"""A folder with a configuration and a database, and the commands typed into it."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import typer

from distributor.cli import app
from distributor.storage import Storage, open_storage
from tests.canaries import CMS, CONSOLE, HOOK, MAIL, look_at

COMMAND = typer.main.get_command(app)
#: A service that nobody is at: nothing in these tests may try to reach it.
NOWHERE = "http://127.0.0.1:9"
TELEGRAM = {
    "name": "tg",
    "kind": "telegram",
    "token": f"4242:{CMS}",
    "chat": "@daily",
    "api_base": NOWHERE,
    "allow": ["4711"],
}
LETTER = {
    "name": "letter",
    "kind": "email",
    "host": "127.0.0.1",
    "port": 9,
    "tls": "none",
    "from": "The Daily <news@example.org>",
    "list": "readers",
    "username": "news",
    "password": MAIL,
}


@dataclass
class Typed:
    """What a command did: exit code, what it printed, what it told the person."""

    code: int
    out: str
    told: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Folder:
    """A newsroom's folder. `type` runs a command with its configuration."""

    path: Path
    channels: tuple[dict[str, Any], ...] = (TELEGRAM, LETTER)
    sources: tuple[dict[str, Any], ...] = ()

    @property
    def config(self) -> Path:
        return self.path / "config" / "distributor.yaml"

    @property
    def database(self) -> Path:
        return self.path / "var" / "distributor.db"

    def write_config(self, **more: Any) -> None:
        schedules = [
            {"name": "now-tg", "channel": "tg", "form": "each", "when": "immediately"},
            {"name": "morning", "channel": "letter", "form": "digest", "at": "07:30", "title": "Morning briefing"},
        ]
        settings = {
            "site": {
                "name": "The Daily Example",
                "public_url": "https://go.example.org",
                "timezone": "Europe/Kyiv",
            },
            "network": {"allow_private": ["127.0.0.0/8"]},
            "sources": list(self.sources),
            "channels": list(self.channels),
            "web": {"console_token": CONSOLE},
            "alerts": {"webhook": f"{NOWHERE}/{HOOK}"},
            "schedules": schedules,
            **more,
        }
        self.config.parent.mkdir(exist_ok=True)
        self.config.write_text(json.dumps(settings))

    def make_database(self, ready: Path) -> None:
        self.database.parent.mkdir(exist_ok=True)
        shutil.copyfile(ready, self.database)

    @contextlib.contextmanager
    def open(self) -> Iterator[Storage]:
        storage = open_storage(f"sqlite:///{self.database}")
        yield storage
        storage.close()

    def type(self, *words: str) -> Typed:
        return type_words(*words, "--config", str(self.config))


def type_words(*words: str) -> Typed:
    """Run a command in this process. Typer's own runner does the same, and builds all commands anew each time."""
    out, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):
        try:
            code = COMMAND.main(list(words), prog_name="distributor", standalone_mode=True)
        except SystemExit as end:
            code = end.code
    look_at(out.getvalue() + told.getvalue(), f"distributor {' '.join(words)}")
    return Typed(int(code or 0), out.getvalue(), told.getvalue())


def lately(hours: float = 1) -> datetime:
    """Commands read the real clock, so their stories are of today."""
    return datetime.now(UTC) - timedelta(hours=hours)
