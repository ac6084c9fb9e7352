"""Redirects and nothing else, in a process of their own: links are read, clicks go to this machine's disk.

It needs to read the table `link` and to write into its folder. It never counts: that is for who may write to the
database.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from distributor.web.public.clicks import ClickJournal
from distributor.web.public.redirect import LinkMap, Receive, Redirects, Scope, Send, keep_fresh, make_protocol
from distributor.web.public.traits import Proxies
from distributor.web.server import WebServer


@dataclass(frozen=True)
class Order:
    """What such a process has to know. `way` is the number of an open socket to the process with the pages."""

    database_url: str = field(repr=False)
    host: str
    port: int
    folder: str
    trusted_proxies: Sequence[str] = ()
    not_found: str = "Not found\n"
    way: int = -1
    is_shared: bool = False


class Links(Protocol):
    def find_target(self, slug: str) -> str | None: ...
    def list_targets(self, after_id: int) -> Sequence[tuple[int, str, str]]: ...


class RedirectSite:
    """One process that redirects."""

    def __init__(self, order: Order, links: Links) -> None:
        self.journal = ClickJournal(Path(order.folder))
        self._links = LinkMap(links.find_target, links.list_targets, time.monotonic)
        redirects = Redirects(
            self._links,
            self.journal,
            lambda: time.time_ns() // 1_000_000,
            beyond=answer_beyond,
            not_found=order.not_found.encode(),
            proxies=Proxies(order.trusted_proxies),
        )
        way = socket.socket(fileno=order.way) if order.way >= 0 else None
        self.server = WebServer(
            redirects,
            order.host,
            order.port,
            protocol=make_protocol(redirects, way),
            background=lambda: keep_fresh(self._links, self.journal),
            is_shared=order.is_shared,
        )

    def start(self) -> None:
        """Raises StorageError when links cannot be read: a redirector that knows none must not take readers."""
        self._links.refresh()
        self.server.start()

    def stop(self) -> None:
        self.server.stop()
        self.journal.close()


async def answer_beyond(scope: Scope, receive: Receive, send: Send) -> None:
    """For balancers this process is well; pages are somewhere else."""
    if scope["type"] != "http":
        return
    is_asked = scope["path"] in ("/healthz", "/readyz")
    status, body = (200, b"ok\n") if is_asked else (503, b"Please try again in a minute.\n")
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    headers += [(b"cache-control", b"no-store"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
