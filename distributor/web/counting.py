"""Counting clicks: from the journals of this machine into the database, once a second."""

from __future__ import annotations

import logging
import os
import threading
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

from distributor.app import App
from distributor.core.clicks import classify
from distributor.core.errors import DistributorError
from distributor.pipeline.track import Rules, drain
from distributor.web.public.clicks import SUFFIX, ClickFiles
from distributor.web.public.salts import DailySalts

log = logging.getLogger(__name__)

#: Seconds between two rounds of counting.
COUNT_EVERY = 1.0
#: Rounds after which is counted though no journal grew: a journal whose process is gone can be deleted.
ROUNDS_PER_COUNT = 10
#: Seconds in a process that does not redirect: readers' clicks here are those of others.
COUNT_OTHERS_EVERY = 5.0
#: Rounds of counting between two rounds of forgetting: about half an hour.
ROUNDS_PER_TIDYING = 1800
#: How long a single click is kept (facts/reliability.md section 5); the sums by hour are kept for good.
KEEP_CLICKS = timedelta(days=30)


class Counting:
    """The thread that counts. Of several processes with one state_dir one at a time does it."""

    def __init__(self, app: App, every: float = COUNT_EVERY) -> None:
        self._app = app
        self._every = every
        self.folder = find_folder(app)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.files = ClickFiles(self.folder)
        edition_of = lru_cache(maxsize=20_000)(app.storage.links.find_edition)
        self._rules = Rules(classify, DailySalts(self.folder).get, edition_of)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._count_until_stopped, name="clicks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends with a last round, which takes what was written before."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(10.0)
        self.count()

    def count(self) -> bool:
        """One round; what cannot be counted now stays in the journal. Whether all went well."""
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
        while not self._stop.wait(self._every):
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


def measure_files(folder: Path) -> object:
    """A value that differs when a click journal grew, came or went."""
    with os.scandir(folder) as entries:
        return sorted((entry.name, entry.stat().st_size) for entry in entries if entry.name.endswith(SUFFIX))


def find_folder(app: App) -> Path:
    return app.state_dir / "clicks"
