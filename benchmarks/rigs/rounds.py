"""Alternated rounds and medians: load of the machine hits every variant alike."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from statistics import median


def read_cpu(who: int = resource.RUSAGE_SELF) -> float:
    """User and system seconds so far."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def measure_cpu(work: Callable[[], object], times: int = 1) -> float:
    before = read_cpu()
    for _ in range(times):
        work()
    return read_cpu() - before


def run_rounds(variants: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Each variant in turn, `rounds` times; the median of what it returned."""
    found: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, run in variants.items():
            found[name].append(run())
    return {name: median(values) for name, values in found.items()}


def print_ratio(title: str, ours: float, usual: float, goal: float, unit: str = "CPU ms per 1,000") -> bool:
    """A line for each and the verdict; True when the goal (a fraction such as 1/80) is met."""
    print(f"{title}: {unit}")
    print(f"  ours      {ours:10.3f}")
    print(f"  yardstick {usual:10.3f}")
    verdict = "met" if ours <= usual * goal else "MISSED"
    print(f"  ratio     1/{usual / ours:.1f}   goal 1/{1 / goal:.0f}: {verdict}")
    return ours <= usual * goal


def run_child(module: str, *arguments: str) -> dict[str, float]:
    """What `python -m module --child ...` prints as JSON: each variant in a process and heap of its own."""
    command = [sys.executable, "-m", module, "--child", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
