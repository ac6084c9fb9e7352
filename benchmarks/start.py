"""From the command to the first answer: `run` with every kind of channel and 20 sources, and `--help`.

Goals: `run` answers /healthz within 1 s, `--help` within 0.25 s. The yardstick is an
empty Python. Byte code is there, as after `make setup`.

python -m benchmarks.start [--full]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.rigs.product import ROOT, compile_bytecode, make_channels, run_product, write_config
from benchmarks.rigs.rounds import choose, end, print_figure, run_rounds

GOAL_RUN, GOAL_HELP = 1.0, 0.25
SOURCES = 20


def time_command(*words: str) -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, *words], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def time_start(config: Path) -> tuple[float, float, float]:
    """Seconds to the first answer, CPU seconds until then, seconds until /readyz says yes."""
    started = time.monotonic()
    with run_product(config) as product:
        product.wait_for("/healthz")
        answered, cpu = time.monotonic() - started, product.read_cpu()
        product.wait_for("/readyz")
        return answered, cpu, time.monotonic() - started


def write_newsroom(folder: Path) -> Path:
    away = "http://127.0.0.1:9"
    channels = make_channels(away, 9)
    sources = [{"name": f"feed{i}", "kind": "feed", "url": f"{away}/{i}", "every": "1h"} for i in range(SOURCES)]
    schedules = [
        {"name": f"to-{one['name']}", "channel": one["name"], "form": "digest", "at": "07:30"} for one in channels
    ]
    return write_config(folder, sources=sources, channels=channels, schedules=schedules)


def main() -> int:
    rounds = choose(1, 5, 11)
    compile_bytecode()
    with tempfile.TemporaryDirectory() as name:
        config = write_newsroom(Path(name))
        first = time_start(config)
        starts: list[tuple[float, float, float]] = []

        def start_again() -> float:
            starts.append(time_start(config))
            return starts[-1][0]

        medians = run_rounds(
            {
                "bare": lambda: time_command("-c", "pass"),
                "help": lambda: time_command("-m", "distributor", "--help"),
                "run": start_again,
            },
            rounds,
        )
    return report(medians, first, starts)


def report(medians: dict[str, float], first: Sequence[float], starts: Sequence[tuple[float, float, float]]) -> int:
    cpu, ready = median(one[1] for one in starts), median(one[2] for one in starts)
    print(f"python -c pass               {medians['bare']:6.2f} s")
    is_help = print_figure("distributor --help", medians["help"], GOAL_HELP, "s")
    is_run = print_figure("run, to the first answer", medians["run"], GOAL_RUN, "s")
    print(f"    of it CPU                {cpu:6.2f} s")
    print(f"  run, to ready              {ready:6.2f} s")
    print(f"  run, an empty folder       {first[0]:6.2f} s")
    return end(is_help and is_run)


if __name__ == "__main__":
    sys.exit(main())
