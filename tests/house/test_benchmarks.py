"""Every benchmark is listed, has a goal and runs. How fast it is decides no test."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from benchmarks.__main__ import HERE, list_names
from tests.house.source_code import ROOT

#: Programs that a benchmark takes from the system.
NEEDED = {"redirect": ("nginx", "wrk"), "redirect_send": ("wrk",)}
TABLE = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)


def read_table() -> dict[str, tuple[str, ...]]:
    """Name -> what, yardstick, goal."""
    return {row[0]: tuple(row[1:]) for row in TABLE.findall((HERE / "README.md").read_text(encoding="utf-8"))}


def test_every_benchmark_has_its_line_and_no_line_lacks_its_benchmark() -> None:
    assert sorted(read_table()) == list_names()


def test_every_line_says_what_against_what_and_the_goal() -> None:
    for name, cells in read_table().items():
        assert all(cells), name
        assert re.search(r"\d", cells[2]), f"{name}: the goal has no figure"


@pytest.mark.parametrize("name", list_names())
def test_every_benchmark_says_its_goal_and_its_command(name: str) -> None:
    text = (HERE / f"{name}.py").read_text(encoding="utf-8").split('"""')[1]
    assert re.search(r"\bGoals?\b", text)
    assert f"python -m benchmarks.{name}" in text


@pytest.mark.parametrize("name", list_names())
def test_every_benchmark_explains_how_to_read_it(name: str) -> None:
    explained = (HERE / "README.md").read_text(encoding="utf-8").split("## How to read them")[1]
    assert re.search(rf"\*\*[^*]*\b{name}\b[^*]*\*\*", explained)


@pytest.mark.parametrize("name", list_names())
def test_every_benchmark_runs(name: str, is_long: bool) -> None:
    if name in ("walk", "workers") and not is_long:
        pytest.skip("with --long: it runs the whole product several times")
    missing = [program for program in NEEDED.get(name, ()) if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}")
    command = [sys.executable, "-m", "benchmarks", name, "--smoke"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    assert done.stderr == ""
    assert re.search(rf"\({name}\)$", done.stdout, re.MULTILINE), "it leaves no line in the table"
