"""Remove the guards of tests/house/guards.py one after the other from a copy of the program; their tests must fail.

Prints a table; exit code 1 when a guard could be removed and nobody noticed. Row numbers and words narrow the
choice; --quick leaves out the look whether each test passes while its guard is there.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.house.guards import GUARDS, Guard  # noqa: E402

COPIED = ("distributor", "tests", "templates", "config", "docs", "tools")
FILES = ("pyproject.toml", "README.md", "Makefile", "LICENSE")
LONGEST = 180.0


def main(words: list[str]) -> int:
    is_quick = "--quick" in words
    words = [word for word in words if word != "--quick"]
    rows = {int(word) for word in words if word.isdigit()}
    said = [word for word in words if not word.isdigit()]
    chosen = [
        guard
        for guard in GUARDS
        if (not rows or guard.row in rows) and all(word in f"{guard.what} {guard.file}" for word in said)
    ]
    with tempfile.TemporaryDirectory(prefix="guards-") as folder:
        copy_tree(Path(folder))
        verdicts = [(guard, prove(guard, Path(folder), is_quick)) for guard in chosen]
    wrong = [guard for guard, verdict in verdicts if verdict != "noticed"]
    print(f"\n{len(chosen) - len(wrong)} of {len(chosen)} guards are proved by removal")
    return 1 if wrong else 0


def copy_tree(folder: Path) -> None:
    leave_out = shutil.ignore_patterns("__pycache__", ".*", "_shipped")
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=leave_out)
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)


def prove(guard: Guard, folder: Path, is_quick: bool = False) -> str:
    """ "noticed" when the test passes with the guard and fails without it."""
    path = folder / "distributor" / guard.file
    whole = path.read_text(encoding="utf-8")
    began = time.monotonic()
    if whole.count(guard.text) != 1:
        verdict = "not there"
    elif not is_quick and run_test(guard, folder) != 0:
        verdict = "its test fails with the guard too"
    else:
        path.write_text(whole.replace(guard.text, guard.replacement), encoding="utf-8")
        # 1: the test ran and failed. Anything else (nothing collected, cannot be imported) proves nothing.
        code = run_test(guard, folder)
        verdict = {0: "NOT NOTICED", 1: "noticed"}.get(code, f"proves nothing (pytest said {code})")
        path.write_text(whole, encoding="utf-8")
    print(
        f"{guard.row:>3}  {verdict:<12}  {guard.what}  ({guard.file}, {time.monotonic() - began:.0f} s)", flush=True
    )
    return verdict


def run_test(guard: Guard, folder: Path) -> int:
    """Pytest's exit code in the copy, which stands first on the path."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", guard.test]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=LONGEST, check=False)
    except subprocess.TimeoutExpired:
        return -1
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
