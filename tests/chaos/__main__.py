"""`make chaos`: the kill matrix on every database and engine, then random kills, then docs/reliability.md."""

from __future__ import annotations

import argparse
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.crew import Crew, House
from tests.chaos.matrix import run_matrix
from tests.chaos.random_kills import run_rounds
from tests.chaos.report import Figures, find_commit, write_page
from tests.house.points import list_points
from tests.postgres_server import IN_EARNEST, PostgresServer

#: The databases and engines that a day is lived on.
HOUSES = (("SQLite", ""), ("PostgreSQL", ""), ("PostgreSQL", "procrastinate"))
#: (database, engine, nodes) under random kills.
ROUNDS = (
    ("PostgreSQL", "procrastinate", 3),
    ("PostgreSQL", "procrastinate", 2),
    ("PostgreSQL", "procrastinate", 1),
    ("PostgreSQL", "", 1),
    ("SQLite", "", 1),
    ("SQLite", "", 1),
)
#: The share of the time that the matrix has, when both are done.
MATRIX_SHARE = 0.75
#: Minutes that a round needs besides its kills: before the first and after the last.
AROUND = 1.0


def main() -> None:
    given = read_arguments()
    began = time.monotonic()
    until = began + given.minutes * 60
    figures = Figures(given.seed, 0.0, list_points(), find_commit())
    for path in given.add:
        figures.add_kept(path)
    if "matrix" in given.parts:
        share = MATRIX_SHARE if "random" in given.parts else 1.0
        run_houses(given, figures, began + given.minutes * 60 * share)
    if "random" in given.parts:
        left = until - time.monotonic()
        minutes = max(left / 60 / -(-len(ROUNDS) // given.rounds) - AROUND, 0.5)
        for chaos in run_rounds(ROUNDS, minutes, given.seed, given.rounds):
            figures.add_round(chaos)
    figures.minutes = round(figures.minutes + (time.monotonic() - began) / 60, 1)
    if given.keep:
        figures.save(given.keep)
    if not (given.only or given.keep):
        write_page(figures, datetime.now(UTC).date())
        tell("written: docs/reliability.md")
    for wrong in figures.violations:
        tell(f"WRONG: {wrong}")
    sys.exit(1 if figures.violations else 0)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long it may take, about")
    parser.add_argument("--seed", type=int, default=1, help="what is random begins with this number")
    parser.add_argument("--only", default="", help="only boundaries with this in their name; writes no page")
    crew = (os.cpu_count() or 1) * 2
    parser.add_argument("--crew", type=int, default=crew, help="newsrooms side by side: a day mostly waits")
    parser.add_argument("--rounds", type=int, default=2, help="rounds of random kills side by side")
    parser.add_argument("--parts", default="matrix,random", help="matrix, random, or both")
    parser.add_argument("--houses", default="0,1,2", help="0 SQLite, 1 PostgreSQL, 2 PostgreSQL with procrastinate")
    parser.add_argument("--keep", type=Path, help="write the figures there, as JSON, and no page")
    parser.add_argument(
        "--add", type=Path, action="append", default=[], help="figures that were kept are on the page, too"
    )
    return parser.parse_args()


def run_houses(given: argparse.Namespace, figures: Figures, until: float) -> None:
    with PostgresServer(IN_EARNEST) as server:
        houses = [HOUSES[int(number)] for number in given.houses.split(",")]
        for left, (kind, engine) in zip(range(len(houses), 0, -1), houses, strict=True):
            now = time.monotonic()
            with Crew(House(kind, engine, server.url), given.crew) as crew:
                share = max((until - now) / left, 30.0)
                figures.add_matrix(run_matrix(crew, given.seed, tell, given.only, now + share))
            killed = set(figures.points) - {p for ps in figures.matrices[-1]["unreached"].values() for p in ps}
            tell(f"{kind}, {engine or 'local'}: killed at {len(killed)} of {len(set(figures.points))} boundaries")


def tell(sentence: str) -> None:
    print(sentence, flush=True)


if __name__ == "__main__":
    main()
