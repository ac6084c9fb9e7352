"""The ledger per 1,000 readers: claim, send record, send journal, settle; against UPDATEs by primary key.

Goals: at most 1/10 of the CPU of one UPDATE by key and commit per reader and transition (claimed, then sent: what a
program does that writes each mail down), and at most 25 % of the CPU of the whole email pipeline, measured over a
real SMTP sink. For comparison without a goal: the same UPDATEs by executemany, a thousand in a transaction, which
writes no attempt, checks no suppression and survives no kill. SQLite runs with synchronous=FULL; CPU is this
process's and that of PostgreSQL's processes.

python -m benchmarks.ledger [--full]
"""

from __future__ import annotations

import gc
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.rigs.databases import (
    KINDS,
    Bench,
    add_readers,
    freeze_edition,
    open_bench,
    open_server,
    plan_edition,
)
from benchmarks.rigs.rounds import choose, end, print_figure, print_ratio, run_child, run_rounds
from benchmarks.rigs.sinks import run_sink
from distributor.core.delivery import settle
from distributor.core.message import Accepted
from distributor.core.sending import Batch, Settled
from distributor.storage.database import run_quickly
from distributor.storage.recorded import RecordedLedger
from distributor.storage.send_journal import SendJournal

GOAL, GOAL_SHARE = 1 / 10, 0.25
BATCH = 1000
#: Mails that share one write to the send journal: 4,750 made 1,532 of them over benchmarks.scale's sink.
PER_TURN = 3
IDS = [f"SINK{number:08d}" for number in range(BATCH)]
ANSWERS = [Accepted(one, f"250 2.0.0 Ok: queued as {one}") for one in IDS]
CLAIM = "UPDATE delivery SET state = 'claimed', fence = 'bench', changed_at = :now WHERE id = :id"
SETTLE = "UPDATE delivery SET state = 'sent', attempts = 1, fence = NULL, changed_at = :now WHERE id = :id"
_numbers = count(1)


def write_ours(bench: Bench, folder: Path) -> None:
    """What a lane does for a list, without the wire: send record, send journal, ledger."""
    ledger, journal = RecordedLedger(bench.storage, folder, "bench"), SendJournal(folder, "bench", "letter")
    while isinstance(batch := claim(ledger), Batch):
        answered: list[tuple[int, str]] = []
        settled = []
        now = datetime.now(UTC)
        for start in range(0, len(batch.claimed), PER_TURN):
            turn = batch.claimed[start : start + PER_TURN]
            journal.note(answered, (), [one.delivery_id for one in turn])
            answered = [
                (one.delivery_id, answer.receipt) for one, answer in zip(turn, ANSWERS[start:], strict=False)
            ]
        journal.note(answered, (), ())
        for item, answer in zip(batch.claimed, ANSWERS, strict=False):
            settled.append(Settled(item.delivery_id, 1, now, now, settle(answer, 1, 3, item.delivery_id)))
        ledger.settle("letter", "bench", settled, now)
        journal.forget()
    journal.close()


def claim(ledger: RecordedLedger) -> Any:
    now = datetime.now(UTC)
    return ledger.claim("letter", limit=BATCH, paces=(), fence="bench", lease=900.0, now=now)


def write_each(bench: Bench, folder: Path) -> None:
    """A transaction for each reader and transition, said to the driver itself."""
    for row in list_rows(bench):
        bench.say(CLAIM, row)
        bench.say(SETTLE, row)


def write_many(bench: Bench, folder: Path) -> None:
    """executemany: a transaction for each thousand readers and transition."""
    rows = list_rows(bench)
    for start in range(0, len(rows), BATCH):
        for sentence in (CLAIM, SETTLE):
            with bench.database.write("bench.update") as connection:
                run_quickly(connection, sentence, rows[start : start + BATCH])


def list_rows(bench: Bench) -> list[dict[str, object]]:
    with bench.database.read() as connection:
        return [{"id": row[0], "now": 1.0} for row in connection.exec_driver_sql("SELECT id FROM delivery")]


WAYS: dict[str, Callable[[Bench, Path], None]] = {"ours": write_ours, "each": write_each, "many": write_many}


def measure(bench: Bench, folder: Path, write: Callable[[Bench, Path], None]) -> float:
    """CPU milliseconds for 1,000 readers of a new edition, all of whom must be sent in the end."""
    edition_id = plan_edition(bench.storage, next(_numbers), datetime.now(UTC))
    audience = freeze_edition(bench.storage, edition_id, datetime.now(UTC))
    cpu = bench.read_cpu()
    write(bench, folder)
    used = bench.read_cpu() - cpu
    with bench.database.write("bench.empty") as connection:
        found = connection.exec_driver_sql("SELECT count(*) FROM delivery WHERE state = 'sent'").scalar()
        assert found == audience > 0, f"{found} of {audience} are sent"
        for table in ("attempt", "receipt_page"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
        connection.exec_driver_sql("DELETE FROM delivery")
        connection.exec_driver_sql("UPDATE edition SET state = 'complete'")
    return used / audience * 1e6


def compare(bench: Bench, kind: str, folder: Path, readers: int, rounds: int) -> tuple[bool, float]:
    add_readers(bench.storage, readers)
    # As `distributor run` does once it has started.
    gc.collect()
    gc.freeze()
    ways: dict[str, Callable[[], float]] = {
        name: partial(measure, bench, folder, way) for name, way in WAYS.items()
    }
    medians = run_rounds(ways, rounds)
    is_met = print_ratio(f"ledger, {kind}", medians["ours"], medians["each"], GOAL)
    many = medians["many"]
    print(f"  executemany of a thousand: {many:.2f}, ours is {medians['ours'] / many:.2f} times that")
    return is_met, medians["ours"]


def measure_pipeline(readers: int) -> float:
    """CPU milliseconds of the whole way of 1,000 letters on SQLite: claim, build, SMTP, settle."""
    with run_sink("smtp") as port:
        return run_child("benchmarks.scale", str(readers), str(port))["send"]


def main() -> int:
    readers, rounds, letters = choose((100, 1, 100), (5_000, 5, 10_000), (20_000, 7, 100_000))
    results = {}
    with tempfile.TemporaryDirectory() as name, open_server(Path(name)) as server:
        for kind in KINDS:
            with open_bench(kind, Path(name), server) as bench:
                results[kind] = compare(bench, kind, Path(name), readers, rounds)
    pipeline = measure_pipeline(letters)
    share = results["sqlite"][1] / pipeline
    print(f"the email pipeline: {pipeline:.1f} CPU ms per 1,000 on SQLite")
    is_small = print_figure("the ledger's share of it", share * 100, GOAL_SHARE * 100, "%")
    return end(is_small and all(is_met for is_met, _ in results.values()))


if __name__ == "__main__":
    sys.exit(main())
