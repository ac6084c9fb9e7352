"""Alternated rounds and medians: load of the machine hits every variant alike."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from statistics import median
from typing import TypeVar

from benchmarks.rigs.rows import note, say_number, say_ratio

Size = TypeVar("Size")


def choose(smoke: Size, usual: Size, full: Size) -> Size:
    """How much to do: with --smoke only enough to see that it runs, with --full enough for a published figure."""
    if "--smoke" in sys.argv:
        return smoke
    return full if "--full" in sys.argv else usual


def end(is_met: bool) -> int:
    """The exit code: 1 for a missed goal, but a run too small to say anything is never a miss."""
    return 0 if is_met or "--smoke" in sys.argv else 1


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


def take_medians(
    variants: Mapping[str, Callable[[], dict[str, float]]], rounds: int
) -> dict[str, dict[str, float]]:
    """Each variant in turn, `rounds` times; of each the medians of the figures it returned."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, run in variants.items():
            found[name].append(run())
    return {name: {key: median(one[key] for one in all_) for key in all_[0]} for name, all_ in found.items()}


def print_floor(title: str, ours: float, usual: float, goal: float) -> bool:
    """As `print_ratio`, where more is better; True when ours is at least `goal` times the yardstick."""
    print(f"{title}")
    print(f"  ours      {ours:10.0f}")
    print(f"  yardstick {usual:10.0f}")
    is_met = ours >= usual * goal
    print(f"  ratio     {ours / usual:10.2f}   goal at least {goal}: {say(is_met)}")
    note(title, say_number(ours), f"at least {goal}", is_met, say_number(usual), f"{ours / usual:.2f}")
    return is_met


def print_ratio(title: str, ours: float, usual: float, goal: float, unit: str = "CPU ms per 1,000") -> bool:
    """A line for each and the verdict; True when the goal (1/80, or 1.5) is met."""
    print(f"{title}: {unit}")
    print(f"  ours      {ours:10.3f}")
    print(f"  yardstick {usual:10.3f}")
    is_met, ratio = ours <= usual * goal, say_ratio(ours / usual)
    print(f"  ratio     {ratio:>10}   goal {say_ratio(goal)}: {say(is_met)}")
    note(f"{title}: {unit}", say_number(ours), f"at most {say_ratio(goal)}", is_met, say_number(usual), ratio)
    return is_met


def print_figure(title: str, figure: float, goal: float, unit: str) -> bool:
    """A figure whose goal is a figure of its own; True when it is under the goal."""
    is_met = figure < goal
    print(f"{title:28} {figure:8.2f} {unit}   goal under {goal:g} {unit}: {say(is_met)}")
    note(title, f"{say_number(figure)} {unit}", f"under {goal:g} {unit}", is_met)
    return is_met


def say(is_met: bool) -> str:
    return "met" if is_met else "MISSED"


def run_child(module: str, *arguments: str) -> dict[str, float]:
    """What `python -m module --child ...` prints as JSON: each variant in a process and heap of its own."""
    command = [sys.executable, "-m", module, "--child", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
