"""/metrics for Prometheus: read from the database when asked. No label ever holds an address or a URL."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from distributor.core.errors import StorageError
from distributor.web.answers import not_found
from distributor.web.console.door import Door
from distributor.web.parts import WebParts
from distributor.web.stores import EventCount

log = logging.getLogger(__name__)

#: One look at the database serves everybody who asks for this long.
LOOK_AGAIN = timedelta(seconds=5)
_SAFE_LABEL = re.compile(r"[\w .-]{1,80}")


class Metrics:
    """The page, and the counts that only this process has."""

    def __init__(self, parts: WebParts, door: Door) -> None:
        self._parts = parts
        self._door = door
        self._lock = threading.Lock()
        self._looked: tuple[datetime, bytes] | None = None
        self._registry = CollectorRegistry()
        self._registry.register(_Look(parts))
        self._events = Counter(
            "distributor_service_events",
            "Events that services reported since the start, by what became of them.",
            ("channel", "result"),
            registry=self._registry,
        )

    def metrics(self, request: Request) -> Response:
        if not self._door.is_open_to(request):
            return not_found()
        with self._lock:
            now = self._parts.clock()
            if self._looked is None or not self._looked[0] <= now < self._looked[0] + LOOK_AGAIN:
                self._looked = (now, generate_latest(self._registry))
            body = self._looked[1]
        return Response(body, headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})

    def count_events(self, channel: str, count: EventCount | None) -> None:
        """None for a report that was refused."""
        if count is None:
            self._events.labels(make_label(channel), "refused").inc()
            return
        self._events.labels(make_label(channel), "new").inc(count.new - count.unmatched)
        self._events.labels(make_label(channel), "repeated").inc(count.repeated)
        self._events.labels(make_label(channel), "unmatched").inc(count.unmatched)


class _Look(Collector):
    """Reads everything anew at each scrape."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        now = self._parts.clock()
        yield from _read_process(self._parts)
        try:
            found = [*_read_deliveries(self._parts, now), *_read_rest(self._parts, now)]
        except StorageError as error:
            log.warning("metrics are incomplete: %s", error)
            found = []
        yield _gauge("database_up", "Whether the database answered.", {(): float(bool(found))})
        yield from found


def _read_process(parts: WebParts) -> Iterator[Metric]:
    journal = parts.journal()
    age = parts.tick_age()
    if age is not None:
        yield _gauge("tick_age_seconds", "Since the clock last ticked.", {(): age.total_seconds()})
    yield _gauge("disk_free_ratio", "Free share of the disk with the database.", {(): parts.disk_free()})
    yield _gauge("click_journal_bytes", "Clicks written and not counted yet.", {(): float(journal.backlog)})
    yield _counter("click_journal_written", "Clicks written since the start.", {(): float(journal.written)})
    yield _counter("click_journal_dropped", "Clicks lost since the start.", {(): float(journal.lost)})


def _read_deliveries(parts: WebParts, now: datetime) -> Iterator[Metric]:
    deliveries = parts.stores.reports.count_deliveries()
    yield _gauge("deliveries", "Deliveries by state.", deliveries, "channel", "state")
    unknown = {(name,): 0 for name in parts.channels}
    unknown |= {(name,): number for (name, state), number in deliveries.items() if state == "unknown"}
    yield _gauge("unknown_deliveries", "Messages that may or may not have gone out.", unknown, "channel")
    oldest = {(state,): parts.stores.reports.oldest(state) for state in ("queued", "unknown", "held")}
    ages = {key: _seconds(now, at) for key, at in oldest.items()}
    yield _gauge("oldest_delivery_age_seconds", "Since the oldest one came into its state.", ages, "state")
    yield _gauge("editions", "Editions by state.", parts.stores.health.count_editions(), "channel", "state")
    mismatches = len(parts.stores.reports.find_mismatches())
    yield _gauge("accounting_mismatches", "Editions whose deliveries do not add up.", {(): mismatches})


def _read_rest(parts: WebParts, now: datetime) -> Iterator[Metric]:
    sources = parts.stores.posts.load_sources()
    failures = {(name,): row.failures for name, row in sources.items()}
    yield _gauge("source_failures", "Polls that failed since the last good one.", failures, "source")
    polls = {(name,): _seconds(now, row.last_ok_at) for name, row in sources.items() if row.last_ok_at}
    yield _gauge("source_ok_age_seconds", "Since the last good poll.", polls, "source")
    posts = {(status,): number for status, number in parts.stores.reports.count_by_status().items()}
    yield _gauge("posts", "Stories by status.", {("held",): 0} | posts, "status")
    channels = parts.stores.reports.list_channels()
    paused = {(name,): 0 for name in parts.channels}
    paused |= {(name,): int(row.is_paused) for name, row in channels.items()}
    yield _gauge("channel_paused", "1 while a channel is paused.", paused, "channel")
    sent = {(name,): _seconds(now, row.last_ok_at) for name, row in channels.items() if row.last_ok_at}
    yield _gauge("channel_ok_age_seconds", "Since a message was last accepted.", sent, "channel")
    clicks: dict[tuple[str, ...], float] = {}
    for row in parts.stores.reports.count_clicks("channel", limit=1000):
        for klass, number in row.classes.items():
            clicks[(row.group, klass)] = number
    yield _counter("clicks", "Clicks by what they were taken for.", clicks, "channel", "class")


def _seconds(now: datetime, then: datetime | None) -> float:
    return 0.0 if then is None else max((now - then).total_seconds(), 0.0)


def _gauge(name: str, text: str, values: Mapping[Any, float], *labels: str) -> Metric:
    family = GaugeMetricFamily(f"distributor_{name}", text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric([make_label(part) for part in key], value)
    return family


def _counter(name: str, text: str, values: Mapping[Any, float], *labels: str) -> Metric:
    family = CounterMetricFamily(f"distributor_{name}", text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric([make_label(part) for part in key], value)
    return family


def make_label(text: str) -> str:
    """The text if it is a plain name; what could hold an address or a URL becomes a mark of itself."""
    if _SAFE_LABEL.fullmatch(text):
        return text
    return f"name-{hashlib.blake2b(text.encode('utf-8', 'replace'), digest_size=4).hexdigest()}"
