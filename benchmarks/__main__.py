"""All benchmarks: `python -m benchmarks [NAME ...] [--full] [--write]`, or `make bench ARGS="..."`.

Each runs in a process of its own and prints ours, the yardstick, the ratio and the goal; at the end all of it is
in one table. --write puts that table, with the machine and the command, into docs/performance.md. Figures hold as
ratios within one run; compare nothing between machines. Exit code 1 when a goal is missed or a benchmark fell over;
a yardstick that is not installed is named and fails nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.rigs.machine import describe_load, describe_machine
from benchmarks.rigs.rows import FILE, Row, note_absent, read_rows, write_table

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "performance.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
#: A benchmark's exit code when a program that it needs is not installed.
ABSENT = 2


def list_names() -> list[str]:
    """Every benchmark there is: the folder is the list."""
    return sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_"))


def main() -> int:
    wanted = [word for word in sys.argv[1:] if not word.startswith("-")]
    options = [word for word in sys.argv[1:] if word.startswith("-") and word != "--write"]
    unknown = sorted(set(wanted) - set(list_names()))
    if unknown or "--help" in options:
        print(f"python -m benchmarks [{'|'.join(list_names())}] [--full] [--write]")
        return 2 if unknown else 0
    load, began = describe_load(), time.monotonic()
    fallen: list[str] = []
    rows = [(name, row) for name in wanted or list_names() for row in run_one(name, options, fallen)]
    command = " ".join(["python -m benchmarks", *wanted, *options])
    head = describe_run(command, load, time.monotonic() - began)
    print_table(head, rows)
    if "--write" in sys.argv:
        write_page([*head, "", *write_table(rows)])
    missed = [row.what for _, row in rows if row.verdict == "MISSED"]
    print(f"\nmissed: {'; '.join(missed) or 'none'}")
    if fallen:
        print(f"fell over: {', '.join(fallen)}")
    return 1 if missed or fallen else 0


def run_one(name: str, options: Sequence[str], fallen: list[str]) -> list[Row]:
    print(f"\n== {name}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "rows"
        os.environ[FILE] = str(path)
        code = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *options], check=False).returncode
        rows = read_rows(path)
        if code == ABSENT and not rows:
            note_absent(name, "a program is not installed, see above", "")
        elif code not in (0, ABSENT) and not any(row.verdict == "MISSED" for row in rows):
            fallen.append(f"{name} (exit code {code})")
        rows = read_rows(path)
    print(f"   {time.monotonic() - began:.0f} s", flush=True)
    return rows


def describe_run(command: str, load: str, seconds: float) -> list[str]:
    day = time.strftime("%d %B %Y", time.gmtime())
    return [
        f"`{command}`, {day}, {seconds / 60:.0f} minutes; load of the machine before it {load}.",
        f"{describe_machine()}.",
    ]


def print_table(head: Sequence[str], rows: Sequence[tuple[str, Row]]) -> None:
    print("\n" + "\n".join(head) + "\n")
    for name, row in rows:
        against = f" / {row.yardstick} = {row.ratio}" if row.yardstick else ""
        print(f"{row.verdict:<12}  {row.what}: {row.ours}{against}   goal {row.goal}   ({name})")


def write_page(lines: Sequence[str]) -> None:
    """Put the lines between the markers of docs/performance.md; what stands around them is written by people."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} has no {BEGIN} ... {END}")
    PAGE.write_text("\n".join([before + begin, *lines, end + after]), encoding="utf-8")
    print(f"\nwritten into {PAGE.relative_to(HERE.parent)}")


if __name__ == "__main__":
    sys.exit(main())
