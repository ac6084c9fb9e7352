"""docs/reliability.md: what is promised, what was measured, how to measure it again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from tests.chaos.matrix import Matrix
from tests.chaos.random_kills import Chaos

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"

TOP = """# Reliability, measured

This page is written by `make chaos`, which kills the program a great many times and then asks the only witness that
counts: what the public of the pretended services saw. Figures of {day}, seed {seed}, {minutes} minutes in all.

## What is promised

- **Nothing is lost.** Whatever was to go out has been seen, or is listed as *unknown* for you to decide; it is
  never just gone. A redirect that a reader got is counted, also when the program dies right after it.
- **Nothing goes out twice by itself.** Only what you resend yourself may be there twice, and it is marked.
- **What is unknown is small.** A kill leaves unknown at most what was on the wire in that moment: one message on a
  channel with one voice, one mail for each connection to a mail server, one call for SendGrid (all readers in it).
- **You do nothing.** After any kill the program starts and goes on; what it knows for certain it settles by itself.

## What was measured

A day has two stories and a weekly letter, four channels (Telegram, X, a mail server, SendGrid), and readers who
click. Each *boundary* is a commit to the database, a call over the network or a write to a file: {points} in all
have a name, and a test fails when a new one has none.
"""

MATRIX = """
### Killed at each boundary

`kill -9` the first time the program stands at the boundary, at a later time where it comes by often, and a second
time while it recovers from the first. Commands (import, backup, restore, pause and others) are killed at theirs and
typed again. {cut}

| where | boundaries | runs | kills | deliveries | lost | twice | unknown | clicks | clicks lost or doubled |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
"""

RANDOM = """
### Killed at random

Stories come and readers click while processes are killed every few seconds, and on PostgreSQL one time in five the
database itself (`kill -9`, immediate stop, restart). *Back* is the time from a kill to the next message that the
public sees: half of the times, and the longest. New kills come before many recoveries end.

| where | nodes | minutes | kills | of the database | deliveries | lost | twice | unknown | clicks | back |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
"""

END = """
## Do it again

```
make chaos ARGS="--minutes {minutes} --seed {seed}"
```

`--only ledger` narrows it to boundaries with that in their name. A dozen of the kills are part of `make test`.

## What is not covered

- **Power cuts.** The database is told to be on the disk before a message starts (SQLite with `synchronous=FULL`,
  PostgreSQL with `synchronous_commit=on`), and so is the record of what a list is about to get. The lines that say
  which readers of a list were reached are not synced one by one: after a power cut those of the last moments are
  *unknown*, never sent again by themselves. This was not tried by cutting power.
- **Disks that lie or lose data**, and file systems on other machines under SQLite, which is not supported.
- **The services themselves.** They are our sandboxes here, which follow their documents; how they behave when they
  break is tried with broken answers in tests/faults.
- **Several machines** are several processes with folders of their own on one machine here; their clocks agree.
"""


@dataclass
class Figures:
    """What a long run found. Kept as JSON beside the page's figures, so that a run can be added to another."""

    seed: int
    minutes: float
    points: int
    matrices: list[dict[str, Any]] = field(default_factory=list)
    rounds: list[dict[str, Any]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def add_matrix(self, matrix: Matrix) -> None:
        account = matrix.account
        row = {"house": matrix.house, "points": len(matrix.points), "runs": matrix.runs, "kills": account.kills}
        row |= {"deliveries": account.deliveries, "lost": len(account.lost), "twice": len(account.twice)}
        row |= {"planned": matrix.planned, "unknown": account.unknown, "clicks": account.clicks}
        row |= {"wrong_clicks": count_clicks(matrix.faults)}
        self.matrices.append(row)
        self.violations += matrix.faults

    def add_round(self, chaos: Chaos) -> None:
        account, back = chaos.account, chaos.recoveries
        row = {"house": chaos.house, "nodes": chaos.nodes, "minutes": chaos.minutes, "seed": chaos.seed}
        row |= {"kills": account.kills, "database": chaos.database_ends, "deliveries": account.deliveries}
        row |= {"lost": len(account.lost), "twice": len(account.twice), "unknown": account.unknown}
        row |= {
            "clicks": account.clicks,
            "half": back[len(back) // 2] if back else 0.0,
            "longest": max(back, default=0),
        }
        self.rounds.append(row)
        self.violations += [f"{chaos.house}, {chaos.nodes} nodes: {one}" for one in account.violations]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1))


def count_clicks(faults: Sequence[str]) -> int:
    return sum("click " in fault for fault in faults)


def write_page(figures: Figures, day: date, path: Path = PAGE) -> None:
    """The page, from figures that hold no name of a machine and no path."""
    values = {"day": day.isoformat(), "seed": figures.seed, "minutes": f"{figures.minutes:g}"}
    page = TOP.format(points=figures.points, **values)
    if figures.matrices:
        page += MATRIX.format(cut=_describe_cut(figures.matrices)) + "".join(map(_matrix_row, figures.matrices))
    if figures.rounds:
        page += RANDOM + "".join(map(_round_row, figures.rounds))
    if figures.violations:
        page += f"\n**Promises broken in this run: {len(figures.violations)}. The first:**\n\n"
        page += "".join(f"- {one[:300]}\n" for one in figures.violations[:10])
    path.write_text(page + END.format(**values), encoding="utf-8")


def _describe_cut(rows: Sequence[dict[str, Any]]) -> str:
    """Whether the time was enough, in a sentence."""
    runs, planned = sum(row["runs"] for row in rows), sum(row["planned"] for row in rows)
    if runs >= planned:
        return "All of them were done."
    return f"**This run had time for {runs:,} of at least {planned:,} runs**, taken at random."


def _matrix_row(row: dict[str, Any]) -> str:
    names = ("points", "runs", "kills", "deliveries", "lost", "twice", "unknown", "clicks", "wrong_clicks")
    return f"| {row['house']} | " + " | ".join(f"{row[name]:,}" for name in names) + " |\n"


def _round_row(row: dict[str, Any]) -> str:
    names = ("nodes", "minutes", "kills", "database", "deliveries", "lost", "twice", "unknown", "clicks")
    back = f"{row['half']:.1f} s, {row['longest']:.1f} s"
    return f"| {row['house']} | " + " | ".join(f"{row[name]:,}" for name in names) + f" | {back} |\n"
