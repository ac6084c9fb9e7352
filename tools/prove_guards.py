"""Remove the guards of tests/house/guards.py one after the other from copies of the program; their tests must fail.

Prints a table; exit code 1 when a guard could be removed and nobody noticed. Row numbers and words narrow the
choice; --quick leaves out the look whether the tests pass while all guards are there. The working tree is read
once, at the start, and never written to.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.house.guards import GUARDS, Guard  # noqa: E402
from tests.postgres_server import join_server  # noqa: E402

COPIED = ("distributor", "tests", "templates", "config", "docs", "tools")
FILES = ("pyproject.toml", "README.md", "Makefile", "LICENSE")
SIDE_BY_SIDE = 2
LONGEST = 300.0
NOTICED = "noticed"
BROKEN = "its test fails with the guard too"
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist")
#: What pytest's exit code says when a guard is gone. Any other (nothing collected, not imported) proves nothing.
MEANINGS = {0: "NOT NOTICED", 1: NOTICED}


def main(words: list[str]) -> int:
    chosen = choose([word for word in words if word != "--quick"])
    began = time.monotonic()
    # The server's keeper clears away its own files there, in its own time.
    place = tempfile.TemporaryDirectory(prefix="guards-", ignore_cleanup_errors=True)
    with place as home, one_postgres(Path(home)):
        folders = [Path(home) / str(number) for number in range(min(SIDE_BY_SIDE, len(chosen)))]
        with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
            shares = [chosen[number :: len(folders)] for number in range(len(folders))]
            ready = threads.map(prepare, folders, shares, ["--quick" in words] * len(folders))
            broken = {test for tests in ready for test in tests}
            free: SimpleQueue[Path] = SimpleQueue()
            for folder in folders:
                free.put(folder)
            verdicts = list(threads.map(lambda guard: prove(guard, free, broken), chosen))
    return report(chosen, verdicts, time.monotonic() - began)


def choose(words: Sequence[str]) -> list[Guard]:
    rows = {int(word) for word in words if word.isdigit()}
    said = [word for word in words if not word.isdigit()]
    return [
        guard
        for guard in GUARDS
        if (not rows or guard.row in rows) and all(word in f"{guard.what} {guard.file}" for word in said)
    ]


@contextmanager
def one_postgres(home: Path) -> Iterator[None]:
    """One server for all the tests, which else would start one each."""
    if "DISTRIBUTOR_TEST_POSTGRES" in os.environ:
        yield
        return
    url, held = join_server(home)
    os.environ["DISTRIBUTOR_TEST_POSTGRES"] = url
    yield
    os.close(held)


def prepare(folder: Path, guards: Sequence[Guard], is_quick: bool) -> list[str]:
    """A copy of the program, compiled by a first run of the tests; returns what fails with every guard there."""
    leave_out = shutil.ignore_patterns("__pycache__", ".*", "_shipped")
    folder.mkdir()
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=leave_out)
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)
    tests = list(dict.fromkeys(guard.test for guard in guards))
    if is_quick or run_tests(tests, folder, longest=LONGEST * len(tests)) == 0:
        return []
    return [test for test in tests if run_tests([test], folder) != 0]


def prove(guard: Guard, free: SimpleQueue[Path], broken: set[str]) -> str:
    """ "noticed" when the test, which passes with the guard, fails without it."""
    folder = free.get()
    began = time.monotonic()
    try:
        verdict = BROKEN if guard.test in broken else remove(guard, folder)
    finally:
        free.put(folder)
    print(
        f"{guard.row:>3}  {verdict:<12}  {guard.what}  ({guard.file}, {time.monotonic() - began:.1f} s)", flush=True
    )
    return verdict


def remove(guard: Guard, folder: Path) -> str:
    path = folder / "distributor" / guard.file
    whole, stat = path.read_text(encoding="utf-8"), path.stat()
    if whole.count(guard.text) != 1:
        return "not there"
    path.write_text(whole.replace(guard.text, guard.replacement), encoding="utf-8")
    try:
        code = run_tests([guard.test], folder, "-x")
    finally:
        path.write_text(whole, encoding="utf-8")
        # So that what was compiled of it is good again.
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    return MEANINGS.get(code, f"proves nothing (pytest said {code})")


def run_tests(tests: Sequence[str], folder: Path, *options: str, longest: float = LONGEST) -> int:
    """Pytest's exit code in the copy, which stands first on the path; -1 when it took too long."""
    # What is compiled with all guards there is kept for the other runs, what is compiled without one is not.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1" if options else ""}
    try:
        done = subprocess.run(
            [*PYTEST, *options, *tests],
            cwd=folder,
            env=environment,
            capture_output=True,
            timeout=longest,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return -1
    return done.returncode


def report(chosen: Sequence[Guard], verdicts: Sequence[str], seconds: float) -> int:
    rows, proved = Counter(guard.row for guard in chosen), Counter[int]()
    for guard, verdict in zip(chosen, verdicts, strict=True):
        proved[guard.row] += verdict == NOTICED
    print("\nrow  guards  proved by removal")
    for row in sorted(rows):
        print(f"{row:>3}  {rows[row]:>6}  {proved[row]:>6}")
    for guard, verdict in zip(chosen, verdicts, strict=True):
        if verdict != NOTICED:
            print(f"WRONG: row {guard.row}, {guard.what}: {verdict}; {guard.test}")
    print(f"{proved.total()} of {len(chosen)} guards are proved by removal, in {seconds:.0f} s")
    return 0 if chosen and proved.total() == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
