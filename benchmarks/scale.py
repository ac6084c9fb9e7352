"""The whole path of a letter as the list grows: import, freeze, claim, send over SMTP, settle. Peak memory and CPU.

Goals: at the large size sending costs at most 1.10 times the CPU for 1,000 that it costs at 10,000, and peak memory
is at most 1.4 times as much, under 96 MB. The sink is in another process; the send journal, the send record and the
SQLite ledger (synchronous=FULL) are the product's own.

python -m benchmarks.scale [--full]     10,000 against 100,000, or against 1,000,000
"""

from __future__ import annotations

import json
import resource
import sys
import time

from benchmarks.rigs.letter_path import open_desk
from benchmarks.rigs.rounds import choose, end, print_figure, print_ratio, read_cpu, run_child, take_medians
from benchmarks.rigs.sinks import run_sink

MODULE = "benchmarks.scale"
MOST_MEGABYTES = 96
MOST_GROWTH = 1.4
MOST_CPU = 1.10


def run_path(count: int, port: int) -> dict[str, float]:
    found: dict[str, float] = {}
    with open_desk() as desk:
        cpu = read_cpu()
        desk.add_readers(count)
        found["import"] = (read_cpu() - cpu) / count * 1e6
        cpu = read_cpu()
        desk.freeze_edition()
        found["freeze"] = (read_cpu() - cpu) / count * 1e6
        with desk.run_lane(port) as lane:
            cpu, wall = read_cpu(), time.monotonic()
            desk.send_all(lane)
            found["send"] = (read_cpu() - cpu) / count * 1e6
            found["per_second"] = count / (time.monotonic() - wall)
        sent = desk.count_sent()
        assert sent == count, f"{sent} of {count} were sent"
    found["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def measure(small: int, large: int, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """The small list before and after each large one: a machine's load changes while the large one runs."""
    with run_sink("smtp") as port:
        ways = {
            "before": lambda: run_child(MODULE, str(small), str(port)),
            "large": lambda: run_child(MODULE, str(large), str(port)),
            "after": lambda: run_child(MODULE, str(small), str(port)),
        }
        found = take_medians(ways, rounds)
    before, after = found["before"], found["after"]
    return {key: (before[key] + after[key]) / 2 for key in before}, found["large"]


def main() -> int:
    if "--child" in sys.argv:
        count, port = (int(word) for word in sys.argv[2:4])
        print(json.dumps(run_path(count, port)))
        return 0
    few, many, rounds = choose((100, 300, 1), (10_000, 100_000, 5), (10_000, 1_000_000, 5))
    small, large = measure(few, many, rounds)
    print(f"{'readers':>10} {'import':>8} {'freeze':>8} {'send':>8}  CPU ms per 1,000   mails/s   peak MB")
    for count, found in ((few, small), (many, large)):
        row = f"{count:>10,} {found['import']:8.1f} {found['freeze']:8.1f} {found['send']:8.1f}"
        print(f"{row}  {'':16} {found['per_second']:9,.0f} {found['megabytes']:9.0f}")
    sizes = f"at {many:,} against at {few:,}"
    is_cheap = print_ratio(f"sending {sizes}", large["send"], small["send"], MOST_CPU)
    is_flat = print_ratio(f"peak memory {sizes}", large["megabytes"], small["megabytes"], MOST_GROWTH, "MB")
    is_small = print_figure("peak memory", large["megabytes"], MOST_MEGABYTES, "MB")
    return end(is_cheap and is_flat and is_small)


if __name__ == "__main__":
    sys.exit(main())
