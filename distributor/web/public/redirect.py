"""`GET /l/<slug>`: away at once, the click on disk first, counted later.

The redirector takes an id and never an address. What it knows is in memory, so a locked database stops nobody;
a slug that is not in memory is looked up in the database, and one that is not there either is a plain 404.

302 with `Cache-Control: no-store`: each click comes here. `X-Robots-Tag: noindex`. No `Referrer-Policy`: it would
replace what the page with the link chose, and with it what the article's own statistics see.
"""

from __future__ import annotations

import asyncio
import logging
import re
import resource
import socket
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from distributor.core.errors import StorageError
from distributor.core.links import ascii_url, is_safe_target
from distributor.web.public.clicks import ClickJournal
from distributor.web.public.traits import Proxies, find_network, format_record, read_traits

log = logging.getLogger(__name__)

PREFIX = "/l/"
#: Links held in memory, the newest; about 250 bytes each.
CAPACITY = 100_000
#: Seconds for which a slug that the database does not know is not asked for again.
MISS_SECONDS = 5.0
_MISSES = 10_000
MOST_CONNECTIONS = 4096
#: Files and connections that the rest of the program may need: the database, mail, journals.
FILES_FOR_OTHERS = 200

REDIRECT_HEADERS: list[tuple[bytes, bytes]] = [
    (b"cache-control", b"no-store"),
    (b"x-robots-tag", b"noindex"),
    (b"content-length", b"0"),
]
_PAGE_HEADERS: list[tuple[bytes, bytes]] = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-robots-tag", b"noindex"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
]
#: Where links stand in running text, what follows them is sometimes taken along.
_SLUG = re.compile(r"([0-9A-Za-z]{1,32})[/.,:;!?)\]}>'\"’”»…]*", re.ASCII)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""


class LinkMap:
    """slug -> address, as it stands in a Location header.

    `find` asks the database for one slug, `list_after(id)` gives (id, slug, target) of links with a greater id in
    order, as many as it likes. Both may raise StorageError. Safe to use from several threads.
    """

    def __init__(
        self,
        find: Callable[[str], str | None],
        list_after: Callable[[int], Sequence[tuple[int, str, str]]],
        clock: Callable[[], float],
        *,
        capacity: int = CAPACITY,
    ) -> None:
        self._find = find
        self._list_after = list_after
        self._clock = clock
        self._capacity = capacity
        self._last_id = 0
        self._missed: dict[str, float] = {}
        #: In memory, by slug. The redirect's own path reads it as it is.
        self.known: dict[bytes, bytes] = {}

    def look_up(self, slug: str) -> bytes | None:
        """From memory, else from the database: blocks while it answers. None for a slug that leads nowhere."""
        location = self.known.get(slug.encode())
        if location is not None:
            return location
        if self._missed.get(slug, 0.0) > self._clock():
            return None
        target = self._find(slug)
        location = None if target is None else self._remember(slug, target)
        if location is None:
            self._miss(slug)
        return location

    def refresh(self) -> int:
        """Take in the links made since the last call; how many. Blocks."""
        count = 0
        while rows := self._list_after(self._last_id):
            for link_id, slug, target in rows:
                self._remember(slug, target)
                self._last_id = max(self._last_id, link_id)
            count += len(rows)
        return count

    def _remember(self, slug: str, target: str) -> bytes | None:
        if not is_safe_target(target):
            log.error("the link %s leads to an address that is not safe to redirect to", slug)
            return None
        location = ascii_url(target).encode("ascii")
        self.known[slug.encode()] = location
        while len(self.known) > self._capacity:
            self.known.pop(next(iter(self.known)), None)
        return location

    def _miss(self, slug: str) -> None:
        if len(self._missed) >= _MISSES:
            self._missed = {}
        self._missed[slug] = self._clock() + MISS_SECONDS


async def keep_fresh(
    links: LinkMap, journal: ClickJournal, *, every: float = 2.0, rotate_every: float = 600.0
) -> None:
    """Until cancelled: take in new links, and let no journal file stay open for long."""
    loop = asyncio.get_running_loop()
    rotate_at = loop.time() + rotate_every
    while True:
        try:
            await asyncio.to_thread(links.refresh)
        except StorageError as error:
            log.warning("new links are not known yet: %s", error)
        if loop.time() >= rotate_at:
            journal.rotate()
            rotate_at = loop.time() + rotate_every
        await asyncio.sleep(every)


class Redirects:
    """The redirect as an ASGI application, and `beyond` for every path that is not under /l/.

    It stands before the router and not in it: a router that mends slashes answers with an address made of the
    request's own Host header. `now` gives milliseconds since the epoch, `not_found` is the page for unknown links.
    """

    def __init__(
        self,
        links: LinkMap,
        journal: ClickJournal,
        now: Callable[[], int],
        *,
        beyond: Application,
        not_found: bytes = b"Not found\n",
        proxies: Proxies | None = None,
    ) -> None:
        self.proxies = proxies or Proxies()
        self.beyond = beyond
        self.links = links
        self.journal = journal
        self.now = now
        self.not_found = not_found

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self.beyond(scope, receive, send)
            return
        answer = await self._answer(scope)
        start = {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
        await send(start)
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    async def _answer(self, scope: Scope) -> Answer:
        if scope["method"] not in ("GET", "HEAD"):
            return Answer(405, [(b"allow", b"GET, HEAD"), (b"content-length", b"0")])
        found = _SLUG.fullmatch(scope["path"].removeprefix(PREFIX))
        slug = found[1] if found else ""
        location = self.links.known.get(slug.encode())
        if location is None and slug:
            try:
                location = await asyncio.to_thread(self.links.look_up, slug)
            except StorageError as error:
                log.warning("the link %s cannot be looked up: %s", slug, error)
                return _make_page(503, b"Please try again in a minute.\n", [(b"retry-after", b"5")])
        if location is None:
            return _make_page(404, self.not_found)
        self._record(scope, slug.encode())
        return Answer(302, [(b"location", location), *REDIRECT_HEADERS])

    def _record(self, scope: Scope, slug: bytes) -> None:
        peer = scope.get("client") or ("", 0)
        traits = read_traits(dict(scope["headers"]))
        network = find_network(peer[0], self.proxies, traits)
        record = format_record(self.now(), slug, scope["method"].encode(), network, traits)
        self.journal.append(record)


def make_protocol(redirects: Redirects, way: socket.socket | None = None) -> type[asyncio.Protocol]:
    """For uvicorn's `http=`: known links are answered right on the connection, the rest as ever.

    uvicorn's application must be the same `redirects`: what is odd in any way (a body, a part of a request, a slug
    not in memory) goes there. The class belongs to one event loop. With a `way` to the process that has the pages,
    connections that ask for anything but links go there.
    """
    from distributor.web.public.fast_path import Batch
    from distributor.web.public.hand_over import HandingOver

    own = {"redirects": redirects, "batch": Batch(redirects.journal), "way": way}
    return type("RedirectProtocol", (HandingOver,), {**own, "most_connections": find_room()})


def find_room() -> int:
    """Connections that may be open at a time: as many as leave files for the rest of the program."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return max(min(MOST_CONNECTIONS, allowed - FILES_FOR_OTHERS), FILES_FOR_OTHERS // 2)


def _make_page(status: int, body: bytes, more: Sequence[tuple[bytes, bytes]] = ()) -> Answer:
    length = (b"content-length", str(len(body)).encode())
    return Answer(status, [*_PAGE_HEADERS, length, *more], body)
