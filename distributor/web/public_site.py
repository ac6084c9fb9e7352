"""What readers and operators reach over HTTP: redirects first, the rest behind them; and counting clicks."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from distributor.app import App
from distributor.core.clicks import classify
from distributor.core.errors import DistributorError
from distributor.pipeline.track import Rules, drain
from distributor.web.answers import make_missing_page
from distributor.web.public.clicks import SUFFIX, ClickFiles, ClickJournal
from distributor.web.public.redirect import LinkMap, Redirects, keep_fresh, make_protocol
from distributor.web.public.salts import DailySalts
from distributor.web.public.traits import Proxies
from distributor.web.server import WebServer

log = logging.getLogger(__name__)

#: Seconds between two rounds of counting.
COUNT_EVERY = 1.0
#: Rounds after which is counted though no journal grew: a journal whose process is gone can be deleted.
ROUNDS_PER_COUNT = 10
#: Rounds of counting between two rounds of forgetting: about half an hour.
ROUNDS_PER_TIDYING = 1800
#: How long a single click is kept (facts/reliability.md section 5); the sums by hour are kept for good.
KEEP_CLICKS = timedelta(days=30)


class PublicSite:
    """The web role of one process."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.folder = app.state_dir / "clicks"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.journal = ClickJournal(self.folder)
        links = app.storage.links
        self._map = LinkMap(links.find_target, NewLinks(app).list_targets, time.monotonic)
        #: Set when a clock runs in this process; pages ask it how long ago it ticked.
        self.last_tick: Callable[[], datetime | None] | None = None
        self.made_at = app.clock()
        #: Both are said by /readyz, and by whoever runs this process.
        self.is_starting = True
        self.is_stopping = False
        self.redirects = Redirects(
            self._map,
            self.journal,
            _now_ms,
            beyond=self._make_application(),
            proxies=Proxies(app.settings.web.trusted_proxies),
            not_found=make_missing_page().encode(),
        )
        web = app.settings.web
        self.server = WebServer(
            self.redirects,
            web.host,
            web.port,
            protocol=make_protocol(self.redirects),
            background=lambda: keep_fresh(self._map, self.journal),
        )
        self._counter = threading.Thread(target=self._count_until_stopped, name="clicks", daemon=True)
        self._stop = threading.Event()
        self.files = ClickFiles(self.folder)
        edition_of = lru_cache(maxsize=20_000)(links.find_edition)
        self._rules = Rules(classify, DailySalts(self.folder).get, edition_of)

    def start(self) -> None:
        self.server.start()
        self._counter.start()
        log.info("listening on %s:%d", self._app.settings.web.host, self.server.port)

    def stop(self) -> None:
        """Finish open requests, then count what they left."""
        self.is_stopping = True
        self.server.stop()
        self._stop.set()
        if self._counter.ident is not None:
            self._counter.join(10.0)
        self.journal.close()
        self.count()

    def count(self) -> bool:
        """One round of counting; what cannot be counted now stays in the journal. Whether all went well."""
        try:
            drain(self.files, self._app.storage.links, self._rules)
            return True
        except DistributorError as error:
            log.warning("clicks are not counted yet, they are safe in the journal: %s", error)
        except Exception:  # a bug in counting must not end it for ever; the journal keeps the clicks
            log.exception("clicks are not counted yet, they are safe in the journal")
        return False

    def _count_until_stopped(self) -> None:
        rounds = 0
        seen: object = None
        while not self._stop.wait(COUNT_EVERY):
            sizes = measure_files(self.folder)
            if sizes != seen or rounds % ROUNDS_PER_COUNT == 0:
                seen = sizes if self.count() else None
            if rounds % ROUNDS_PER_TIDYING == 0:
                self.tidy()
            rounds += 1

    def tidy(self) -> None:
        """Blank the visitors' marks of closed days; single clicks go after a month, their sums stay."""
        now = self._app.clock()
        try:
            self._app.storage.links.forget_visitors(now - timedelta(days=1), now - KEEP_CLICKS)
        except DistributorError as error:
            log.warning("visitors' marks are blanked later: %s", error)

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


def measure_files(folder: Path) -> object:
    """A value that differs when a click journal grew, came or went."""
    with os.scandir(folder) as entries:
        return sorted((entry.name, entry.stat().st_size) for entry in entries if entry.name.endswith(SUFFIX))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
