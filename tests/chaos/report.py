"""docs/reliability.md: what is promised, what was measured, how to measure it again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from tests.chaos.matrix import Matrix
from tests.chaos.page import END, MATRIX, RANDOM, TOP, UNREACHED
from tests.chaos.random_kills import Chaos
from tests.chaos.unreached import explain_unreached, shorten

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"


@dataclass
class Figures:
    """What a long run found."""

    seed: int
    minutes: float
    points: Sequence[str]
    commit: str = ""
    matrices: list[dict[str, Any]] = field(default_factory=list)
    rounds: list[dict[str, Any]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def add_matrix(self, matrix: Matrix) -> None:
        account = matrix.account
        row = {"house": matrix.house, "points": len(matrix.points), "runs": matrix.runs, "kills": account.kills}
        row |= {"deliveries": account.deliveries, "lost": len(account.lost), "twice": len(account.twice)}
        row |= {"planned": matrix.planned, "unknown": account.unknown, "clicks": account.clicks}
        row |= {"wrong_clicks": count_clicks(matrix.faults), "again": matrix.again}
        row |= {"unreached": explain_unreached(matrix.house, set(self.points) - matrix.points)}
        self.matrices.append(row)
        self.violations += [f"{matrix.house}: {one}" for one in matrix.faults]

    def add_round(self, chaos: Chaos) -> None:
        account, back = chaos.account, chaos.recoveries
        row = {"house": chaos.house, "nodes": chaos.nodes, "minutes": chaos.minutes, "seed": chaos.seed}
        row |= {"kills": account.kills, "database": chaos.database_ends, "deliveries": account.deliveries}
        row |= {"lost": len(account.lost), "twice": len(account.twice), "unknown": account.unknown}
        row |= {"clicks": account.clicks, "half": back[len(back) // 2] if back else 0.0}
        row |= {"longest": max(back, default=0)}
        self.rounds.append(row)
        self.violations += [f"{chaos.house}, {chaos.nodes} nodes: {one}" for one in account.violations]

    def add_kept(self, path: Path) -> None:
        """Figures of an earlier part."""
        kept = json.loads(path.read_text())
        self.commit = " and ".join(sorted({*self.commit.split(" and "), kept["commit"]} - {""}))
        self.minutes += kept["minutes"]
        self.matrices += kept["matrices"]
        self.rounds += kept["rounds"]
        self.violations += kept["violations"]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps({**asdict(self), "points": list(self.points)}, indent=1))


def count_clicks(faults: Sequence[str]) -> int:
    return sum("click " in fault for fault in faults)


def find_commit() -> str:
    """The commit that runs; "" outside a checkout."""
    command = ["git", "rev-parse", "--short=10", "HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def write_page(figures: Figures, day: date, path: Path = PAGE) -> None:
    """The page, from figures that hold no name of a machine and no path."""
    values = {"day": day.isoformat(), "seed": figures.seed, "minutes": f"{figures.minutes:g}"}
    commit = f", commit {figures.commit}" if figures.commit else ""
    page = TOP.format(points=len(set(figures.points)), commit=commit, **values)
    if figures.matrices:
        rows = [*figures.matrices, _add_up("together", figures.matrices)]
        page += MATRIX.format(cut=_describe_cut(figures.matrices)) + "".join(map(_matrix_row, rows))
        page += UNREACHED + "".join(_unreached_rows(figures.matrices))
    if figures.rounds:
        page += RANDOM + "".join(map(_round_row, figures.rounds)) + _sum_of_rounds(figures.rounds)
    if figures.violations:
        page += f"\n**Promises broken in this run: {len(figures.violations)}. The first:**\n\n"
        page += "".join(f"- {one[:300]}\n" for one in figures.violations[:10])
    path.write_text(page + END.format(**values), encoding="utf-8")


def _describe_cut(rows: Sequence[dict[str, Any]]) -> str:
    """Whether the time was enough, in a sentence."""
    runs, planned = sum(row["runs"] for row in rows), sum(row["planned"] for row in rows)
    if runs >= planned:
        return "All days and commands that were planned were lived."
    return f"**This run had time for {runs:,} of {planned:,} days and commands**, taken at random."


COUNTED = ("points", "kills", "again", "deliveries", "lost", "twice", "unknown", "clicks", "wrong_clicks")


def _add_up(name: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"house": name, **{key: sum(row[key] for row in rows) for key in COUNTED}, "points": ""}


def _matrix_row(row: dict[str, Any]) -> str:
    return f"| {row['house']} | " + " | ".join(_say(row[name]) for name in COUNTED) + " |\n"


def _say(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _unreached_rows(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [
        f"| {row['house']} | {shorten(points)} | {reason} |\n"
        for row in rows
        for reason, points in sorted(row["unreached"].items())
    ]


def _round_row(row: dict[str, Any]) -> str:
    names = ("nodes", "minutes", "kills", "database", "deliveries", "lost", "twice", "unknown", "clicks")
    back = f"{row['half']:.1f} s, {row['longest']:.1f} s"
    return f"| {row['house']} | " + " | ".join(f"{row[name]:,}" for name in names) + f" | {back} |\n"


def _sum_of_rounds(rows: Sequence[dict[str, Any]]) -> str:
    names = ("kills", "database", "deliveries", "lost", "twice", "unknown", "clicks")
    sums = " | ".join(f"{sum(row[name] for row in rows):,}" for name in names)
    return f"| together | | {sum(row['minutes'] for row in rows):.1f} | {sums} | |\n"
