"""One process of the product: its roles started in order, stopped in order."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

from distributor.app import App, read_clock
from distributor.clock import Clock, attend
from distributor.core.errors import SettingsError
from distributor.engine.rounds import Rounds
from distributor.logs import start_logging
from distributor.pipeline.waking import Engine, wake_forgotten
from distributor.storage import join_stores, schema
from distributor.storage.aftermath import check_in
from distributor.storage.backup import upgrade_with_backup
from distributor.storage.database import Database
from distributor.storage.links import Links
from distributor.storage.lock import Lock, lock_database
from distributor.storage.regular_backups import RegularBackups
from distributor.storage.workers import BEAT_SECONDS
from distributor.upkeep import Upkeep

if TYPE_CHECKING:
    from distributor.settings import Settings
    from distributor.web.public_site import PublicSite

log = logging.getLogger(__name__)

ROLES = ("web", "clock", "worker")
#: Seconds that messages on the wire get to finish when the program is stopped.
GRACE = 30.0
#: So many new things until the garbage collector looks at them: each batch of a letter makes five times as many,
#: which go by themselves, and looking after each 700 costs 3 % of the letter.
YOUNG = 2_000


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
            # What is there now stays until the end: the collector need not walk through it again and again.
            gc.collect()
            gc.freeze()
            gc.set_threshold(YOUNG)
            gc.enable()
            wait_for(stop)
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


def wait_for(stop: threading.Event) -> None:
    """Until it is set by `catch_signals`. To be called in the main thread.

    A signal that another thread took, or that came in the very moment in which this one fell asleep, wakes nobody
    who waits for an event. Python writes a byte for each signal, whoever takes it, and for that byte we wait.
    """
    waiting, waking = socket.socketpair()
    with waiting, waking:
        waking.setblocking(False)
        before = signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
        try:
            while not stop.is_set():
                # The handler, which sets it, runs in this thread as soon as it is awake. The minute is for a `stop`
                # that somebody else sets.
                if select.select([waiting], [], [], 60.0)[0]:
                    waiting.recv(64)
        finally:
            signal.set_wakeup_fd(before)


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
        database = Database(self._settings.database_url.get_secret_value())
        self._later("database", database.close)
        if self._roles == {"web"} and not Links(database).may_count():
            self._start_redirector(database)
            return
        lock = self._prepare(database)
        app = App(self._settings, join_stores(database, self._settings.state_dir))
        self._app = app
        self._later("app", app.close)
        # The web first: readers' redirects need nothing of the rest, and they wait for it last when all is stopped.
        site = self._site = self._start_web(app) if "web" in self._roles else None
        self._start_alerts(app)
        upkeep = Upkeep(app, ",".join(sorted(self._roles)))
        upkeep.arrive()
        self._later("upkeep", upkeep.leave)
        if "worker" in self._roles:
            upkeep.recover()
        engine = self._make_engine(app)
        self._start_rounds(app, upkeep, engine, lock)
        if engine is not None:
            self._later("engine", lambda: engine.stop(GRACE))
            engine.start()
            database.waker = engine
        if "clock" in self._roles:
            self._start_clock(app, upkeep, site)
        if site is not None:
            site.is_starting = False
        else:
            self._start_counting(app)
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

    def _prepare(self, database: Database) -> Lock | None:
        """Lock, create or check the schema. Only SQLite and an empty database are changed without being asked."""
        lock = None
        if database.is_sqlite or "worker" in self._roles:
            is_shared = choose_engine(self._settings.engine, database.is_sqlite, self._roles) != "local"
            lock = lock_database(database, is_shared)
            self._later("lock", lock)
        if database.is_sqlite or schema.read_version(database) is None:
            before, after, copy = upgrade_with_backup(database, read_clock())
            if before != after:
                log.info("database %s: %s -> %s", database.label, before or "empty", after)
            if copy is not None:
                log.info("the database as it was before is in %s", copy)
        schema.require_current(database)
        if safe_mode := check_in(database, self._settings.state_dir, read_clock()):
            log.error("safe mode: %s", safe_mode)
        return lock

    def _make_engine(self, app: App) -> Engine | None:
        """None where nothing has to be woken: lanes of a local engine look by themselves."""
        name = choose_engine(self._settings.engine, app.storage.database.is_sqlite, self._roles)
        is_worker = "worker" in self._roles
        return make_engine(name, app, is_worker) if is_worker or name != "local" else None

    def _start_rounds(self, app: App, upkeep: Upkeep, engine: Engine | None, lock: Lock | None) -> None:
        """They end after the engine: who is still sending must not be taken for dead."""
        chores: list[Callable[[], object]] = [upkeep.beat]
        if lock is not None:
            chores.append(lock.renew)
        if self._roles & {"worker", "clock"}:
            chores.append(upkeep.look_after_dead)
            chores.append(self._keep_backups(app))
        if engine is not None and "worker" in self._roles:
            chores += [engine.recover, lambda: wake_forgotten(app.storage.lanes, engine, app.clock())]
        rounds = Rounds(chores, BEAT_SECONDS)
        self._later("rounds", rounds.stop)
        rounds.start()

    def _keep_backups(self, app: App) -> Callable[[], object]:
        every, kept = self._settings.backup_every, self._settings.backups_kept
        backups = RegularBackups(app.storage.database, app.state_dir, every, kept)
        self._later("backups", backups.stop)
        return lambda: backups.keep_up(app.clock())

    def _start_alerts(self, app: App) -> None:
        from distributor.alerts import Alerts

        alerts = Alerts(app)
        self._later("alerts", alerts.stop)
        alerts.start()

    def _start_web(self, app: App) -> PublicSite:
        from distributor.web.public_site import PublicSite

        site = PublicSite(app)
        self._later("web", site.stop)
        site.start()
        return site

    def _start_redirector(self, database: Database) -> None:
        """Redirects need no more than to read links; nothing else of the role web can do without writing."""
        from distributor.redirector import Redirector

        redirector = Redirector(self._settings, database)
        self._later("redirects", redirector.stop)
        redirector.start()

    def _start_counting(self, app: App) -> None:
        """For processes on this machine that redirect and may not write."""
        from distributor.web.counting import COUNT_OTHERS_EVERY, Counting

        counting = Counting(app, COUNT_OTHERS_EVERY)
        self._later("counting", counting.stop)
        counting.start()

    def _start_clock(self, app: App, upkeep: Upkeep, site: PublicSite | None) -> None:
        attention = attend(app) if app.storage.database.is_sqlite else None
        clock = Clock(app, upkeep.make_claims(), attention)
        self._later("clock", clock.stop)
        clock.start()
        if site is not None:
            site.last_tick = lambda: clock.last_tick_at


def choose_engine(wanted: str, is_sqlite: bool, roles: frozenset[str]) -> str:
    """What `engine: auto` means for this process."""
    if wanted != "auto":
        return wanted
    return "local" if is_sqlite or roles == frozenset(ROLES) else "procrastinate"


def make_engine(name: str, app: App, is_worker: bool) -> Engine:
    """The engine of that name; without lanes where this process does not send."""
    names = [one.name for one in app.settings.channels]
    if name == "local":
        from distributor.engine.local import LocalEngine

        return LocalEngine(names, app.open_lane, app.storage.database.read_mark)
    from distributor.engine.procrastinate import ProcrastinateEngine

    return ProcrastinateEngine(
        app.storage.database.url.set(drivername="postgresql").render_as_string(hide_password=False),
        names,
        lambda channel: app.words_channel(channel).limits.batch,
        app.open_lane if is_worker else None,
        lambda channel: app.storage.lanes.release(channel, app.fence),
    )


def find_waker(app: App) -> Engine | None:
    """Who tells the workers that run elsewhere, for a command that gives them work. None where lanes look by
    themselves each second."""
    if app.storage.database.is_sqlite:
        return None
    living = [one for one in app.storage.workers.list_all(app.clock()) if not one.is_dead]
    workers = [roles for one in living if "worker" in (roles := frozenset(one.roles.split(",")))]
    engines = {choose_engine(app.settings.engine, False, roles) for roles in workers}
    return make_engine("procrastinate", app, is_worker=False) if "procrastinate" in engines else None
