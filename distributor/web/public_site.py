"""What readers and operators reach over HTTP: redirects first, the rest behind them; and counting clicks."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from distributor.app import App
from distributor.web.answers import make_missing_page
from distributor.web.counting import Counting
from distributor.web.extra_processes import ExtraProcess
from distributor.web.public.clicks import ClickJournal
from distributor.web.public.redirect import LinkMap, Redirects, keep_fresh, make_protocol
from distributor.web.public.traits import Proxies
from distributor.web.redirect_site import Order
from distributor.web.server import WebServer, wait_for_port

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Written:
    """Clicks since the start, of all processes for redirects."""

    written: int
    lost: int


class PublicSite:
    """The web role of one process, with more processes for redirects beside it where so many are set."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.counting = Counting(app)
        self.folder, self.files = self.counting.folder, self.counting.files
        self._journal = ClickJournal(self.folder)
        links = app.storage.links
        self._map = LinkMap(links.find_target, NewLinks(app).list_targets, time.monotonic)
        #: Set when a clock runs in this process; pages ask it how long ago it ticked.
        self.last_tick: Callable[[], datetime | None] | None = None
        self.made_at = app.clock()
        #: Both are said by /readyz, and by whoever runs this process.
        self.is_starting = True
        self.is_stopping = False
        not_found = make_missing_page()
        self.redirects = Redirects(
            self._map,
            self._journal,
            _now_ms,
            beyond=self._make_application(),
            proxies=Proxies(app.settings.web.trusted_proxies),
            not_found=not_found.encode(),
        )
        self.server = self._make_server()
        self.extra = self._make_extra(not_found)

    def _make_server(self) -> WebServer:
        web = self._app.settings.web
        if web.processes > 1:
            wait_for_port(web.host, web.port)
        return WebServer(
            self.redirects,
            web.host,
            web.port,
            protocol=make_protocol(self.redirects),
            background=lambda: keep_fresh(self._map, self._journal),
            is_shared=web.processes > 1,
        )

    def _make_extra(self, not_found: str) -> list[ExtraProcess]:
        web = self._app.settings.web
        url = self._app.settings.database_url.get_secret_value()
        trusted = tuple(web.trusted_proxies)
        order = Order(url, web.host, self.server.port, str(self.folder), trusted, not_found, is_shared=True)
        return [ExtraProcess(number, order, self._make_way) for number in range(2, web.processes + 1)]

    def _make_way(self) -> socket.socket:
        from distributor.web.public.hand_over import make_way

        ours, theirs = make_way()
        self.server.take_over(ours)
        return theirs

    @property
    def clicks(self) -> Written:
        own, extra = self._journal, self.extra
        written = own.written + sum(one.written for one in extra)
        return Written(written, own.lost + sum(one.lost for one in extra))

    def start(self) -> None:
        self.server.start()
        for one in self.extra:
            one.start()
        self.counting.start()
        log.info("listening on %s:%d", self._app.settings.web.host, self.server.port)

    def stop(self) -> None:
        """Finish open requests, then count what they left."""
        self.is_stopping = True
        for one in self.extra:
            one.stop()
        self.server.stop()
        self._journal.close()
        self.counting.stop()

    def _make_application(self) -> Any:
        from distributor.web.app import create_app
        from distributor.web.parts import make_parts

        return create_app(make_parts(self._app, self))


class NewLinks:
    """What a map of links is kept fresh from: asks for links only after somebody committed something."""

    def __init__(self, app: App) -> None:
        self._database = app.storage.database
        self._links = app.storage.links
        self._mark: object = None

    def list_targets(self, after_id: int) -> Sequence[tuple[int, str, str]]:
        """Links with a greater id, in order. Raises StorageError."""
        mark = self._database.read_mark()
        if mark == self._mark:
            return []
        found = self._links.list_targets(after_id)
        self._mark = None if found else mark
        return found


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
