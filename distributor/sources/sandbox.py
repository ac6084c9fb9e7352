"""A news site on a loopback port: feed, WordPress and article pages, changed while it runs.

What tests (and the demo) point a source at. It speaks HTTP as real sites do: validators, 304, gzip, redirects, and
on demand every way in which a site misbehaves.
"""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from distributor.sources import sandbox_pages as pages
from distributor.sources.sandbox_pages import Story


@dataclass(frozen=True)
class Call:
    """One request as it came; header names in lower case."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    method: str = "GET"


@dataclass(frozen=True)
class Reply:
    """What goes back. `cut` closes the connection after that many bytes of the body."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None


class NewsSite:
    """The site. Thread-safe; `calls` lists what was asked, newest last.

    `weak_etags` marks every ETag W/ as a CDN does; `rest_is_blocked` answers the REST API with 401;
    `now` gives the time of corrections (aware UTC).
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC), title: str = "The Sandbox") -> None:
        self.title = title
        self.calls: list[Call] = []
        self.weak_etags = self.rest_is_blocked = False
        self.has_validators = True
        self.headers: dict[str, str] = {}
        self._now = now
        self._stories: list[Story] = []
        self._files: dict[str, Reply] = {}
        self._script: dict[str, deque[Reply]] = {}
        self._lock = threading.RLock()
        self._server = _Server(("127.0.0.1", 0), self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.place = self.url.removeprefix("http://")
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def publish(self, story: Story) -> Story:
        """Put a story on top of the feed; a story without a time is published now."""
        moment = story.published_at or self._now()
        with self._lock:
            story = replace(story, id=story.id or len(self._stories) + 1, published_at=moment)
            self._stories.insert(0, replace(story, updated_at=story.updated_at or moment))
            return self._stories[0]

    def correct(self, slug: str, **changes: Any) -> Story:
        """Change fields of a published story; its modification time is now unless it is among the changes."""
        with self._lock:
            index = next(index for index, story in enumerate(self._stories) if story.slug == slug)
            self._stories[index] = replace(self._stories[index], **{"updated_at": self._now(), **changes})
            return self._stories[index]

    def withdraw(self, slug: str) -> None:
        """Take a story off the site: gone from feed and API, its page is 404."""
        with self._lock:
            self._stories = [story for story in self._stories if story.slug != slug]

    def put(self, path: str, body: bytes, content_type: str = "application/octet-stream") -> str:
        """Serve these bytes at a path; returns the whole address."""
        with self._lock:
            self._files[path] = Reply(200, body, {"Content-Type": content_type})
        return self.url + path

    def answer_next(self, path: str, *replies: Reply) -> None:
        """What the next requests for this path get instead, one each."""
        with self._lock:
            self._script.setdefault(path, deque()).extend(replies)

    def stories(self) -> list[Story]:
        """What is published, newest first."""
        with self._lock:
            return list(self._stories)

    def answer(self, call: Call) -> Reply:
        """The reply to one request; the script comes first."""
        with self._lock:
            self.calls.append(call)
            scripted = self._script.get(call.path)
            if scripted:
                return scripted.popleft()
            return self._validate(call, self._route(call))

    def _route(self, call: Call) -> Reply:
        path, stories = call.path, self._stories
        if path in self._files:
            return self._files[path]
        makers = {"/feed/": pages.rss, "/feed/atom/": pages.atom, "/feed.json": pages.json_feed}
        if path in makers:
            body, content_type = makers[path](self.title, self.url, stories)
            return Reply(200, body, {"Content-Type": content_type, **self.headers})
        route = call.query.get("rest_route") or path.removeprefix("/wp-json")
        if path.startswith("/wp-json") or "rest_route" in call.query:
            return self._rest(route, call)
        if path == "/":
            link = f'<{self.url}/wp-json/>; rel="https://api.w.org/"'
            return Reply(200, pages.home(self.title, stories), {"Content-Type": "text/html", "Link": link})
        story = next((story for story in stories if story.path == path), None)
        if story:
            return Reply(200, pages.article(self.url, story), {"Content-Type": "text/html; charset=utf-8"})
        return Reply(404, b"<html><title>Not found</title></html>", {"Content-Type": "text/html"})

    def _rest(self, route: str, call: Call) -> Reply:
        if self.rest_is_blocked:
            return Reply(
                401, b'{"code":"rest_login_required","message":"no"}', {"Content-Type": "application/json"}
            )
        status, body, headers = pages.rest(route, call.query, self.url, self._stories)
        return Reply(status, body, {"Content-Type": "application/json; charset=UTF-8", **headers})

    def _validate(self, call: Call, reply: Reply) -> Reply:
        """Validators as WordPress has them: both sent means both must match, the ETag compared as text."""
        if not self.has_validators or reply.status != 200:
            return reply
        changed = max((story.updated_at or self._now() for story in self._stories), default=None)
        if changed is None:
            return reply
        modified = format_datetime(changed.astimezone(UTC).replace(microsecond=0), usegmt=True)
        strong = f'"{hashlib.blake2b(reply.body, digest_size=8).hexdigest()}"'
        shown = f"W/{strong}" if self.weak_etags else strong
        headers = {**reply.headers, "ETag": shown, "Last-Modified": modified}
        asked = call.headers.get("if-none-match"), call.headers.get("if-modified-since")
        matches = (asked[0] in (None, strong)) and (asked[1] in (None, modified))
        return Reply(304, b"", headers) if any(asked) and matches else replace(reply, headers=headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], site: NewsSite) -> None:
        super().__init__(address, _Connection)
        self.site = site

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away in the middle are what limits are about."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        return

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.site.answer(Call(parts.path, dict(parse_qsl(parts.query)), headers, self.command))
        body = reply.body
        sent = dict(reply.headers)
        if len(body) > 500 and "gzip" in headers.get("accept-encoding", "") and "Content-Encoding" not in sent:
            body, sent["Content-Encoding"] = gzip.compress(body, mtime=0), "gzip"
        self.send_response(reply.status)
        for name, value in sent.items():
            self.send_header(name, value)
        if reply.status != 304 and "Content-Length" not in sent and "Transfer-Encoding" not in sent:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if reply.cut is None else body[: reply.cut])
        self.close_connection = self.close_connection or reply.cut is not None

    do_HEAD = do_GET
