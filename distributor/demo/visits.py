"""People and programs that follow links, over real HTTP. Nobody here ever leaves this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape
from http.client import HTTPConnection
from urllib.parse import parse_qs, urlsplit

_TITLE = re.compile(r'<meta property="og:title" content="([^"]*)"')
_PAGE = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who follows: what their program says about itself."""

    name: str
    agent: str
    headers: dict[str, str] = field(default_factory=dict)


def _person(name: str, agent: str) -> Visitor:
    return Visitor(name, f"Mozilla/5.0 {agent}", {"Accept": _PAGE, "Sec-Fetch-Dest": "document"})


CHROME = _person(
    "Chrome on Windows",
    "(Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Safari/537.36",
)
FIREFOX = _person("Firefox on Linux", "(X11; Linux x86_64; rv:151.0) Gecko/20100101 Firefox/151.0")
IPHONE = _person(
    "Safari on an iPhone",
    "(iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 "
    "Mobile/15E148 Safari/604.1",
)
ANDROID = _person(
    "Chrome on Android",
    "(Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Mobile Safari/537.36",
)
EDGE = _person(
    "Edge on Windows",
    "(Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Safari/537.36 "
    "Edg/149.0.0.0",
)
TELEGRAM_BOT = Visitor("Telegram's link preview", "TelegramBot (like TwitterBot)")
X_BOT = Visitor("X's link preview", "Twitterbot/1.0")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    location: str
    page: str

    @property
    def headline(self) -> str:
        """What an article page calls itself; "" for other pages."""
        found = _TITLE.search(self.page)
        return unescape(found[1]) if found else ""


def call(url: str, visitor: Visitor, method: str = "GET", form: str = "") -> Answer:
    """One request to this machine; ValueError for any other host."""
    parts = urlsplit(url)
    if parts.hostname != "127.0.0.1":
        raise ValueError(f"the demo does not leave this machine: {url}")
    connection = HTTPConnection("127.0.0.1", parts.port or 80, timeout=_TIMEOUT)
    headers = {"User-Agent": visitor.agent, **visitor.headers}
    if form:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        connection.request(method, target, form.encode() or None, headers)
        answer = connection.getresponse()
        page = answer.read().decode("utf-8", "replace")
        return Answer(answer.status, answer.getheader("Location", ""), page)
    finally:
        connection.close()


def follow(url: str, visitor: Visitor) -> Answer:
    """Follow a tracked link to the page it leads to."""
    answer = call(url, visitor)
    return call(answer.location, visitor) if answer.status == 302 else answer


def unpack_share(url: str) -> str:
    """The link that a share page (x.com, t.me) would pass on; "" when there is none in its address."""
    return parse_qs(urlsplit(url).query).get("url", [""])[0]
