"""How long news takes: from "it may go" to the first byte at the service, and from the feed to every service.

Goals: enqueue to first byte, half of the time (p50), under 50 ms on the local engine and under 100 ms on
Procrastinate. It is counted from before the transaction that freezes an edition to the moment an SMTP server reads
the envelope, on a connection that is open already. The yardstick is a bare SMTP envelope on an open connection.
The whole walk is shown without a goal: the product as it runs, a source asked every second, four sandboxes.

python -m benchmarks.walk [--full]
"""

from __future__ import annotations

import smtplib
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.rigs.databases import Bench, add_readers, freeze_edition, open_bench, open_server, plan_edition
from benchmarks.rigs.feeds import run_feeds
from benchmarks.rigs.product import PATIENCE, make_channels, run_product, write_config
from benchmarks.rigs.rounds import choose, end, print_figure
from benchmarks.rigs.sinks import Envelopes, run_envelopes
from distributor.app import App, read_settings
from distributor.channels import load
from distributor.run import make_engine

GOALS = {"local": 0.050, "procrastinate": 0.100}
DATABASES = {"local": "sqlite", "procrastinate": "postgresql"}


@contextmanager
def run_engine(name: str, bench: Bench, folder: Path, port: int) -> Iterator[None]:
    """The engine with one list over a real connection, woken by the database as in the product."""
    letter = next(one for one in make_channels("http://127.0.0.1:9", port) if one["name"] == "smtp")
    config = write_config(folder / name, channels=[{**letter, "name": "letter"}])
    app = App(read_settings(config, {}), bench.storage)
    engine = make_engine(name, app, True)
    bench.database.waker = engine
    engine.start()
    try:
        yield
    finally:
        bench.database.waker = None
        engine.stop(30.0)


def measure_engine(name: str, folder: Path, server: str, times: int) -> list[float]:
    """Seconds from the freeze to the envelope of the only reader, one edition after another."""
    waits = []
    with run_envelopes() as envelopes, open_bench(DATABASES[name], folder, server) as bench:
        add_readers(bench.storage, 1)
        with run_engine(name, bench, folder, envelopes.port):
            for number in range(times + 1):
                edition_id = plan_edition(bench.storage, number, datetime.now(UTC))
                seen, started = len(envelopes.moments), time.monotonic()
                freeze_edition(bench.storage, edition_id, datetime.now(UTC))
                waits.append(wait_for_one(envelopes, seen) - started)
                # Not in step with the rounds of the engine, and long enough for the answer to be settled.
                time.sleep(0.1 + number % 7 / 50)
    return waits[1:]


def wait_for_one(envelopes: Envelopes, seen: int) -> float:
    deadline = time.monotonic() + PATIENCE
    while len(envelopes.moments) <= seen:
        if time.monotonic() > deadline:
            raise SystemExit("nothing reached the service")
        time.sleep(0.001)
    return envelopes.moments[seen]


def measure_bare(times: int) -> list[float]:
    waits = []
    with run_envelopes() as envelopes, smtplib.SMTP("127.0.0.1", envelopes.port) as client:
        client.ehlo()
        for number in range(times):
            started = time.monotonic()
            client.mail("news@example.org")
            waits.append(envelopes.moments[number] - started)
    return waits


def measure_walk(folder: Path, stories: int) -> dict[str, list[float]]:
    """Channel -> seconds from the feed's answer with a new story to the message at the service; "feed": the wait
    before that."""
    boxes = {"telegram": load("telegram", "sandbox").Sandbox(), "x": load("x", "sandbox").Sandbox()}
    boxes |= dict(zip(("smtp", "sendgrid"), (box() for box in load("email", "sandbox").SANDBOXES), strict=True))
    for box in boxes.values():
        box.start()
    with run_feeds() as feeds:
        config = write_newsroom(folder, boxes, feeds.port)
        with run_product(config) as product:
            product.wait_for("/readyz")
            deadline = time.monotonic() + PATIENCE
            while not feeds.asked:
                assert time.monotonic() < deadline, "the feed is never asked"
                time.sleep(0.01)
            time.sleep(1.5)
            waits: dict[str, list[float]] = {name: [] for name in ("feed", *boxes)}
            for number in range(1, stories + 1):
                published = feeds.publish(number)
                arrived = wait_for_all(boxes, number)
                waits["feed"].append(feeds.given[number] - published)
                for name, moment in arrived.items():
                    waits[name].append(moment - feeds.given[number])
                time.sleep(1.3)
    for box in boxes.values():
        box.stop()
    return waits


def write_newsroom(folder: Path, boxes: Mapping[str, Any], feeds: int) -> Path:
    channels = [{"name": name, **box.settings()} for name, box in boxes.items()]
    for one in channels:
        if one["kind"] == "email":
            one["list"] = "readers"
    source = {
        "name": "front",
        "kind": "feed",
        "url": f"http://127.0.0.1:{feeds}/feed",
        "every": "1s",
        "enrich": False,
    }
    config = write_config(
        folder / "walk",
        sources=[source],
        channels=channels,
        schedules=[
            {"name": f"to-{one['name']}", "channel": one["name"], "form": "each", "when": "immediately"}
            for one in channels
        ],
    )
    from distributor.storage import join_stores, schema
    from distributor.storage.database import Database

    database = Database(read_settings(config, {}).database_url.get_secret_value())
    schema.upgrade(database)
    add_readers(join_stores(database), 1)
    database.close()
    return config


def wait_for_all(boxes: Mapping[str, Any], number: int) -> dict[str, float]:
    """When each service had its message; the sandboxes are looked at 200 times a second."""
    arrived: dict[str, float] = {}
    deadline = time.monotonic() + PATIENCE
    while len(arrived) < len(boxes):
        if time.monotonic() > deadline:
            raise SystemExit(f"story {number} reached only {', '.join(arrived) or 'nobody'}")
        for name, box in boxes.items():
            if name not in arrived and len(box.seen) >= number:
                arrived[name] = time.monotonic()
        time.sleep(0.005)
    return arrived


def find_percentile(waits: Sequence[float], percent: int) -> float:
    return sorted(waits)[min(len(waits) * percent // 100, len(waits) - 1)]


def print_line(name: str, waits: Sequence[float], verdict: str = "") -> None:
    middle, high = find_percentile(waits, 50) * 1e3, find_percentile(waits, 99) * 1e3
    print(f"  {name:28} p50 {middle:7.1f} ms   p99 {high:7.1f} ms   {verdict}".rstrip())


def main() -> int:
    times, stories = choose((2, 1), (100, 5), (500, 20))
    is_met = True
    with tempfile.TemporaryDirectory() as name, open_server(Path(name)) as server:
        print(f"enqueue to first byte, {times} times")
        print_line("a bare envelope", measure_bare(times))
        for engine, goal in GOALS.items():
            waits = measure_engine(engine, Path(name), server, times)
            print_line(f"{engine}, {DATABASES[engine]}", waits)
            middle = find_percentile(waits, 50) * 1e3
            is_met &= print_figure(f"enqueue to first byte, {engine}, p50", middle, goal * 1e3, "ms")
        print(f"the feed's answer to the message at the service, {stories} stories")
        for channel, waits in measure_walk(Path(name), stories).items():
            print_line("published to asked for (1 s)" if channel == "feed" else channel, waits)
    return end(is_met)


if __name__ == "__main__":
    sys.exit(main())
