"""The web application on a real port over a real database, and a client that says exactly what it is told to."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from distributor.core.contracts import Site
from distributor.core.errors import StorageError, TemplateError
from distributor.core.tokens import sign_unsubscribe
from distributor.storage import Storage
from distributor.storage.tables import metadata
from distributor.web.app import create_app
from distributor.web.parts import WebParts
from distributor.web.server import WebServer
from tests.canaries import CONSOLE, look_at
from tests.storage.scene import add_edition, add_readers

NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
SITE = Site("The Daily Example", "https://go.example.org", "Europe/Kyiv")
VIEW = "0123456789abcdef"
LETTER = "<!doctype html><title>Morning</title><p>Harbour tunnel opens"
KEY = CONSOLE


def render_nothing(name: str, context: Mapping[str, Any]) -> str:
    raise TemplateError("there is no such template", name)


def make_parts(storage: Any, **changes: Any) -> WebParts:
    parts = WebParts(
        site=SITE,
        stores=storage,
        clock=lambda: NOW,
        render_page=render_nothing,
        view=lambda token: LETTER if token == VIEW else "",
        channels=["letter", "tg"],
        sources=["front"],
    )
    return replace(parts, **changes)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Browser:
    """Opens a connection for each request."""

    port: int

    def ask(
        self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: Any = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}), encode_chunked=False)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            body = answer.read()
            look_at(f"{found} {body.decode('utf-8', 'replace')}", path)
            return Answer(answer.status, found, body)
        finally:
            connection.close()


@contextlib.contextmanager
def serving(parts: WebParts) -> Iterator[Browser]:
    server = WebServer(create_app(parts), "127.0.0.1", 0)
    server.start()
    try:
        yield Browser(server.port)
    finally:
        server.stop()


def add_letter(storage: Storage, readers: int = 3) -> int:
    """A letter that went to the list "readers"; returns the edition's number."""
    add_readers(storage, NOW, readers)
    return add_edition(storage, NOW, channel="letter", list_name="readers")


def make_token(storage: Storage, subscriber_id: int, edition_id: int) -> str:
    return sign_unsubscribe(storage.secret, subscriber_id, edition_id)


def dump(storage: Storage) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with storage.database.read() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }


class Away:
    """Stores whose database cannot be reached, whatever is asked of them."""

    secret = b"s" * 32

    def __getattr__(self, name: str) -> Any:
        return _AwayStore()


class _AwayStore:
    def __getattr__(self, name: str) -> Any:
        def refuse(*arguments: Any, **named: Any) -> Any:
            raise StorageError("secret-label: the database server cannot be reached; is it running?")

        return (lambda: "secret-label: cannot be reached") if name == "find_problem" else refuse
