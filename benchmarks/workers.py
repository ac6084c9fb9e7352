"""Two workers against one: mails a second to a list on PostgreSQL, over a sink that makes them wait.

Goal: two `run --roles worker` processes, each with its own folder, send at least 1.7 times as many mails a second
as one. The yardstick is the one. The sink answers each mail after 20 ms, so the wire is the limit and not the cores
of this machine; counted from the first mail to the last.

python -m benchmarks.workers [--full]
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.rigs.databases import add_readers, freeze_edition, open_bench, open_server, plan_edition
from benchmarks.rigs.product import PATIENCE, compile_bytecode, make_channels, run_product, write_config
from benchmarks.rigs.rounds import choose, end, print_floor, run_rounds
from benchmarks.rigs.sinks import Envelopes, run_envelopes

GOAL = 1.7
DELAY = 0.020


def measure(folder: Path, server: str, workers: int, readers: int) -> float:
    """Mails a second with so many workers, from the first mail to the last."""
    with ExitStack() as open_parts:
        envelopes = open_parts.enter_context(run_envelopes(DELAY))
        bench = open_parts.enter_context(open_bench("postgresql", folder, server))
        wanted = add_readers(bench.storage, readers)
        url = bench.database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        products = [
            open_parts.enter_context(run_product(write_worker(folder, url, envelopes.port), "--roles", "worker"))
            for _ in range(workers)
        ]
        for product in products:
            product.wait_for_log("running")
        freeze_edition(bench.storage, plan_edition(bench.storage, 1, datetime.now(UTC)), datetime.now(UTC))
        wait_for(envelopes, wanted)
        return (wanted - 1) / (max(envelopes.moments) - min(envelopes.moments))


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
    readers, rounds = choose((20, 1), (4_000, 3), (20_000, 5))
    compile_bytecode()
    with tempfile.TemporaryDirectory() as name, open_server(Path(name)) as server:
        rates = run_rounds(
            {
                "one": lambda: measure(Path(name), server, 1, readers),
                "two": lambda: measure(Path(name), server, 2, readers),
            },
            rounds,
        )
    title = f"two workers against one, answers after {DELAY * 1e3:.0f} ms: mails a second"
    return end(print_floor(title, rates["two"], rates["one"], GOAL))


if __name__ == "__main__":
    sys.exit(main())
