"""A whole newsroom on loopback for the walk tests: a feed, four sandboxes, and the product as a real process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from xml.sax.saxutils import escape

from distributor.channels import load
from tests.cli.desk import type_words

ROOT = Path(__file__).parents[2]
TIMEOUT = 120.0


class FeedSite:
    """A site with an RSS feed that tests can add stories to."""

    def __init__(self) -> None:
        self.stories: list[tuple[int, str, datetime]] = []
        self.polls = 0
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body, kind = site.answer(self.path)
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def publish(self, number: int, at: datetime | None = None) -> None:
        self.stories.append((number, f"Story number {number}", at or datetime.now(UTC)))

    def answer(self, path: str) -> tuple[bytes, str]:
        if path != "/feed":
            return f"<html><title>Story</title><p>{escape(path)}</p></html>".encode(), "text/html"
        self.polls += 1
        items = "".join(
            f"<item><guid isPermaLink='false'>s{n}</guid><link>{self.url}/{n}</link><title>{escape(title)}</title>"
            f"<description>Summary of {n}.</description><category>World</category>"
            f"<pubDate>{format_datetime(at)}</pubDate></item>"
            for n, title, at in reversed(self.stories)
        )
        feed = f"<rss version='2.0'><channel><title>Front</title><link>{self.url}</link>{items}</channel></rss>"
        return feed.encode(), "application/rss+xml"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Newsroom:
    """Feed, sandboxes and configuration in a folder; `start` runs the product, `kill` pulls its plug."""

    def __init__(self, folder: Path, database_url: str, readers: int = 20, digest: str = "") -> None:
        self.folder = folder
        self.site = FeedSite()
        self.site.publish(1, datetime.now(UTC) - timedelta(days=2))
        self.sandboxes = {"tg": load("telegram", "sandbox").Sandbox(), "x": load("x", "sandbox").Sandbox()}
        self.sandboxes |= {f"letter{i}": box() for i, box in enumerate(load("email", "sandbox").SANDBOXES)}
        for box in self.sandboxes.values():
            box.start()
        self.readers = readers
        self.config = folder / "config" / "distributor.yaml"
        self.config.parent.mkdir(parents=True)
        self.config.write_text(json.dumps(self._settings(database_url, digest)))
        self._process: subprocess.Popen[bytes] | None = None
        self.log = folder / "run.log"

    def _settings(self, database_url: str, digest: str) -> dict[str, Any]:
        channels = [{"name": name, **box.settings()} for name, box in self.sandboxes.items()]
        for entry in channels:
            if entry["kind"] == "email":
                entry["list"] = "readers"
        each = [
            {"name": f"now-{c['name']}", "channel": c["name"], "form": "each", "when": "immediately"}
            for c in channels
        ]
        return {
            "site": {"name": "The Daily Example", "public_url": "http://127.0.0.1:1", "timezone": "Europe/Kyiv"},
            "database": {"url": database_url},
            "web": {"listen": "127.0.0.1:0"},
            "network": {"allow_private": ["127.0.0.0/8"]},
            "sources": [{"name": "front", "kind": "feed", "url": f"{self.site.url}/feed", "every": "1s"}],
            "channels": channels,
            "schedules": each,
        }

    def import_readers(self, count: int) -> None:
        """Readers on the list of both letters, through the product's own command."""
        path = self.folder / "readers.csv"
        path.write_text("email\n" + "".join(f"reader{i}@example.org\n" for i in range(count)))
        self.type("subscribers", "import", str(path), "--list", "readers")

    def type(self, *words: str) -> None:
        """One command that must succeed, in this process: a second quicker than `command`."""
        done = type_words(*words, "--config", str(self.config))
        assert done.code == 0, done.told

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One command of the product; its output as text."""
        return subprocess.run(
            [sys.executable, "-m", "distributor", *words, "--config", str(self.config)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def start(self, roles: str = "clock,worker", environ: Mapping[str, str] | None = None) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "distributor", "run", "--config", str(self.config), "--roles", roles],
                cwd=ROOT,
                stderr=log,
                stdout=log,
                env={**os.environ, **(environ or {})},
            )

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(TIMEOUT)

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(TIMEOUT)

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait_for(self, what: str, condition: Callable[[], object], step: float = 0.02) -> None:
        """Wait until the condition holds; fails with the product's log when it never does. Asked each `step`."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} did not happen in {TIMEOUT} s; {self.log.read_text()[-3000:]}")
            time.sleep(step)

    def seen(self) -> dict[str, list[tuple[str, str]]]:
        """Channel -> (recipient, first line that names a story) as the public saw it."""
        return {
            name: [(one.recipient, find_story(one)) for one in box.seen] for name, box in self.sandboxes.items()
        }

    def close(self) -> None:
        if self.is_running():
            self.kill()
        for box in self.sandboxes.values():
            box.stop()
        self.site.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def find_story(sighting: Any) -> str:
    text = f"{sighting.subject}\n{sighting.text}"
    start = text.find("Story number")
    return " ".join(text[start : start + 20].split()[:3])
