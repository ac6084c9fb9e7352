"""Mails a second where each answer of the mail server takes 20 ms, over twenty connections (--full: over fifty).

One mail needs one round trip, so that a second has room for connections / delay mails: that is the yardstick. Ours
is the whole pipeline, as in email_pipeline. Goal: at least 0.85 times that; one connection and the usual loop are
shown without a goal.

python -m benchmarks.email_delay [--full]
"""

from __future__ import annotations

import sys
from functools import partial

from benchmarks.rigs.rounds import choose, end, print_floor, run_child, take_medians
from benchmarks.rigs.sinks import run_sink

PATH = "benchmarks.email_pipeline"
DELAY = 0.020
GOAL = 0.85


def main() -> int:
    connections, few, many, rounds = choose((5, 2, 100, 1), (20, 20, 5_000, 5), (50, 100, 50_000, 5))
    with run_sink("smtp", delay=DELAY) as port:
        ways = {
            "ours": partial(run_child, PATH, str(port), str(many), f"connections={connections}"),
            "one": partial(run_child, PATH, str(port), str(few * 5 + 50), "connections=1"),
            "usual": partial(run_child, "benchmarks.email_smtp", "usual", str(port), str(few)),
        }
        found = take_medians(ways, rounds)
    ours, limit = found["ours"]["rate"], connections / DELAY
    is_met = print_floor(
        f"{connections} connections, answers after {DELAY * 1000:.0f} ms: mails a second", ours, limit, GOAL
    )
    one, usual = found["one"]["rate"], 1 / found["usual"]["wall"] * 1000
    print(f"  on one connection {one:.1f} of {1 / DELAY:.0f}; the usual loop on one: {usual:.1f}")
    return end(is_met)


if __name__ == "__main__":
    sys.exit(main())
