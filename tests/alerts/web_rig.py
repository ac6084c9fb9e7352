"""A web server on loopback that remembers what it was asked, and answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Post:
    """Where webhooks and pings arrive. `statuses` are the next answers, then 204."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.statuses: list[int] = []
        post = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.take()

            def do_GET(self) -> None:
                self.take()

            def take(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                post.asked.append((self.command, self.path, body))
                self.send_response(post.statuses.pop(0) if post.statuses else 204)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def texts(self) -> list[str]:
        return [json.loads(body)["text"] for method, _, body in self.asked if method == "POST"]

    def read(self, number: int = -1) -> Any:
        return json.loads(self.asked[number][2])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def open_post() -> Iterator[Post]:
    post = Post()
    try:
        yield post
    finally:
        post.close()
