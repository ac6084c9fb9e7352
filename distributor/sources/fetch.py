"""The one client for every address that a person or a feed gave us."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from distributor.core.errors import SourceError
from distributor.sources.guard import Guard, Place, Resolve, read_place
from distributor.sources.wire import Answer, Connection, ConnectionLost, FetchLimits, connect, decode_body

__all__ = ["FetchLimits", "Fetched", "Fetcher"]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PERMANENT = frozenset({301, 308})
_KEEP_SECONDS = 55.0
_KEEP_PER_ORIGIN = 2
_KEEP_IN_ALL = 200


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer of any status. `url` is where it came from after redirects; `body` is decompressed.

    `headers` have lower-case names. `moved_to` is the end of the permanent redirects (301, 308) that stood at the
    beginning of the way, None when there were none.
    """

    status: int
    url: str
    headers: Mapping[str, str]
    body: bytes
    moved_to: str | None = None


class Fetcher:
    """GETs pages from hosts that nobody vouches for. Synchronous, safe for many threads, one pool of connections.

    Every name is resolved once, every one of its addresses is checked against our own table, and the connection
    goes to an address that was checked, for each redirect anew. Ports 80 and 443, no proxies from the environment,
    no cookies, no credentials. `allow_private` names networks and hosts that are let through, on any port or on the
    one they name; ValueError for an entry that is neither.
    """

    def __init__(
        self,
        *,
        allow_private: Sequence[str] = (),
        user_agent: str = "distributor",
        limits: FetchLimits | None = None,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.limits = limits or FetchLimits()
        self._guard = Guard(allow_private, resolve)
        self._user_agent = _header_value(user_agent)
        self._given_tls = tls
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, str, int], list[Connection]] = {}
        self._swept_at = 0.0

    def fetch(self, url: str, *, headers: Mapping[str, str] | None = None) -> Fetched:
        """The answer of this address, redirects followed; SourceError when there is none within the limits.

        Any status is an answer: what 304, 404 or 503 mean is for the caller to say.
        """
        deadline = time.monotonic() + self.limits.seconds
        place, answer, moved_to = self._follow(url, lambda place: self._ask(place, headers or {}, deadline))
        body = decode_body(place.host, answer, self.limits)
        return Fetched(answer.status, place.url, answer.headers, body, moved_to)

    def look(self, url: str, method: str, seconds: float) -> int:
        """The status of this address, redirects followed; no body is waited for. SourceError as `fetch`."""
        limits = replace(self.limits, seconds=seconds)
        deadline = time.monotonic() + seconds

        def ask(place: Place) -> Answer:
            request = self._write_request(place, {"Cache-Control": "no-cache", "Connection": "close"}, method)
            connection = self._connect(place, deadline)
            try:
                return connection.ask(request, deadline, limits, is_head_enough=True)
            finally:
                connection.close()

        return self._follow(url, ask)[1].status

    def call(self, method: str, url: str, body: bytes = b"") -> int:
        """The status of one request on a connection of its own, with a body of JSON or none.

        Checked and bounded as `fetch`, redirects are not followed; SourceError when there is no answer.
        """
        deadline = time.monotonic() + self.limits.seconds
        place = read_place(url)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))} if body else {}
        connection = self._connect(place, deadline)
        try:
            request = self._write_request(place, {**headers, "Connection": "close"}, method)
            return connection.ask(request + body, deadline, self.limits).status
        finally:
            connection.close()

    def close(self) -> None:
        """Give the kept connections back; the fetcher can go on being used."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connection in (one for kept in idle.values() for one in kept):
            connection.close()

    def _follow(self, url: str, ask: Callable[[Place], Answer]) -> tuple[Place, Answer, str | None]:
        """Where the redirects end, what is there, and where the permanent ones at the beginning led."""
        place, moved_to, is_moving = read_place(url), None, True
        for _ in range(self.limits.redirects + 1):
            answer = ask(place)
            target = answer.headers.get("location", "")
            if answer.status not in _REDIRECTS or not target:
                return place, answer, moved_to
            place = read_place(_reread_utf8(target), place.url)
            is_moving = is_moving and answer.status in _PERMANENT
            moved_to = place.url if is_moving else moved_to
        raise SourceError(f"{url[:100]} redirects more than {self.limits.redirects} times")

    def _ask(self, place: Place, headers: Mapping[str, str], deadline: float) -> Answer:
        request = self._write_request(place, headers)
        kept = self._take(place)
        if kept:
            try:
                return self._use(kept, place, request, deadline)
            except ConnectionLost:
                pass
        return self._use(self._connect(place, deadline), place, request, deadline)

    def _use(self, connection: Connection, place: Place, request: bytes, deadline: float) -> Answer:
        try:
            answer = connection.ask(request, deadline, self.limits)
        except BaseException:
            connection.close()
            raise
        self._keep(connection, place, is_reusable=answer.is_reusable)
        return answer

    def _connect(self, place: Place, deadline: float) -> Connection:
        addresses = self._guard.find_addresses(place.host, place.port)
        tls = self._tls if place.scheme == "https" else None
        return connect(place.host, addresses, place.port, tls, deadline)

    def _take(self, place: Place) -> Connection | None:
        while True:
            with self._lock:
                kept = self._idle.get(place.origin)
                connection = kept.pop() if kept else None
            if connection is None:
                return None
            if time.monotonic() - connection.used_at < _KEEP_SECONDS and not connection.is_stale():
                return connection
            connection.close()

    def _keep(self, connection: Connection, place: Place, *, is_reusable: bool) -> None:
        now = connection.used_at = time.monotonic()
        with self._lock:
            unwanted = self._sweep(now) if now - self._swept_at > _KEEP_SECONDS else []
            kept = self._idle.setdefault(place.origin, [])
            if is_reusable and len(kept) < _KEEP_PER_ORIGIN and sum(map(len, self._idle.values())) < _KEEP_IN_ALL:
                kept.append(connection)
            else:
                unwanted.append(connection)
        for one in unwanted:
            one.close()

    def _sweep(self, now: float) -> list[Connection]:
        """Take out what was idle for too long, so that hosts seen once do not keep sockets for ever."""
        self._swept_at = now
        idle = [one for kept in self._idle.values() for one in kept if now - one.used_at >= _KEEP_SECONDS]
        fresh = {origin: [one for one in kept if one not in idle] for origin, kept in self._idle.items()}
        self._idle = {origin: kept for origin, kept in fresh.items() if kept}
        return idle

    def _write_request(self, place: Place, headers: Mapping[str, str], method: str = "GET") -> bytes:
        lines = [
            f"{method} {place.target} HTTP/1.1",
            f"Host: {place.host_header}",
            f"User-Agent: {self._user_agent}",
            "Accept-Encoding: gzip, deflate",
        ]
        if "Accept" not in headers:
            lines.append("Accept: */*")
        lines += [f"{name}: {_header_value(value)}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = self._given_tls or _trust_the_usual()
        context.set_alpn_protocols(["http/1.1"])
        return context


def _trust_the_usual() -> ssl.SSLContext:
    """The system's certificates; certifi's where the system has none (some Python builds)."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile or paths.capath:
        return ssl.create_default_context()
    import certifi

    return ssl.create_default_context(cafile=certifi.where())


def _header_value(value: str) -> str:
    """Byte for byte as given (validators are opaque); a value that could end its line is refused."""
    if value.isascii() and value.isprintable():
        return value
    if "\r" in value or "\n" in value or "\0" in value:
        raise SourceError("a header value holds a line break")
    return value.encode("latin-1", "replace").decode("latin-1")


def _reread_utf8(location: str) -> str:
    """Servers put bare UTF-8 into Location; headers were read as latin-1 so that nothing got lost."""
    try:
        return location.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return location
