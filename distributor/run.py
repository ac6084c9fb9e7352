"""One process of the product: its roles started in order, stopped in order."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

from distributor.app import App, read_clock
from distributor.clock import Clock
from distributor.core.errors import SettingsError
from distributor.logs import start_logging
from distributor.storage import join_stores, schema
from distributor.storage.aftermath import check_in
from distributor.storage.backup import upgrade_with_backup
from distributor.storage.database import Database
from distributor.storage.lock import lock_database

if TYPE_CHECKING:
    from distributor.engine.local import LocalEngine
    from distributor.settings import Settings
    from distributor.web.public_site import PublicSite

log = logging.getLogger(__name__)

ROLES = ("web", "clock", "worker")
#: Seconds that messages on the wire get to finish when the program is stopped.
GRACE = 30.0


def read_roles(text: str) -> frozenset[str]:
    """ "web,clock" -> the roles; SettingsError names the ones there are."""
    wanted = frozenset(part.strip() for part in text.split(",") if part.strip())
    unknown = sorted(wanted - set(ROLES))
    if unknown or not wanted:
        what = f"there is no role {', '.join(unknown)}" if unknown else "no role is named"
        raise SettingsError([f"--roles {text}: {what}; use {', '.join(ROLES)}"])
    return wanted


def run_until_stopped(settings: Settings, roles: str) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code. A second signal ends at once: the next start recovers."""
    wanted = read_roles(roles)
    from distributor.settings.masking import find_secrets

    start_logging(find_secrets(settings), as_json=not sys.stderr.isatty())
    stop = threading.Event()
    with catch_signals(stop):
        process = Process(settings, wanted)
        try:
            process.start()
            stop.wait()
        finally:
            process.stop()
    return 0


@contextlib.contextmanager
def catch_signals(stop: threading.Event) -> Iterator[None]:
    """The first SIGTERM or SIGINT sets `stop`, the second ends the process at once."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        log.info("stopping: what is on the wire finishes first; a second signal stops at once")
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


class Process:
    """The parts that one process runs."""

    def __init__(self, settings: Settings, roles: frozenset[str]) -> None:
        self._settings = settings
        self._roles = roles
        self._undo: list[tuple[str, Callable[[], object]]] = []
        self._app: App | None = None
        self._site: PublicSite | None = None

    def start(self) -> None:
        """Raises StorageError or SettingsError, then nothing keeps running."""
        settings = self._settings
        database = Database(settings.database_url.get_secret_value())
        self._later("database", database.close)
        self._prepare(database)
        app = App(settings, join_stores(database))
        self._app = app
        self._later("app", app.close)
        # The web first: readers' redirects need nothing of the rest, and they wait for it last when all is stopped.
        site = self._site = self._start_web(app) if "web" in self._roles else None
        engine: LocalEngine | None = None
        if "worker" in self._roles:
            engine = self._start_worker(app)
        if "clock" in self._roles:
            self._start_clock(app, engine, site)
        if site is not None:
            site.is_starting = False
        log.info("running: %s", ", ".join(sorted(self._roles)))

    def stop(self) -> None:
        """In the reverse order of the start; one part's trouble does not keep the others running."""
        if self._site is not None:
            self._site.is_stopping = True
        while self._undo:
            name, undo = self._undo.pop()
            try:
                undo()
            except Exception:  # stopping goes on whatever one part says
                log.exception("%s did not stop cleanly", name)

    def _later(self, name: str, undo: Callable[[], object]) -> None:
        self._undo.append((name, undo))

    def _prepare(self, database: Database) -> None:
        """Lock, create or check the schema. Only SQLite and an empty database are changed without being asked."""
        if database.is_sqlite or "worker" in self._roles:
            self._later("lock", lock_database(database))
        if database.is_sqlite or schema.read_version(database) is None:
            before, after, copy = upgrade_with_backup(database, read_clock())
            if before != after:
                log.info("database %s: %s -> %s", database.label, before or "empty", after)
            if copy is not None:
                log.info("the database as it was before is in %s", copy)
        schema.require_current(database)
        if safe_mode := check_in(database, self._settings.state_dir, read_clock()):
            log.error("safe mode: %s", safe_mode)

    def _start_worker(self, app: App) -> LocalEngine:
        from distributor.engine.local import LocalEngine

        counts = app.recover()
        if any(counts.values()):
            log.warning(
                "after the last stop: %d queued again, %d proved sent, %d unknown",
                counts["queued"],
                counts["sent"],
                counts["unknown"],
            )
        engine = LocalEngine([one.name for one in self._settings.channels], app.open_lane)
        self._later("engine", lambda: engine.stop(GRACE))
        engine.start()
        return engine

    def _start_web(self, app: App) -> PublicSite:
        from distributor.web.public_site import PublicSite

        site = PublicSite(app)
        self._later("web", site.stop)
        site.start()
        return site

    def _start_clock(self, app: App, engine: LocalEngine | None, site: PublicSite | None) -> None:
        def wake(name: str | None) -> None:
            if engine is not None:
                engine.wake(name)

        clock = Clock(app, wake, chores=lambda: None)
        self._later("clock", clock.stop)
        clock.start()
        if site is not None:
            site.last_tick = lambda: clock.last_tick_at
