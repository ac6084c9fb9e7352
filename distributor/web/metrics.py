"""/metrics for Prometheus: read from the database when asked. No label ever holds an address or a URL."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from distributor.core.alerting import BEAT_AGE
from distributor.core.errors import StorageError
from distributor.core.seldom import Seldom
from distributor.web.answers import not_found
from distributor.web.console.door import Door
from distributor.web.parts import WebParts
from distributor.web.stores import EventCount

if TYPE_CHECKING:  # the library is loaded when somebody asks for the page: it is a twentieth of the whole start
    from prometheus_client.core import Metric

log = logging.getLogger(__name__)

#: One look at the database serves everybody who asks for this long.
LOOK_AGAIN = timedelta(seconds=5)
#: States that a delivery should not be in for long.
_WAITING = ("queued", "unknown", "held")
_SAFE_LABEL = re.compile(r"[\w .-]{1,80}")


class Metrics:
    """The page, and the counts that only this process has."""

    def __init__(self, parts: WebParts, door: Door) -> None:
        self._parts = parts
        self._door = door
        self._lock = threading.Lock()
        self._looked: tuple[datetime, bytes] | None = None
        self._events: Counter[tuple[str, str]] = Counter()
        self._look = _Look(parts, self._events)

    def metrics(self, request: Request) -> Response:
        from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

        if not self._door.is_open_to(request):
            return not_found()
        with self._lock:
            now = self._parts.clock()
            if self._looked is None or not self._looked[0] <= now < self._looked[0] + LOOK_AGAIN:
                self._looked = (now, generate_latest(self._look))
            body = self._looked[1]
        return Response(body, headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})

    def count_events(self, channel: str, count: EventCount | None) -> None:
        """None for a report that was refused."""
        with self._lock:
            if count is None:
                self._events[channel, "refused"] += 1
                return
            self._events[channel, "new"] += count.new - count.unmatched
            self._events[channel, "repeated"] += count.repeated
            self._events[channel, "unmatched"] += count.unmatched


class _Look:
    """Reads everything anew at each scrape; what costs more on large tables is asked for less often."""

    def __init__(self, parts: WebParts, events: Mapping[tuple[str, str], int]) -> None:
        self._parts = parts
        self._events = events
        reports, figures = parts.stores.reports, parts.stores.figures
        self._deliveries = Seldom(lambda: figures.count_deliveries(), time.monotonic)
        self._oldest = Seldom(lambda: {state: figures.find_oldest(state) for state in _WAITING}, time.monotonic)
        self._reasons = Seldom(lambda: figures.count_reasons(), time.monotonic)
        self._mismatches = Seldom(lambda: len(figures.find_mismatches()), time.monotonic, least=60.0)
        self._editions = Seldom(lambda: parts.stores.health.count_editions(), time.monotonic)
        self._posts = Seldom(lambda: reports.count_by_status(), time.monotonic)
        self._clicks = Seldom(lambda: reports.count_clicks("channel", limit=1000), time.monotonic)

    def collect(self) -> Iterator[Metric]:
        now = self._parts.clock()
        yield from _read_process(self._parts)
        said = "Events that services reported since the start, by what became of them."
        yield _counter("service_events", said, self._events, "channel", "result")
        try:
            found = [
                *self._read_deliveries(now),
                *_read_channels(self._parts, now),
                *_read_sources(self._parts, now),
                *self._read_rest(),
                *_read_counts(self._parts),
                *_read_operation(self._parts, now),
            ]
        except StorageError as error:
            log.warning("metrics are incomplete: %s", error)
            found = []
        yield _gauge("database_up", "Whether the database answered.", {(): float(bool(found))})
        yield from found

    def _read_deliveries(self, now: datetime) -> Iterator[Metric]:
        deliveries, names = self._deliveries.get(), self._parts.channels
        yield _gauge("deliveries", "Deliveries by state.", deliveries, "channel", "state")
        unknown = {(name,): 0 for name in names}
        unknown |= {(name,): number for (name, state), number in deliveries.items() if state == "unknown"}
        yield _gauge("unknown_deliveries", "Messages that may or may not have gone out.", unknown, "channel")
        ages = {(name, state): 0.0 for name in names for state in _WAITING}
        for state, found in self._oldest.get().items():
            ages |= {(name, state): _seconds(now, at) for name, at in found.items()}
        yield _gauge(
            "oldest_delivery_age_seconds", "Since the oldest one came into its state.", ages, "channel", "state"
        )
        held: dict[tuple[str, str], float] = {}
        for (name, reason), number in self._reasons.get().items():
            key = (name, reason.partition(":")[0][:40] or "none")
            held[key] = held.get(key, 0) + number
        yield _gauge("held_deliveries", "Held deliveries by reason.", held, "channel", "reason")
        yield _gauge("accounting_mismatches", "Editions that do not add up.", {(): self._mismatches.get()})

    def _read_rest(self) -> Iterator[Metric]:
        yield _gauge("editions", "Editions by state.", self._editions.get(), "channel", "state")
        posts = {(status,): number for status, number in self._posts.get().items()}
        yield _gauge("posts", "Stories by status.", {("held",): 0} | posts, "status")
        clicks = {(row.group, klass): n for row in self._clicks.get() for klass, n in row.classes.items()}
        yield _counter("clicks", "Clicks by what they were taken for.", clicks, "channel", "class")


def _read_process(parts: WebParts) -> Iterator[Metric]:
    journal = parts.journal()
    age = parts.tick_age()
    if age is not None:
        yield _gauge("tick_age_seconds", "Since the clock last ticked.", {(): age.total_seconds()})
    yield _gauge("disk_free_ratio", "Free share of the disk with the database.", {(): parts.disk_free()})
    yield _gauge("click_journal_bytes", "Clicks written and not counted yet.", {(): float(journal.backlog)})
    yield _counter("click_journal_written", "Clicks written since the start.", {(): float(journal.written)})
    yield _counter("click_journal_dropped", "Clicks lost since the start.", {(): float(journal.lost)})


def _read_channels(parts: WebParts, now: datetime) -> Iterator[Metric]:
    channels = parts.stores.reports.list_channels()
    paused = {(name,): 0 for name in parts.channels}
    paused |= {(name,): int(row.is_paused) for name, row in channels.items()}
    yield _gauge("channel_paused", "1 while a channel is paused.", paused, "channel")
    closed = dict.fromkeys(paused, 0) | {(row.channel,): 1 for row in parts.stores.figures.list_closed()}
    yield _gauge("channel_closed", "1 while the service or the circuit breaker keeps it paused.", closed, "channel")
    sent = {(name,): _seconds(now, row.last_ok_at) for name, row in channels.items() if row.last_ok_at}
    yield _gauge("channel_ok_age_seconds", "Since a message was last accepted.", sent, "channel")
    yield _gauge("pace_left", "Messages that may still go within a window.", parts.paces(), "channel", "window")


def _read_sources(parts: WebParts, now: datetime) -> Iterator[Metric]:
    sources = parts.stores.posts.load_sources()
    failures = {(name,): row.failures for name, row in sources.items()}
    yield _gauge("source_failures", "Polls that failed since the last good one.", failures, "source")
    good = {(name,): _seconds(now, row.last_ok_at) for name, row in sources.items() if row.last_ok_at}
    yield _gauge("source_ok_age_seconds", "Since the last good poll.", good, "source")
    polls = {(name,): _seconds(now, row.last_poll_at) for name, row in sources.items() if row.last_poll_at}
    yield _gauge("source_poll_age_seconds", "Since the last poll, good or not.", polls, "source")
    lags = {(name,): lag for name, lag in parts.lags().items()}
    yield _gauge("schedule_lag_seconds", "Since a due time that nobody has planned.", lags, "schedule")


def _read_counts(parts: WebParts) -> Iterator[Metric]:
    """What all processes have counted since the database was made."""
    counts = parts.stores.counters.load()

    def pick(name: str) -> dict[tuple[str, ...], float]:
        return {key[1:]: number for key, number in counts.items() if key[0] == name}

    yield _counter("attempts", "Messages by how the service answered.", pick("attempts"), "channel", "result")
    yield _counter("send_calls", "Calls to a service.", pick("send_calls"), "channel")
    yield _counter("send_seconds", "Seconds that calls to a service took.", pick("send_seconds"), "channel")
    yield _counter("stories", "Stories by what polls made of them.", pick("stories"), "source", "kind")
    yield _counter("wordings", "Editions that were worded.", pick("wordings"), "channel")
    yield _counter("wording_seconds", "Seconds that wording took.", pick("wording_seconds"), "channel")
    yield _counter("lease_expiries", "Deliveries whose holder ran out of time.", pick("lease_expiries"), "state")
    yield _counter("recoveries", "Deliveries settled for a dead process.", pick("recoveries"), "state")


def _read_operation(parts: WebParts, now: datetime) -> Iterator[Metric]:
    roles: dict[tuple[str, ...], float] = dict.fromkeys((("web",), ("clock",), ("worker",)), 0)
    for process in parts.stores.figures.list_processes(now):
        for role in process.roles if process.beat_age <= BEAT_AGE else ():
            roles[(role,)] = roles.get((role,), 0) + 1
    yield _gauge("processes", "Processes that are alive, by role.", roles, "role")
    yield _gauge("alerts", "Troubles that are wrong enough to call somebody.", {(): parts.stores.alerts.count()})
    yield _gauge("wal_bytes", "SQLite's write-ahead log.", {(): parts.stores.figures.measure_wal()})
    safe = float(bool(parts.stores.health.read_safe_mode()))
    yield _gauge("safe_mode", "1 while nothing is sent because the database is a copy.", {(): safe})
    backup_at = parts.stores.health.find_backup()
    if backup_at is not None:
        yield _gauge("backup_age_seconds", "Since the last backup.", {(): _seconds(now, backup_at)})


def _seconds(now: datetime, then: datetime | None) -> float:
    return 0.0 if then is None else max((now - then).total_seconds(), 0.0)


def _gauge(name: str, text: str, values: Mapping[Any, float], *labels: str) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(f"distributor_{name}", text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric([make_label(part) for part in key], value)
    return family


def _counter(name: str, text: str, values: Mapping[Any, float], *labels: str) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(f"distributor_{name}", text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric([make_label(part) for part in key], value)
    return family


def make_label(text: str) -> str:
    """The text if it is a plain name; what could hold an address or a URL becomes a mark of itself."""
    if _SAFE_LABEL.fullmatch(text):
        return text
    return f"name-{hashlib.blake2b(text.encode('utf-8', 'replace'), digest_size=4).hexdigest()}"
