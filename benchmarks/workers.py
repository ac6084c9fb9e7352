"""Two workers against one: mails a second to a list on PostgreSQL, over a sink that makes them wait.

Goal: two `run --roles worker` processes, each with its own folder, send at least 1.7 times as many mails a second
as one. The yardstick is the one. The sink thinks 20 ms about each mail and each worker has four connections, so the
sink allows 200 mails a second for each worker. As long as the cores have some time left they are not the limit; how
busy they were is shown. Counted from the first mail to the last, alternated: the first worker stays, the second one
comes and goes.

python -m benchmarks.workers [--full]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks.rigs.databases import Bench, add_readers, freeze_edition, open_bench, open_server, plan_edition
from benchmarks.rigs.product import PATIENCE, Product, compile_bytecode, make_channels, run_product, write_config
from benchmarks.rigs.rounds import choose, end, print_floor
from benchmarks.rigs.sinks import Envelopes, run_envelopes
from distributor.engine.procrastinate_tables import ensure_tables

GOAL = 1.7
DELAY = 0.020
#: Of each worker, as the product has them when nobody says otherwise.
CONNECTIONS = 4
#: Busier cores than this are a limit of their own.
BUSY = 0.9


@dataclass
class Scene:
    """One database, one sink, one list; an edition for each measurement."""

    bench: Bench
    envelopes: Envelopes
    folder: Path
    wanted: int
    busy: dict[str, list[float]] = field(default_factory=dict)
    rates: dict[str, list[float]] = field(default_factory=dict)
    editions: int = 0

    @contextmanager
    def run_worker(self, number: int) -> Iterator[Product]:
        """The worker with that number, from when it hears of wake-ups."""
        url = self.bench.database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with run_product(write_worker(self.folder, url, self.envelopes.port), "--roles", "worker") as product:
            wait_until(self.bench, "SELECT count(*) FROM procrastinate_workers", number)
            time.sleep(1.0)
            yield product

    def measure(self, name: str) -> None:
        """Send one edition to all readers; keeps mails a second and how busy the cores were."""
        self.editions += 1
        seen, moments = len(self.envelopes.moments), self.envelopes.moments
        edition_id = plan_edition(self.bench.storage, self.editions, datetime.now(UTC))
        used, began = read_busy_seconds(), time.monotonic()
        freeze_edition(self.bench.storage, edition_id, datetime.now(UTC))
        wait_for(self.envelopes, seen + self.wanted)
        share = (read_busy_seconds() - used) / (time.monotonic() - began) / (os.cpu_count() or 1)
        ours = sorted(moments[seen : seen + self.wanted])
        self.rates.setdefault(name, []).append((self.wanted - 1) / (ours[-1] - ours[0]))
        self.busy.setdefault(name, []).append(share)
        # The next edition must not wait for the end of this one.
        wait_until(self.bench, f"SELECT state FROM edition WHERE id = {edition_id}", "complete")


def read_busy_seconds() -> float:
    """Seconds that all cores of this machine were busy since its start, with whatever."""
    fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    ticks = [int(one) for one in fields[:8]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def wait_until(bench: Bench, sentence: str, answer: object) -> None:
    deadline = time.monotonic() + PATIENCE
    while bench.database.look(sentence) != [(answer,)]:
        if time.monotonic() > deadline:
            raise SystemExit(f"the database never answers {answer!r} to {sentence}")
        time.sleep(0.05)


def write_worker(folder: Path, url: str, port: int) -> Path:
    """A configuration in a folder of its own, as on a machine of its own; channel and database are shared."""
    letter = next(one for one in make_channels("http://127.0.0.1:9", port) if one["name"] == "smtp")
    home = Path(tempfile.mkdtemp(dir=folder))
    return write_config(home, database={"url": url}, channels=[{**letter, "name": "letter"}])


def wait_for(envelopes: Envelopes, wanted: int) -> None:
    """Until every reader has one, as long as something comes."""
    seen, since = 0, time.monotonic()
    while len(envelopes.moments) < wanted:
        if len(envelopes.moments) > seen:
            seen, since = len(envelopes.moments), time.monotonic()
        if time.monotonic() - since > PATIENCE:
            raise SystemExit(f"{seen} of {wanted} mails came")
        time.sleep(0.01)


def main() -> int:
    # Some claims for each, so that the second one, which has just come and connects, counts for little; one reader
    # in twenty gets nothing.
    readers, rounds = choose((20, 1), (6_000, 5), (20_000, 5))
    compile_bytecode()
    with ExitStack() as parts:
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory()))
        server = parts.enter_context(open_server(folder))
        envelopes = parts.enter_context(run_envelopes(DELAY))
        bench = parts.enter_context(open_bench("postgresql", folder, server))
        ensure_tables(bench.database.url.set(drivername="postgresql").render_as_string(hide_password=False))
        scene = Scene(bench, envelopes, folder, add_readers(bench.storage, readers))
        parts.enter_context(scene.run_worker(1))
        for _ in range(rounds):
            scene.measure("one")
            with scene.run_worker(2):
                scene.measure("two")
    return report(scene)


def report(scene: Scene) -> int:
    rates = {name: median(found) for name, found in scene.rates.items()}
    title = f"two workers against one, answers after {DELAY * 1e3:.0f} ms: mails a second"
    is_met = print_floor(title, rates["two"], rates["one"], GOAL)
    for number, name in ((1, "one"), (2, "two")):
        busy = median(scene.busy[name])
        limit = ": a limit of their own" if busy > BUSY else ""
        print(f"    {name}: the sink allows {number * CONNECTIONS / DELAY:.0f}; cores {busy:.0%} busy{limit}")
    return end(is_met)


if __name__ == "__main__":
    sys.exit(main())
