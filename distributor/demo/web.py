"""A small web server on 127.0.0.1: one function answers, validators and the checks of a careful host are here."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote

HTML = "text/html; charset=utf-8"
_LONGEST_FORM = 10_000


@dataclass(frozen=True, slots=True)
class Request:
    """Header names are in lower case; `path` is decoded."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_conditional(self) -> bool:
        return "if-none-match" in self.headers or "if-modified-since" in self.headers


@dataclass(frozen=True, slots=True)
class Response:
    body: bytes
    kind: str = HTML
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    changed_at: datetime | None = None


def redirect(path: str) -> Response:
    return Response(b"", status=303, headers={"Location": path})


def not_found(words: str = "There is no such page.") -> Response:
    return Response(words.encode(), "text/plain; charset=utf-8", 404)


Answer = Callable[[Request], Response]


class WebSite:
    """Serves `answer` until `stop`. OSError from `start` when the port is taken."""

    def __init__(self, answer: Answer, port: int = 0) -> None:
        self.answer = answer
        self.port = port
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server = _Server(("127.0.0.1", self.port), self)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def respond(self, request: Request) -> Response:
        """The answer, or why there is none: another host's name, or a form that another site sent."""
        if request.headers.get("host") not in (f"127.0.0.1:{self.port}", f"localhost:{self.port}"):
            return Response(b"This is not the host you asked for.", status=421)
        if request.method == "POST" and request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return Response(b"Only the demo's own pages have buttons.", status=403)
        try:
            response = self.answer(request)
        except Exception as error:  # whatever it is, the visitor gets a sentence instead of a dead connection
            words = f"This page cannot be shown now ({type(error).__name__}: {error}). Please reload it."
            return Response(words.encode(), "text/plain; charset=utf-8", 500)
        return _revalidate(request, response) if response.status == 200 else response


def _revalidate(request: Request, response: Response) -> Response:
    """304 for who has it already; the ETag is of the bytes."""
    tag = f'"{hashlib.blake2b(response.body, digest_size=9).hexdigest()}"'
    headers = {"Cache-Control": "no-cache", "ETag": tag, **response.headers}
    if response.changed_at is not None:
        headers["Last-Modified"] = format_datetime(response.changed_at, usegmt=True)
    if _is_fresh(request, tag, response.changed_at):
        return Response(b"", response.kind, 304, headers)
    return Response(response.body, response.kind, 200, headers)


def _is_fresh(request: Request, tag: str, changed_at: datetime | None) -> bool:
    wanted = request.headers.get("if-none-match")
    if wanted is not None:
        return wanted.strip() == "*" or tag in [one.strip().removeprefix("W/") for one in wanted.split(",")]
    since = request.headers.get("if-modified-since")
    if since is None or changed_at is None:
        return False
    with contextlib.suppress(ValueError, TypeError):
        return parsedate_to_datetime(since) >= changed_at
    return False


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], site: WebSite) -> None:
        super().__init__(address, _Connection)
        self.site = site

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle is nothing to report."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """The demo's terminal is for its own words."""

    def serve(self) -> None:
        response = self.server.site.respond(self._read())
        self.send_response_only(response.status, HTTPStatus(response.status).phrase)
        self.send_header("Content-Type", response.kind)
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status != 304:
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    do_GET = do_HEAD = do_POST = serve

    def _read(self) -> Request:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        size = min(int(headers.get("content-length") or 0), _LONGEST_FORM)
        form = dict(parse_qsl(self.rfile.read(size).decode("utf-8", "replace"))) if size else {}
        return Request(self.command, unquote(path), dict(parse_qsl(query)), headers, form)
