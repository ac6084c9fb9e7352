"""uvicorn's HTTP protocol with a short way for redirects, on the same port as everything else.

A request that is whole, plain and for a known link is answered on the connection without a parser or a task: about
a tenth of what the ASGI way costs. Everything else is handed to uvicorn byte for byte.

The clicks of one turn of the loop are one `write()`, and their readers are answered after it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from distributor.web.public.clicks import ClickJournal
from distributor.web.public.heads import read_head
from distributor.web.public.redirect import REDIRECT_HEADERS, Redirects
from distributor.web.public.traits import cut_address, find_network, format_record

log = logging.getLogger(__name__)

#: A request line and headers longer than this are refused; uvicorn alone would read on for ever.
LONGEST_HEAD = 65_536
#: Clicks written at once at most.
LARGEST_BATCH = 256

_PATH = re.compile(rb"([0-9A-Za-z]{1,32})\?[\x21-\x7e]*")
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_MANY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_ENDING = b"".join(b"\r\n%s: %s" % pair for pair in REDIRECT_HEADERS) + b"\r\n\r\n"
_VERSIONS = (b" HTTP/1.1\r\n", b" HTTP/1.0\r\n")
_ZERO = ord("0")
_LAST_ENDING = b"\r\nconnection: close" + _ENDING


class Batch:
    """The clicks of one turn of the loop and the answers to them: the clicks are written first."""

    def __init__(self, journal: ClickJournal) -> None:
        self._journal = journal
        self._records: list[bytes] = []
        self._answers: list[tuple[asyncio.Transport, bytes, bool]] = []

    def add(self, loop: asyncio.AbstractEventLoop, record: bytes, answer: tuple[Any, bytes, bool]) -> None:
        """`answer` is the transport, the bytes, and whether it is the last on its connection."""
        self._records.append(record)
        self._answers.append(answer)
        count = len(self._records)
        if count == 1:
            loop.call_soon(self.flush)
        elif count >= LARGEST_BATCH:
            self.flush()

    def flush(self) -> None:
        records, answers = self._records, self._answers
        if not records:
            return
        self._records, self._answers = [], []
        self._journal.append(b"".join(records), len(records))
        for transport, answer, is_last in answers:
            if not transport.is_closing():
                transport.write(answer)
                if is_last:
                    transport.close()


class FastPath(HttpToolsProtocol):
    """Made into a class of its own for each `Redirects` by `make_protocol`."""

    redirects: ClassVar[Redirects]
    batch: ClassVar[Batch]
    #: How long a client may take for the head of a request, and for its body.
    head_seconds: ClassVar[float] = 30.0
    body_seconds: ClassVar[float] = 60.0
    most_connections: ClassVar[int] = 4096

    _is_mid_message = False
    _is_mid_head = False
    _is_last = False
    _head_size = 0
    _until = 0.0
    _last_answer = 0.0
    #: What another process has read from this connection before it gave it to us.
    read_before = b""
    #: The peer's own, found once for the whole connection, and whether it may speak for others.
    _network = b""
    _is_proxy = False
    # The status line with uvicorn's date and server headers; uvicorn makes a new list each second.
    _opening: ClassVar[tuple[Any, bytes]] = (None, b"")
    _told_full_at: ClassVar[float] = float("-inf")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer = self.client[0] if self.client else ""
        self._network, self._is_proxy = cut_address(peer), self.redirects.proxies.is_ours(peer)
        if len(self.connections) > self.most_connections:
            self._turn_away()
            return
        # Who connects and says nothing is let go as well.
        self._last_answer = self.loop.time()
        self._set_timer(self.timeout_keep_alive)
        if self.read_before:
            self.data_received(self.read_before)

    def data_received(self, data: bytes) -> None:
        at, size = 0, len(data)
        if self._is_free():
            while at < size and (end := self._answer_simple(data, at)):
                at = end
        if at < size and not self._is_last:
            # What was answered before must be on its way before what comes after it.
            self.batch.flush()
            self._pass_on(data[at:])

    def _pass_on(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_message(len(data))

    def _is_free(self) -> bool:
        """Between two requests, with nothing owed and nothing queued."""
        if self._is_mid_message or self._is_last:
            return False
        cycle = self.cycle
        return (cycle is None or cycle.response_complete) and not self.flow.write_paused

    def _answer_simple(self, data: bytes, at: int) -> int:
        """Where the request at `at` ends, when it is answered now and another may follow; else 0."""
        found = find_link(data, at, self.redirects.links.known)
        if found is None:
            return 0
        method, slug, location, head_at = found
        end = data.find(b"\r\n\r\n", head_at - 2)
        if end < 0 or end - at > LONGEST_HEAD or self.transport.is_closing():
            return 0
        read = read_head(data[head_at:end])
        if read is None:
            return 0
        traits, wants_close = read
        network = self._network
        if self._is_proxy and traits.forwarded:
            network = find_network(self.client[0] if self.client else "", self.redirects.proxies, traits)
        record = format_record(self.redirects.now(), slug, method, network, traits)
        self._is_last = is_last = wants_close or data[head_at - 3] == _ZERO
        ending = _LAST_ENDING if is_last else _ENDING
        answer = b"%slocation: %s%s" % (self._open_answer(), location, ending)
        self.batch.add(self.loop, record, (self.transport, answer, is_last))
        self.server_state.total_requests += 1
        self._last_answer = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._set_timer(self.timeout_keep_alive)
        return 0 if is_last else end + 4

    def _open_answer(self) -> bytes:
        defaults = self.server_state.default_headers
        known, opening = self._opening
        if known is not defaults:
            opening = b"HTTP/1.1 302 Found\r\n" + b"".join(b"%s: %s\r\n" % pair for pair in defaults)
            type(self)._opening = (defaults, opening)
        return opening

    def _turn_away(self) -> None:
        """Files are left for the database, the mail and who is here already."""
        self.transport.write(_TOO_MANY)
        self.transport.close()
        self._is_last = True
        if self.loop.time() > self._told_full_at + 60.0:
            type(self)._told_full_at = self.loop.time()
            log.warning("%d connections are open, more are turned away with 503", self.most_connections)

    def timeout_keep_alive_handler(self) -> None:
        """Moving the timer at each answer would cost more than the answer: it is moved when it rings."""
        left = self._last_answer + self.timeout_keep_alive - self.loop.time()
        if left > 0 and not self._is_mid_message:
            self._set_timer(left)
        elif self.transport.get_write_buffer_size():
            # Somebody who does not read his answer would keep a close waiting for ever.
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def _set_timer(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _watch_message(self, size: int) -> None:
        """A message that is not all there has its time, and its head a size as well."""
        if not self._is_mid_message or self.transport.is_closing():
            return
        self._head_size += size if self._is_mid_head else 0
        if self._head_size > LONGEST_HEAD:
            self.transport.write(_TOO_LARGE)
            self.transport.close()
        elif self.timeout_keep_alive_task is None:
            self._set_timer(max(self._until - self.loop.time(), 0.0))

    def on_message_begin(self) -> None:
        self._is_mid_message = self._is_mid_head = True
        self._head_size = 0
        self._until = self.loop.time() + self.head_seconds
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_mid_head = False
        self._until = self.loop.time() + self.body_seconds
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_mid_message = False
        super().on_message_complete()


def find_link(data: bytes, at: int, known: Mapping[bytes, bytes]) -> tuple[bytes, bytes, bytes, int] | None:
    """Method, slug, address and where the headers begin, of a request line at `at` for a known link."""
    if data.startswith(b"GET /l/", at):
        method, path_at = b"GET", at + 7
    elif data.startswith(b"HEAD /l/", at):
        method, path_at = b"HEAD", at + 8
    else:
        return None
    space = data.find(b" ", path_at)
    slug = data[path_at:space]
    location = known.get(slug)
    if location is None:
        found = _PATH.fullmatch(slug)
        if found is None or (location := known.get(slug := found[1])) is None:
            return None
    version = data[space : space + 11]
    return (method, slug, location, space + 11) if version in _VERSIONS else None
