"""`make chaos`: the long form of the kill matrix and of random kills, then docs/reliability.md."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.crew import Crew, House
from tests.chaos.matrix import run_matrix
from tests.chaos.random_kills import run_rounds
from tests.chaos.report import Figures, write_page
from tests.chaos.server import PostgresServer
from tests.house.points import list_points

ROOT = Path(__file__).parents[2]
#: The databases and engines that a day is lived on.
HOUSES = (("SQLite", ""), ("PostgreSQL", ""), ("PostgreSQL", "procrastinate"))
#: (database, engine, nodes) under random kills.
ROUNDS = (
    ("SQLite", "", 1),
    ("PostgreSQL", "", 1),
    ("PostgreSQL", "procrastinate", 1),
    ("PostgreSQL", "procrastinate", 2),
    ("PostgreSQL", "procrastinate", 3),
)
#: Long forms of other tests of reliability, run where they are.
OTHERS = ("tests/simulation", "tests/faults")


def main() -> None:
    given = read_arguments()
    began = time.monotonic()
    until = began + given.minutes * 60
    figures = Figures(given.seed, given.minutes, len(list_points()))
    code = 0
    if "random" in given.parts:
        share = given.minutes * 60 * (0.35 if "matrix" in given.parts else 0.9) / len(ROUNDS)
        with tempfile.TemporaryDirectory(prefix="distributor-chaos-", ignore_cleanup_errors=True) as folder:
            for chaos in run_rounds(Path(folder), ROUNDS, max(share / 60 - 0.4, 0.3), given.seed, tell):
                figures.add_round(chaos)
    if "matrix" in given.parts:
        run_houses(given, figures, until)
    for folder in OTHERS if "others" in given.parts else ():
        code |= run_other(folder)
    figures.minutes = round((time.monotonic() - began) / 60, 1)
    if not given.only:
        write_page(figures, datetime.now(UTC).date())
        tell("written: docs/reliability.md")
    for wrong in figures.violations:
        tell(f"WRONG: {wrong}")
    sys.exit(1 if figures.violations or code else 0)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long it may take, about")
    parser.add_argument("--seed", type=int, default=1, help="what is random begins with this number")
    parser.add_argument("--only", default="", help="only boundaries with this in their name; writes no page")
    parser.add_argument("--crew", type=int, default=max(2, os.cpu_count() or 1), help="newsrooms side by side")
    parser.add_argument("--parts", default="random,matrix,others", help="some of random, matrix, others")
    return parser.parse_args()


def run_houses(given: argparse.Namespace, figures: Figures, until: float) -> None:
    never = set(list_points())
    for left, (kind, engine) in zip(range(len(HOUSES), 0, -1), HOUSES, strict=True):
        now = time.monotonic()
        server = PostgresServer() if kind == "PostgreSQL" else None
        try:
            with Crew(House(kind, engine, server.url if server else ""), given.crew) as crew:
                share = max((until - now) / left, 30.0)
                matrix = run_matrix(crew, given.seed, tell, given.only, now + share)
        finally:
            if server is not None:
                server.close()
        figures.add_matrix(matrix)
        never -= matrix.points
        for dud in matrix.duds:
            tell(f"  did not go off: {dud}")
    tell(f"boundaries that nobody was killed at: {', '.join(sorted(never)) or 'none'}")


def run_other(folder: str) -> int:
    if not (ROOT / folder).is_dir():
        return 0
    tell(f"{folder}, long form")
    command = [sys.executable, "-m", "pytest", folder, "--long", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def tell(sentence: str) -> None:
    print(sentence, flush=True)


if __name__ == "__main__":
    main()
