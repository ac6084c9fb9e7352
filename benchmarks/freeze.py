"""Freezing an edition to its readers, the suppressed left out: ours against the database's own INSERT .. SELECT.

Goal: at most 1.3 times the CPU, on SQLite and on PostgreSQL. The yardstick is the barest statement that writes the
same rows and leaves out the same readers, said straight to the driver in one transaction. One reader in twenty is
suppressed. CPU is this process's and that of the server's processes.

python -m benchmarks.freeze [--full]     100,000 readers, or 1,000,000
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from benchmarks.rigs.databases import (
    KINDS,
    Bench,
    add_readers,
    freeze_edition,
    open_bench,
    open_server,
    plan_edition,
)
from benchmarks.rigs.rounds import choose, end, print_ratio, run_rounds

GOAL = 1.3
BARE = """
INSERT INTO delivery (edition_id, recipient_id, state, attempts, changed_at)
SELECT {edition}, m.subscriber_id, 'queued', 0, 0.0
FROM list_member m JOIN subscriber s ON s.id = m.subscriber_id
WHERE m.list = 'readers' AND m.state = 'member' AND s.status = 'active'
  AND NOT EXISTS (SELECT 1 FROM suppression x WHERE x.address_key = s.address_key AND x.list IN ('', 'readers'))
"""
_numbers = count(1)


def freeze_ours(bench: Bench, edition_id: int) -> None:
    freeze_edition(bench.storage, edition_id, datetime.now(UTC))


def freeze_barely(bench: Bench, edition_id: int) -> None:
    with bench.database.write("bench.freeze") as connection:
        connection.exec_driver_sql(BARE.format(edition=edition_id))


def measure(bench: Bench, freeze: Callable[[Bench, int], None], wanted: int) -> tuple[float, float]:
    """CPU and seconds for one edition, which is deleted afterwards."""
    edition_id = plan_edition(bench.storage, next(_numbers), datetime.now(UTC))
    cpu, started = bench.read_cpu(), time.monotonic()
    freeze(bench, edition_id)
    used = bench.read_cpu() - cpu, time.monotonic() - started
    empty(bench, wanted)
    return used


def empty(bench: Bench, wanted: int) -> None:
    """Delete the deliveries, once it is known that they were right."""
    with bench.database.write("bench.empty") as connection:
        found = connection.exec_driver_sql("SELECT count(*) FROM delivery").scalar()
        assert found == wanted, f"{found} deliveries, not {wanted}"
        if bench.database.is_sqlite:
            connection.exec_driver_sql("DELETE FROM delivery")
        else:
            connection.exec_driver_sql("TRUNCATE delivery CASCADE")


def compare(bench: Bench, kind: str, readers: int, rounds: int) -> bool:
    wanted = add_readers(bench.storage, readers)
    ways = {"ours": freeze_ours, "bare": freeze_barely}
    seconds: dict[str, list[float]] = {name: [] for name in ways}

    def run(name: str) -> Callable[[], float]:
        def once() -> float:
            cpu, wall = measure(bench, ways[name], wanted)
            seconds[name].append(wall)
            return cpu

        return once

    medians = run_rounds({name: run(name) for name in ways}, rounds)
    is_met = print_ratio(f"freeze, {kind}, {readers:,} readers", medians["ours"], medians["bare"], GOAL, "CPU s")
    print(
        "  seconds   " + ", ".join(f"{name} {sorted(all_)[len(all_) // 2]:.2f}" for name, all_ in seconds.items())
    )
    return is_met


def main() -> int:
    readers, rounds = choose((500, 1), (100_000, 5), (1_000_000, 5))
    is_met = True
    with tempfile.TemporaryDirectory() as name, open_server(Path(name)) as server:
        for kind in KINDS:
            with open_bench(kind, Path(name), server) as bench:
                is_met = compare(bench, kind, readers, rounds) and is_met
    return end(is_met)


if __name__ == "__main__":
    sys.exit(main())
