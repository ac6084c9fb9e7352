"""An import of readers from a CSV file as the product does it, checked and streamed: rows a second.

Goals: at least 0.40 of what the sqlite3 shell does with `.import` into a bare table and a unique index, and on
PostgreSQL at least 0.75 of a raw COPY of the same file into a staging table with INSERT .. SELECT of the same rows.
The yardsticks check nothing. Ours checks each address, leaves out who left or is suppressed, and makes members.

python -m benchmarks.imports [--full]     100,000 readers, or 1,000,000
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks.rigs.databases import KINDS, LIST, Bench, open_bench, open_server
from benchmarks.rigs.rounds import choose, end, print_floor, run_rounds
from benchmarks.rigs.rows import note
from distributor.pipeline.recipients import import_people

SQLITE_GOAL, POSTGRESQL_GOAL = 0.40, 0.75
SHELL = """create table person (email text, name text, city text, plan text, consent text);
.mode csv
.import --skip 1 {file} person
create unique index by_email on person (email);
"""
STAGE = "CREATE TEMP TABLE staged (email text, name text, city text, plan text, consent text) ON COMMIT DROP"
COPY = "COPY staged FROM STDIN WITH (FORMAT csv, HEADER)"
RAW = (
    "INSERT INTO subscriber (address, address_key, name, status, reason, created_at, consent) "
    "SELECT email, lower(email), name, 'active', '', 0, consent FROM staged ON CONFLICT DO NOTHING",
    f"INSERT INTO list_member (list, subscriber_id, state, since) SELECT '{LIST}', id, 'member', 0 FROM subscriber",
)


def write_people(file: Path, count: int) -> None:
    numbers = list(range(count))
    random.Random(7).shuffle(numbers)
    with file.open("w", encoding="utf-8") as out:
        out.write("email,name,city,plan,consent\n")
        for number in numbers:
            address = f"reader{number}@mail{number % 977}.example.org"
            out.write(f"{address},Reader {number},Town {number % 500},free,web form 2025-01-{number % 28 + 1:02}\n")


def run_ours(file: Path, count: int, kind: str, server: str) -> float:
    with tempfile.TemporaryDirectory() as name, open_bench(kind, Path(name), server) as bench:
        started = time.monotonic()
        *_, last = import_people(file, bench.storage.recipients, LIST, datetime.now(UTC), lambda problem: None)
        used = time.monotonic() - started
        assert last.added == count, last
    return count / used


def run_shell(file: Path, count: int, server: str) -> float:
    with tempfile.TemporaryDirectory() as name:
        started = time.monotonic()
        command = ["sqlite3", f"{name}/people.db"]
        subprocess.run(command, input=SHELL.format(file=file), text=True, check=True, stdout=subprocess.DEVNULL)
        return count / (time.monotonic() - started)


def run_raw(file: Path, count: int, server: str) -> float:
    with tempfile.TemporaryDirectory() as name, open_bench("postgresql", Path(name), server) as bench:
        started = time.monotonic()
        copy_raw(bench, file)
        used = time.monotonic() - started
        with bench.database.read() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM list_member").scalar() == count
    return count / used


def copy_raw(bench: Bench, file: Path) -> None:
    with bench.database.write("bench.copy") as connection:
        connection.exec_driver_sql(STAGE)
        driver = connection.connection.driver_connection
        assert driver is not None
        with file.open("rb") as source, driver.cursor() as cursor, cursor.copy(COPY) as copy:
            while data := source.read(1_000_000):
                copy.write(data)
        for sentence in RAW:
            connection.exec_driver_sql(sentence)


def compare(kind: str, file: Path, count: int, rounds: int, server: str) -> bool:
    title = f"import of {count:,} readers, {kind}: rows a second"
    goal, yardstick = (SQLITE_GOAL, run_shell) if kind == "sqlite" else (POSTGRESQL_GOAL, run_raw)
    if kind == "sqlite" and shutil.which("sqlite3") is None:
        note(title, "Debian's package sqlite3", f"at least {goal}", False, verdict="not measured")
        return True
    ways: dict[str, Callable[[], float]] = {
        "ours": partial(run_ours, file, count, kind, server),
        "bare": partial(yardstick, file, count, server),
    }
    found = run_rounds(ways, rounds)
    return print_floor(title, found["ours"], found["bare"], goal)


def main() -> int:
    count, rounds = choose((300, 1), (100_000, 7), (1_000_000, 5))
    is_met = True
    with tempfile.TemporaryDirectory() as name, open_server(Path(name)) as server:
        file = Path(name) / "people.csv"
        write_people(file, count)
        for kind in KINDS:
            is_met = compare(kind, file, count, rounds, server) and is_met
    return end(is_met)


if __name__ == "__main__":
    sys.exit(main())
