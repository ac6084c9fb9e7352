"""Watch the whole and tell somebody: look, decide, write down, tell. Never in the way of sending."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from distributor.core.alerting import Facts, Trouble, find_troubles
from distributor.core.errors import DistributorError, StorageError
from distributor.core.telling import KnownTrouble, Notice, Telling, compose, decide_telling

log = logging.getLogger(__name__)

#: Seconds between two looks, and how long a watcher that went away without a word keeps its place.
LOOK_EVERY = 30.0
WATCH_SECONDS = 90.0
#: A database that cannot be used for so long is told, though nothing can be written down.
DATABASE_AWAY = timedelta(minutes=2)
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=10)
#: Messages that one route may owe while it is away; the oldest go first.
MOST_OWED = 20


class NotDelivered(DistributorError):
    """A message to whoever looks after the program did not get through this way; it is tried again."""


class Route(Protocol):
    """One way to a person. `send` raises NotDelivered and never takes longer than its own time limit."""

    @property
    def name(self) -> str: ...
    def send(self, notice: Notice) -> None: ...


class AlertStore(Protocol):
    """What watching asks of the database."""

    def note(self, troubles: Sequence[Trouble], now: datetime) -> Mapping[str, KnownTrouble]: ...
    def note_told(self, told: Collection[str], over: Collection[str], now: datetime) -> None: ...
    def take_watch(self, fence: str, seconds: float, now: datetime) -> bool: ...


class Courier:
    """One route and what it still owes: tried again with growing waits, in order."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._owed: deque[Notice] = deque(maxlen=MOST_OWED)
        self._failures = 0
        self._not_before: datetime | None = None

    def give(self, notice: Notice, now: datetime) -> bool:
        """Whether it got through at once, after all that was owed."""
        self._owed.append(notice)
        self.deliver(now)
        return notice not in self._owed

    def take_back(self, notice: Notice) -> None:
        """Owe it no more: it will be written anew."""
        if notice in self._owed:
            self._owed.remove(notice)

    def deliver(self, now: datetime) -> None:
        while self._owed and (self._not_before is None or now >= self._not_before):
            try:
                self._route.send(self._owed[0])
            except NotDelivered as error:
                wait = min(FIRST_WAIT * 2 ** min(self._failures, 10), LONGEST_WAIT)
                self._failures += 1
                self._not_before = now + wait
                log.warning("an alert did not get through by %s, it is tried again: %s", self._route.name, error)
                return
            self._owed.popleft()
            self._failures, self._not_before = 0, None


@dataclass(frozen=True)
class Patience:
    """When an unfinished edition is an alert, what lasts is told again, and the outside monitor hears us."""

    after: timedelta = timedelta(minutes=15)
    again: timedelta = timedelta(hours=12)
    ping_every: timedelta = timedelta(minutes=5)


class Watch:
    """One look after another, by one process of all: `look` is called every LOOK_EVERY seconds by one thread."""

    def __init__(
        self,
        site: str,
        store: AlertStore,
        gather: Callable[[], Facts],
        routes: Sequence[Route],
        *,
        fence: str,
        patience: Patience | None = None,
        ping: Callable[[], None] | None = None,
    ) -> None:
        self._site = site
        self._store = store
        self._gather = gather
        self._couriers = [Courier(route) for route in routes]
        self._fence = fence
        self._patience = patience or Patience()
        self._ping = ping
        self._pinged_at: datetime | None = None
        self._away_since: datetime | None = None
        self._away_told_at: datetime | None = None
        self._logged: set[str] = set()

    def look(self, now: datetime) -> None:
        """See what is wrong, tell what is to be told, and let the outside monitor know that we are there."""
        for courier in self._couriers:
            courier.deliver(now)
        try:
            if not self._store.take_watch(self._fence, WATCH_SECONDS, now):
                self._away_since = None
                return
            troubles = find_troubles(self._gather(), now, self._patience.after)
            known = self._store.note(troubles, now)
            self._tell(decide_telling(troubles, known, now, self._patience.again), known, now)
        except StorageError as error:
            self._tell_away(error, now)
            return
        self._end_away(now)
        self._send_ping(now)

    def _tell(self, telling: Telling, known: Mapping[str, KnownTrouble], now: datetime) -> None:
        if not telling:
            return
        self._log(telling)
        notice = compose(telling, self._site, {key: row.since for key, row in known.items()}, now)
        if not self._deliver(notice, now):
            return
        told = [one.key for one in (*telling.begun, *telling.still)]
        self._store.note_told(told, [row.key for row in telling.over], now)

    def _log(self, telling: Telling) -> None:
        """Each once, whether anybody else hears of it or not."""
        for one in telling.begun:
            if one.key not in self._logged:
                log.warning("alert: %s", one.text, extra={"alert": one.key})
        for row in telling.over:
            log.info("over: %s", row.text, extra={"alert": row.key})
        self._logged = {one.key for one in telling.begun}

    def _deliver(self, notice: Notice, now: datetime) -> bool:
        """Whether anybody took it; then the others owe it. Nobody did: it is written anew at the next look."""
        took = [courier.give(notice, now) for courier in self._couriers]
        if any(took) or not self._couriers:
            return True
        for courier in self._couriers:
            courier.take_back(notice)
        return False

    def _tell_away(self, error: StorageError, now: datetime) -> None:
        """The database is away, so what was told is remembered here: each process tells for itself."""
        self._away_since = self._away_since or now
        log.warning("the watch cannot look: %s", error)
        is_told = self._away_told_at is not None and now - self._away_told_at < self._patience.again
        if is_told or now - self._away_since < DATABASE_AWAY:
            return
        trouble = Trouble("database", f"The database cannot be used, so nothing is sent: {error}")
        notice = compose(Telling(begun=(trouble,)), self._site, {trouble.key: self._away_since}, now)
        if self._deliver(notice, now):
            self._away_told_at = now

    def _end_away(self, now: datetime) -> None:
        since, self._away_since = self._away_since, None
        if self._away_told_at is None or since is None:
            return
        row = KnownTrouble("database", "The database could not be used.", since, self._away_told_at)
        if self._deliver(compose(Telling(over=(row,)), self._site, {}, now), now):
            self._away_told_at = None
        else:
            self._away_since = since

    def _send_ping(self, now: datetime) -> None:
        if self._ping is None or (self._pinged_at and now - self._pinged_at < self._patience.ping_every):
            return
        try:
            self._ping()
            self._pinged_at = now
        except NotDelivered as error:
            log.warning("the outside monitor cannot be reached: %s", error)
