"""The whole product with nothing to do: CPU and memory over a minute, with 20 sources that have nothing new.

Goals: under 1 % of one CPU, and under 80 MB. The yardstick is zero; nothing else on the machine is counted. The
sources answer 304, each asked once within the minute; channels of every kind are open and have nothing to send.
Memory is that of all processes of the product, a page that they share with others divided among them (PSS), after
the second start: the very first one also makes the database, and reads every feed, in a process that then rests.

python -m benchmarks.idle [--full]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.rigs.feeds import run_feeds
from benchmarks.rigs.product import Product, compile_bytecode, make_channels, run_product, write_config
from benchmarks.rigs.rounds import choose, end, print_figure

GOAL_PERCENT = 1.0
GOAL_MEGABYTES = 80.0
SOURCES = 20
EVERY = "1m"


def write_newsroom(folder: Path, feeds: int) -> Path:
    channels = make_channels("http://127.0.0.1:9", 9)
    sources: list[dict[str, Any]] = [
        {"name": f"feed{i}", "kind": "feed", "url": f"http://127.0.0.1:{feeds}/{i}", "every": EVERY}
        for i in range(SOURCES)
    ]
    schedules = [
        {"name": f"to-{one['name']}", "channel": one["name"], "form": "each", "when": "immediately"}
        for one in channels
    ]
    return write_config(folder, sources=sources, channels=channels, schedules=schedules)


def measure(product: Product, settle: float, seconds: float) -> tuple[float, dict[str, float]]:
    """Percent of one CPU over `seconds`, after `settle` seconds in which the start and the first polls end; and the
    memory at the end."""
    product.wait_for("/readyz")
    time.sleep(settle)
    cpu, started = product.read_cpu(), time.monotonic()
    time.sleep(seconds)
    percent = (product.read_cpu() - cpu) / (time.monotonic() - started) * 100
    return percent, product.read_megabytes()


def main() -> int:
    settle, seconds = choose((0.5, 1.0), (8.0, 60.0), (15.0, 600.0))
    compile_bytecode()
    with tempfile.TemporaryDirectory() as name, run_feeds() as feeds:
        config = write_newsroom(Path(name), feeds.port)
        with run_product(config) as product:
            _, first = measure(product, settle / 2, settle / 2)
        with run_product(config) as product:
            percent, memory = measure(product, settle, seconds)
    print(f"idle for {seconds:.0f} s, {SOURCES} sources asked every {EVERY}, a channel of each kind")
    is_quiet = print_figure("idle CPU of one processor", percent, GOAL_PERCENT, "%")
    is_small = print_figure("idle memory", memory["own"], GOAL_MEGABYTES, "MB")
    print(f"    what is shared in full  {memory['resident']:8.0f} MB")
    print(f"    after the very first start {first['own']:5.0f} MB")
    return end(is_quiet and is_small)


if __name__ == "__main__":
    sys.exit(main())
