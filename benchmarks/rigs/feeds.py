"""A site with feeds, in a thread of the benchmark: unchanged ones are answered 304, published ones at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Feeds:
    """Every path is a feed of its own; `publish` adds a story to all of them."""

    def __init__(self) -> None:
        self._items: list[str] = []
        self._lock = threading.Lock()
        self.port = 0
        #: How many requests there were.
        self.asked = 0
        #: Story -> when a feed with it was first given out, by time.monotonic().
        self.given: dict[int, float] = {}

    def publish(self, number: int) -> float:
        """Put a story at the top; returns the moment by time.monotonic()."""
        item = (
            f"<item><guid isPermaLink='false'>s{number}</guid><link>http://127.0.0.1:{self.port}/story/{number}</link>"
            f"<title>Story number {number}</title><description>What happened, in one sentence.</description>"
            f"<category>World</category><pubDate>{formatdate(usegmt=True)}</pubDate></item>"
        )
        with self._lock:
            self._items.insert(0, item)
        return time.monotonic()

    def answer(self, validator: str) -> tuple[int, str, bytes]:
        """Status, ETag and body for a request with this If-None-Match."""
        with self._lock:
            self.asked += 1
            count, items = len(self._items), "".join(self._items[:50])
        tag = f'"{count}"'
        if validator == tag:
            return 304, tag, b""
        for number in range(1, count + 1):
            self.given.setdefault(number, time.monotonic())
        head = f"<rss version='2.0'><channel><title>Front</title><link>http://127.0.0.1:{self.port}/</link>"
        return 200, tag, f"{head}{items}</channel></rss>".encode()


@contextmanager
def run_feeds() -> Iterator[Feeds]:
    feeds = Feeds()

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, tag, body = feeds.answer(self.headers.get("If-None-Match", ""))
            self.send_response(status)
            self.send_header("ETag", tag)
            self.send_header("Content-Type", "application/rss+xml")
            if status == 200:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    feeds.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield feeds
    finally:
        server.shutdown()
        server.server_close()
