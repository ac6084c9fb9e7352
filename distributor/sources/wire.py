"""HTTP/1.1 on one connection: a request out, a bounded answer in.

Own because it is the hot path: a 304 costs a quarter of what the general clients cost (facts/performance.md
section 5), and because time, headers and bytes are bounded as a whole here, not per read.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from distributor.core.errors import SourceError
from distributor.core.points import reach

_CHUNK = 65_536
_RATIO_FROM = 262_144


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Bounds of one fetch: bytes after and before decompression, their ratio, seconds and redirects in all."""

    decoded: int = 10_000_000
    wire: int = 2_000_000
    ratio: int = 100
    seconds: float = 15.0
    redirects: int = 5
    headers: int = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as it came, the body still compressed. Header names in lower case, repeats joined by ", "."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_reusable: bool


class ConnectionLost(SourceError):
    """A kept connection was closed under us before the first byte of an answer: safe to ask again on a new one."""


class Connection:
    """A connected socket to one checked address. Not for two threads at once."""

    def __init__(self, host: str, sock: socket.socket) -> None:
        self.host = host
        self.used_at = 0.0
        self._sock = sock
        self._ear = select.poll()
        self._ear.register(sock, select.POLLIN)

    def ask(self, request: bytes, deadline: float, limits: FetchLimits, *, is_head_enough: bool = False) -> Answer:
        """Send a request and read its answer, or only its headers. `deadline` is on the monotonic clock. Raises
        SourceError."""
        reader = _Reader(self.host, limits, is_head_enough=is_head_enough)
        try:
            self._sock.settimeout(self._left(deadline))
            reach("fetch.request")
            self._sock.sendall(request)
            while not reader.is_done:
                self._sock.settimeout(self._left(deadline))
                reader.feed(self._sock.recv(_CHUNK))
            reach("fetch.answered")
        except TimeoutError as error:
            raise SourceError(f"{self.host} did not answer in {limits.seconds:g} seconds") from error
        except OSError as error:
            kind = SourceError if reader.has_begun else ConnectionLost
            raise kind(f"{self.host} closed the connection: {error.strerror or error}") from error
        return reader.answer()

    def _left(self, deadline: float) -> float:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def is_stale(self) -> bool:
        """Whether the other side closed it, or talks out of turn: an idle connection has nothing to read."""
        if not self._ear.poll(0):
            return False
        # TLS may have something to say to itself.
        self._sock.settimeout(0)
        try:
            self._sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            pass
        return True

    def close(self) -> None:
        self._sock.close()


def connect(
    host: str, addresses: Sequence[str], port: int, tls: ssl.SSLContext | None, deadline: float
) -> Connection:
    """Connect to the first of these addresses that answers; the certificate is checked against the host name."""
    problem: OSError | None = None
    for index, address in enumerate(addresses):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        reach("fetch.connect")
        try:
            # A dead IPv6 route must leave time for the addresses after it.
            sock = socket.create_connection((address, port), timeout=left / (len(addresses) - index))
        except OSError as error:
            problem = error
            continue
        try:
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return Connection(host, tls.wrap_socket(sock, server_hostname=host) if tls else sock)
        except (OSError, ValueError) as error:
            sock.close()
            raise SourceError(f"{host}: no secure connection: {error}") from error
    reason = (problem.strerror or problem) if problem else "it took too long"
    raise SourceError(f"{host}:{port} cannot be reached: {reason}")


class _Reader:
    """Collects one answer from httptools' parser, which calls the on_* methods. They must not raise."""

    def __init__(self, host: str, limits: FetchLimits, *, is_head_enough: bool = False) -> None:
        self._host = host
        self._is_head_enough = is_head_enough
        self._limits = limits
        self._parser = HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._chunks: list[bytes] = []
        self._body_size = self._fed = self._status = 0
        self._has_headers = self._has_extra = self._is_reusable = False
        self.has_begun = self.is_done = False

    def on_message_begin(self) -> None:
        self._has_extra = self.is_done

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.is_done:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if not self.is_done:
            self._has_headers = True
            self._status = self._parser.get_status_code()
            self.is_done = self._is_head_enough and self._status >= 200

    def on_body(self, body: bytes) -> None:
        if not self.is_done:
            self._chunks.append(body)
            self._body_size += len(body)

    def on_message_complete(self) -> None:
        if self._status < 200:
            self._headers.clear()
            self._has_headers = False
        elif not self.is_done:
            self.is_done = True
            self._is_reusable = self._parser.should_keep_alive()

    def feed(self, data: bytes) -> None:
        if not data:
            self._end()
            return
        self.has_begun = True
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._has_extra = True
            if not self.is_done:
                raise SourceError(f"{self._host} answered something that is not HTTP: {error}") from error
        if not self._has_headers and self._fed > self._limits.headers:
            raise SourceError(f"{self._host} sent more than {self._limits.headers:,} bytes of headers")
        if self._body_size > self._limits.wire:
            raise SourceError(f"{self._host} sent more than {self._limits.wire:,} bytes")

    def _end(self) -> None:
        if not self.has_begun:
            raise ConnectionLost(f"{self._host} closed the connection without an answer")
        names = {name.lower() for name, _ in self._headers}
        if not self._has_headers or names & {b"content-length", b"transfer-encoding"}:
            raise SourceError(f"{self._host} closed the connection in the middle of its answer")
        self.is_done = True

    def answer(self) -> Answer:
        headers: dict[str, str] = {}
        for raw_name, raw_value in self._headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return Answer(
            status=self._status,
            headers=headers,
            body=b"".join(self._chunks),
            is_reusable=self._is_reusable and not self._has_extra,
        )


def decode_body(host: str, answer: Answer, limits: FetchLimits) -> bytes:
    """The body decompressed, refusing bombs: the cap and the ratio stop it while it grows."""
    if not answer.body:
        return b""
    encodings = answer.headers.get("content-encoding", "").lower().replace(" ", "").split(",")
    names = [name for name in encodings if name not in ("", "identity")]
    if not names:
        body = answer.body
    elif len(names) == 1 and names[0] in ("gzip", "x-gzip", "deflate"):
        body = _inflate(host, answer.body, limits, is_gzip=names[0] != "deflate")
    else:
        raise SourceError(f"{host} compressed its answer with {', '.join(names)[:40]}, which nobody asked for")
    if len(body) > limits.decoded:
        raise SourceError(f"{host} sent more than {limits.decoded:,} bytes")
    return body


def _inflate(host: str, data: bytes, limits: FetchLimits, *, is_gzip: bool) -> bytes:
    most = min(limits.decoded, max(_RATIO_FROM, len(data) * limits.ratio))
    # Deflate means zlib by the book and raw deflate in some servers; the zlib header tells.
    is_zlib = len(data) > 1 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
    window = 31 if is_gzip else 15 if is_zlib else -15
    pieces, size = [], 0
    try:
        while data:
            unpacker = zlib.decompressobj(window)
            piece = unpacker.decompress(data, most + 1 - size)
            pieces.append(piece)
            size += len(piece)
            if size > most:
                raise SourceError(f"{host} sent a decompression bomb: more than {most:,} bytes when unpacked")
            if not unpacker.eof:
                raise SourceError(f"{host} sent a compressed answer that breaks off")
            data = unpacker.unused_data if unpacker.unused_data.startswith(b"\x1f\x8b") and is_gzip else b""
    except zlib.error as error:
        raise SourceError(f"{host} sent a compressed answer that cannot be unpacked") from error
    return b"".join(pieces)
