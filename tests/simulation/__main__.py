"""python -m tests.simulation --seeds 0..999: print the figures, or the first failing seed with its trace."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.simulation.run import STEPS, open_sqlite_ground, run_seed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0..99", help="one seed, or a range such as 0..999")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of the storm of each seed")
    parser.add_argument("--go-on", action="store_true", help="do not end at the first failing seed")
    parser.add_argument("--trace", action="store_true", help="print the whole trace, also of what went well")
    given = parser.parse_args()
    first, _, last = given.seeds.partition("..")
    seeds = range(int(first), int(last or first) + 1)
    return run(seeds, given.steps, given.go_on, given.trace)


def run(seeds: range, steps: int, goes_on: bool, is_traced: bool) -> int:
    counts: Counter[str] = Counter()
    crashes: Counter[str] = Counter()
    broken = 0
    began = time.monotonic()
    with open_sqlite_ground() as ground:
        for seed in seeds:
            outcome = run_seed(seed, ground, steps)
            counts += outcome.counts
            crashes += outcome.crashed_at
            if is_traced or (outcome.broken and not goes_on):
                print("\n".join(outcome.trace))
            if outcome.broken:
                broken += 1
                print(f"seed {seed}: {outcome.broken}", flush=True)
                if not goes_on:
                    break
    seconds = time.monotonic() - began
    print(f"{len(seeds)} seeds, {broken} broken, {seconds:.1f} s")
    print(", ".join(f"{name}: {count}" for name, count in sorted(counts.items())))
    print(f"killed at {len(crashes)} places: " + ", ".join(f"{name} {n}" for name, n in sorted(crashes.items())))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
