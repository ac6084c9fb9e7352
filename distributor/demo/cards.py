"""Link previews, fetched as services fetch them: by a program of their own, which the click report counts apart."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from html import unescape
from urllib.parse import urlsplit

from distributor.demo.visits import Visitor, follow

_META = re.compile(r'<meta property="og:([a-z_:]+)" content="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Card:
    """What a page says about itself to those who link to it."""

    title: str
    description: str = ""
    image: str = ""
    host: str = ""


class Cards:
    """One service's previews: every address is looked at once, by the service's own program. Thread-safe."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self._lock = threading.Lock()
        self._known: dict[str, Card | None] = {}

    def find(self, url: str) -> Card | None:
        """The card of an address; None for a page without one, or that cannot be read."""
        with self._lock:
            if url not in self._known:
                self._known[url] = self._fetch(url)
            return self._known[url]

    def _fetch(self, url: str) -> Card | None:
        try:
            page = follow(url, self._visitor).page
        except (OSError, ValueError):
            return None
        return read_card(page)


def read_card(page: str) -> Card | None:
    """The card of a page with og tags."""
    found = {name: unescape(value) for name, value in _META.findall(page)}
    if "title" not in found:
        return None
    host = urlsplit(found.get("url", "")).netloc
    return Card(found["title"], found.get("description", ""), found.get("image", ""), host)
