"""uvicorn's HTTP protocol with a short way for redirects, on the same port as everything else.

A request that is whole, plain and for a known link is answered on the connection without a parser or a task: about
a sixth of what the ASGI way costs. Everything else is handed to uvicorn byte for byte.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from distributor.web.public.clicks import READ_HEADERS, Traits, find_network, format_record, read_traits
from distributor.web.public.redirect import REDIRECT_HEADERS, Redirects

#: A request line and headers longer than this are refused; uvicorn alone would read on for ever.
LONGEST_HEAD = 65_536

_SIMPLE = re.compile(rb"(GET|HEAD) /l/([0-9A-Za-z]{1,32})(?:\?[\x21-\x7e]*)? HTTP/1\.1(?=\r\n)")
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
#: A request with one of these may have a body or want more than an answer.
_ODD = frozenset((b"content-length", b"transfer-encoding", b"expect", b"upgrade"))
_WANTED = frozenset((*READ_HEADERS, *_ODD, b"connection"))
_ENDING = b"".join(b"\r\n%s: %s" % pair for pair in REDIRECT_HEADERS) + b"\r\n\r\n"
_CONTROLS = bytes((*range(32), 127))


class FastPath(HttpToolsProtocol):
    """Made into a class of its own for each `Redirects` by `make_protocol`."""

    redirects: ClassVar[Redirects]
    #: How long a client may take for the head of a request.
    head_seconds: ClassVar[float] = 30.0

    _is_mid_message = False
    _is_mid_head = False
    _head_size = 0
    _head_until = 0.0
    _last_answer = 0.0
    _network: bytes | None = None
    # The status line with uvicorn's date and server headers; uvicorn makes a new list each second.
    _opening: ClassVar[tuple[Any, bytes]] = (None, b"")

    def data_received(self, data: bytes) -> None:
        while data and self._is_free():
            used = self._answer_simple(data)
            if not used:
                break
            data = data[used:]
        if data:
            super().data_received(data)
            self._watch_head(len(data))

    def _is_free(self) -> bool:
        """Between two requests, with nothing owed and nothing queued."""
        if self._is_mid_message or self.limit_concurrency is not None:
            return False
        cycle = self.cycle
        return (cycle is None or cycle.response_complete) and not self.flow.write_paused

    def _answer_simple(self, data: bytes) -> int:
        """How many bytes of `data` were a request that is answered now; 0 when its beginning is not simple."""
        request = _SIMPLE.match(data)
        if request is None:
            return 0
        method, slug = request.groups()
        redirects = self.redirects
        location = redirects.links.known.get(slug)
        start = request.end()
        size = data.find(b"\r\n\r\n", start) + 4
        if location is None or not 4 <= size <= LONGEST_HEAD:
            return 0
        traits = read_head(data[start + 2 : size - 4])
        if traits is None or self.transport.is_closing():
            return 0
        network = self._find_network(traits)
        redirects.journal.append(format_record(redirects.now(), slug, method, network, traits))
        self.transport.write(b"%slocation: %s%s" % (self._open_answer(), location, _ENDING))
        self.server_state.total_requests += 1
        self._last_answer = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._set_timer(self.timeout_keep_alive)
        return size

    def _find_network(self, traits: Traits) -> bytes:
        """Of a peer that is no proxy it is found once for the whole connection."""
        if self._network is not None:
            return self._network
        peer = self.client[0] if self.client else ""
        is_proxy = self.redirects.proxies.is_ours(peer)
        network = find_network(peer, is_proxy, traits)
        if not is_proxy:
            self._network = network
        return network

    def _open_answer(self) -> bytes:
        defaults = self.server_state.default_headers
        known, opening = self._opening
        if known is not defaults:
            opening = b"HTTP/1.1 302 Found\r\n" + b"".join(b"%s: %s\r\n" % pair for pair in defaults)
            type(self)._opening = (defaults, opening)
        return opening

    def timeout_keep_alive_handler(self) -> None:
        """Moving the timer at each answer would cost more than the answer: it is moved when it rings."""
        left = self._last_answer + self.timeout_keep_alive - self.loop.time()
        if left > 0 and not self._is_mid_head:
            self._set_timer(left)
        else:
            super().timeout_keep_alive_handler()

    def _set_timer(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _watch_head(self, size: int) -> None:
        if not self._is_mid_head or self.transport.is_closing():
            return
        self._head_size += size
        if self._head_size > LONGEST_HEAD:
            self.transport.write(_TOO_LARGE)
            self.transport.close()
        elif self.timeout_keep_alive_task is None:
            self._set_timer(max(self._head_until - self.loop.time(), 0.0))

    def on_message_begin(self) -> None:
        self._is_mid_message = self._is_mid_head = True
        self._head_size = 0
        self._head_until = self.loop.time() + self.head_seconds
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_mid_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_mid_message = False
        super().on_message_complete()


@lru_cache(maxsize=1024)
def read_head(head: bytes) -> Traits | None:
    """The header lines of a request, without the empty line. None when uvicorn's parser should look at them.

    Remembered, because browsers of one build send the same lines each time.
    """
    lines = head.split(b"\r\n")
    if len(head.translate(None, _CONTROLS)) != len(head) - 2 * (len(lines) - 1):
        return None
    if b" :" in head or b"\r\n " in head:
        return None
    headers = {}
    for line in lines:
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in _WANTED:
            headers[name] = value.strip()
    is_odd = not _ODD.isdisjoint(headers) or headers.get(b"connection", b"keep-alive") != b"keep-alive"
    return None if is_odd else read_traits(headers)
