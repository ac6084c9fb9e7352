"""What a benchmark found, as lines that `python -m benchmarks` gathers into one table.

Each line goes to the file that BENCHMARK_ROWS names; a benchmark that is started by itself only prints.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "BENCHMARK_ROWS"


@dataclass(frozen=True)
class Row:
    """One figure against its goal. `ratio` and `yardstick` are "" where the goal is a figure of its own.

    `verdict`: met, MISSED, "not measured" with `ours` saying what is not there, or, with --smoke, that it says
    nothing.
    """

    what: str
    ours: str
    yardstick: str
    ratio: str
    goal: str
    verdict: str


def note(
    what: str, ours: str, goal: str, is_met: bool, yardstick: str = "", ratio: str = "", verdict: str = ""
) -> None:
    """Leave a line for the table."""
    found = "too small to say" if "--smoke" in sys.argv else "met" if is_met else "MISSED"
    row = Row(what, ours, yardstick, ratio, goal, verdict or found)
    if name := os.environ.get(FILE):
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")


def note_absent(what: str, why: str, goal: str) -> None:
    """Leave a line for what was not measured: a program is not installed, a yardstick cannot be had here."""
    note(what, why, goal, True, verdict="not measured")


def read_rows(path: Path) -> list[Row]:
    return [Row(**json.loads(line)) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def say_number(value: float) -> str:
    """Three figures that count, thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def say_ratio(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio > 0.5 else f"1/{1 / ratio:.1f}".removesuffix(".0")


def write_table(rows: Sequence[tuple[str, Row]]) -> list[str]:
    """Lines of Markdown; each row with the name of its benchmark."""
    lines = ["| what | ours | yardstick | ratio | goal | |", "|---|---|---|---|---|---|"]
    for name, row in rows:
        cells = (f"{row.what} (`{name}`)", row.ours, row.yardstick, row.ratio, row.goal, row.verdict)
        lines.append("| " + " | ".join(cell.replace("|", "/") or "–" for cell in cells) + " |")
    return lines
