"""The watch of one process: what it looks at, whom it tells, and the thread that does it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from distributor.app import App, read_clock
from distributor.core.alerting import MISSED_SINCE, Facts, SourceFacts
from distributor.core.errors import DistributorError
from distributor.core.seldom import Seldom
from distributor.core.tally import give_back, take_counts
from distributor.core.telling import Notice
from distributor.pipeline.alert_routes import Mail, Webhook, ping
from distributor.pipeline.alerts import LOOK_EVERY, NotDelivered, Patience, Route, Watch
from distributor.pipeline.needs import find_capped
from distributor.web.parts import measure_disk

if TYPE_CHECKING:
    from distributor.settings import Settings
    from distributor.sources.fetch import Fetcher

log = logging.getLogger(__name__)

#: Seconds after the start before the first look: a start after a long pause has to catch up first.
GRACE = 60.0
#: Seconds between two times that counts are carried to the database: what a kill loses of them.
CARRY_EVERY = 5.0
#: How long it is told that clicks were lost.
LOSS_SPAN = timedelta(minutes=15)
#: A service that reported nothing of what went out longer ago than this is silent.
HOOK_PATIENCE = timedelta(hours=1)
TEXT = "This is a test: alerts of this installation come this way."


class Losses:
    """Clicks lost lately, from a sum that only grows: told until it has stood still for a while."""

    def __init__(self) -> None:
        self._sums: list[tuple[datetime, float]] = []

    def note(self, total: float, now: datetime) -> float:
        """How much the sum grew within `LOSS_SPAN`."""
        while len(self._sums) > 1 and self._sums[1][0] <= now - LOSS_SPAN:
            self._sums.pop(0)
        self._sums.append((now, total))
        return max(total - self._sums[0][1], 0.0)


class Lookout:
    """Gathers the facts. What costs more is asked for less often."""

    def __init__(self, app: App) -> None:
        self._app = app
        figures = app.storage.figures
        self._losses = Losses()
        self._mismatches = Seldom(figures.find_mismatches, time.monotonic, least=300.0)
        self._offset = Seldom(partial(figures.measure_clock_offset, read_clock), time.monotonic, least=300.0)
        self._arrivals = Seldom(self._find_arrivals, time.monotonic, least=300.0)

    def gather(self) -> Facts:
        """Raises StorageError."""
        app, now, figures = self._app, self._app.clock(), self._app.storage.figures
        planned = app.storage.editions.load_schedules()
        limits = {one.name: app.words_channel(one.name).limits for one in app.settings.channels}
        return Facts(
            planned_until={
                one.name: (one.rule, planned[one.name][1])
                for one in app.plans
                if one.name in planned and not one.rule.is_immediate
            },
            missed=figures.list_missed(now - MISSED_SINCE),
            late=figures.list_late(now - app.settings.alerts.after),
            capped=frozenset(find_capped(limits, figures.load_paces(), now)),
            unknown=figures.count_unknown(),
            sources=self._find_sources(),
            mismatches=self._mismatches.get(),
            paused=figures.list_closed(),
            silent_hooks=figures.find_silent_hooks(now - HOOK_PATIENCE),
            backup_at=app.storage.health.find_backup(),
            disk_free=measure_disk(app),
            clock_offset=self._offset.get(),
            processes=figures.list_processes(now),
            safe_mode=app.storage.health.read_safe_mode(),
            clicks_lost=self._losses.note(app.storage.counters.load().get(("clicks_lost",), 0.0), now),
        )

    def _find_sources(self) -> dict[str, SourceFacts]:
        rows, held = self._app.storage.posts.load_sources(), self._app.storage.figures.count_held_posts()
        arrivals = self._arrivals.get()
        return {
            one.name: SourceFacts(
                rows[one.name].last_ok_at,
                rows[one.name].error,
                one.every,
                arrivals.get(one.name, ()),
                held.get(one.name, 0),
            )
            for one in self._app.settings.sources
            if one.name in rows
        }

    def _find_arrivals(self) -> Mapping[str, list[datetime]]:
        figures, now = self._app.storage.figures, self._app.clock()
        return {one.name: figures.list_arrivals(one.name, now) for one in self._app.settings.sources}


def make_fetcher(settings: Settings, agent: str) -> Fetcher:
    """A guarded client that may also go where the operator himself sends alerts."""
    from distributor.sources.fetch import Fetcher, FetchLimits

    own = [_find_place(url.get_secret_value()) for url in (settings.alerts.webhook, settings.alerts.ping) if url]
    allowed = [*settings.network.allow_private, *own]
    return Fetcher(allow_private=allowed, user_agent=agent, limits=FetchLimits(seconds=10.0, redirects=0))


def _find_place(url: str) -> str:
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def make_routes(settings: Settings, fetcher: Fetcher) -> list[Route]:
    """The ways to a person that the settings name."""
    alerts = settings.alerts
    routes: list[Route] = []
    if alerts.webhook:
        routes.append(Webhook(fetcher.call, alerts.webhook.get_secret_value()))
    if mail := alerts.email:
        password = mail.password.get_secret_value() if mail.password else ""
        account = (mail.username or "", password)
        routes.append(Mail(mail.to, mail.from_, mail.host, mail.port_or_default, mail.tls, *account))
    return routes


def make_ping(settings: Settings, fetcher: Fetcher) -> Callable[[], None] | None:
    url = settings.alerts.ping
    return partial(ping, fetcher.call, url.get_secret_value()) if url else None


def try_routes(settings: Settings, agent: str) -> dict[str, str]:
    """Send one message by each way; name of the way -> why it did not get through, "" when it did."""
    fetcher = make_fetcher(settings, agent)
    subject = f"[{settings.site.name}] a test"
    notice = Notice(subject, TEXT, {"text": f"{subject}\n{TEXT}", "site": settings.site.name, "alerts": []})
    ways: dict[str, Callable[[], None]] = {
        route.name: partial(route.send, notice) for route in make_routes(settings, fetcher)
    }
    if monitor := make_ping(settings, fetcher):
        ways["ping"] = monitor
    return {name: _try(way) for name, way in ways.items()}


def _try(way: Callable[[], None]) -> str:
    try:
        way()
    except NotDelivered as error:
        return str(error)
    return ""


class Alerts:
    """The thread that watches. Every process has one; one of them at a time does the telling."""

    def __init__(self, app: App, grace: float = GRACE, every: float = LOOK_EVERY) -> None:
        self._app = app
        self._look_at = time.monotonic() + grace
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        fetcher = make_fetcher(app.settings, app.agent)
        own = app.settings.alerts
        self._watch = Watch(
            app.site.name,
            app.storage.alerts,
            Lookout(app).gather,
            make_routes(app.settings, fetcher),
            fence=app.fence,
            patience=Patience(own.after, own.again, own.ping_every),
            ping=make_ping(app.settings, fetcher),
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Carry the last counts, and let another process watch at once."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(5.0)
        self.carry_counts()
        try:
            self._app.storage.alerts.leave_watch(self._app.fence)
        except DistributorError as error:
            log.warning("the next process begins to watch a little later: %s", error)

    def carry_counts(self) -> None:
        """What this process has counted goes to the database; what cannot go now goes next time."""
        counts = take_counts()
        try:
            self._app.storage.counters.add(counts)
        except DistributorError as error:
            give_back(counts)
            log.info("counts are carried later: %s", error)

    def _run(self) -> None:
        while not self._stop.wait(min(self._every, CARRY_EVERY)):
            try:
                self.carry_counts()
                if time.monotonic() >= self._look_at:
                    self._look_at = time.monotonic() + self._every
                    self._watch.look(self._app.clock())
            except DistributorError as error:
                log.warning("the watch could not look: %s", error)
            except Exception:  # a bug in watching must not end it, nor anything else
                log.exception("the watch could not look")
