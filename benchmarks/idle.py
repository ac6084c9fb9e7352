"""The whole product with nothing to do: CPU and memory over a minute, with 20 sources that have nothing new.

Goal: under 1 % of one CPU. The yardstick is zero; nothing else on the machine is counted. The sources answer 304,
asked every two minutes; channels of every kind are open and have nothing to send.

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
from benchmarks.rigs.rounds import choose, end, say

GOAL_PERCENT = 1.0
SOURCES = 20
EVERY = "2m"


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


def measure(product: Product, settle: float, seconds: float) -> tuple[float, float]:
    """Percent of one CPU over `seconds`, after `settle` seconds in which the start and the first polls end."""
    product.wait_for("/readyz")
    time.sleep(settle)
    cpu, started = product.read_cpu(), time.monotonic()
    time.sleep(seconds)
    percent = (product.read_cpu() - cpu) / (time.monotonic() - started) * 100
    return percent, product.read_megabytes()


def main() -> int:
    settle, seconds = choose((0.5, 1.0), (8.0, 60.0), (15.0, 600.0))
    compile_bytecode()
    with (
        tempfile.TemporaryDirectory() as name,
        run_feeds() as feeds,
        run_product(write_newsroom(Path(name), feeds.port)) as product,
    ):
        percent, megabytes = measure(product, settle, seconds)
    is_met = percent < GOAL_PERCENT
    print(f"idle for {seconds:.0f} s, {SOURCES} sources asked every {EVERY}, a channel of each kind")
    print(f"  CPU       {percent:8.2f} %   goal {GOAL_PERCENT} %: {say(is_met)}")
    print(f"  memory    {megabytes:8.0f} MB")
    return end(is_met)


if __name__ == "__main__":
    sys.exit(main())
