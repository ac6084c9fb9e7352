"""`make setup` without the network: what it says, and when it has nothing to do."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.house.source_code import ROOT

NEEDED = ("tools/bootstrap.py", "requirements.lock", "requirements-dev.lock", "pyproject.toml", "uv.lock")
#: Does as if it had made an environment whose Python says yes to everything.
WILLING_UV = '#!/bin/sh\nmkdir -p .venv/bin\nln -sf /bin/true .venv/bin/python\necho "$@" >> calls\n'
STAMPING = "import json, sys, bootstrap; print(json.dumps(bootstrap.make_stamp(sys.argv[1])))"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in NEEDED:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    return tmp_path


@pytest.fixture
def run_bootstrap(checkout: Path) -> Run:
    """Run it as on a host where pip's index is an empty folder, and without uv unless the test put one there."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = {
            "PATH": f"{checkout / 'bin'}:/usr/bin:/bin",
            "HOME": str(checkout),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(checkout),
        }
        command = [sys.executable, str(checkout / "tools/bootstrap.py"), *arguments]
        return subprocess.run(command, env=environment, cwd=checkout, capture_output=True, text=True)

    return run


@pytest.fixture
def uv(checkout: Path) -> Callable[[], list[str]]:
    """A uv on the PATH that does nothing; gives what it was asked to do so far."""
    path = checkout / "bin/uv"
    path.write_text(WILLING_UV)
    path.chmod(0o755)
    return lambda: (checkout / "calls").read_text().splitlines()


def pretend_ready(checkout: Path, level: str) -> None:
    (checkout / ".venv/bin").mkdir(parents=True)
    (checkout / ".venv/bin/python").symlink_to(sys.executable)
    command = [sys.executable, "-c", STAMPING, level]
    stamp = subprocess.run(command, cwd=checkout / "tools", capture_output=True, text=True, check=True).stdout
    (checkout / ".venv/setup-stamp.json").write_text(stamp)


def test_a_second_run_does_nothing(checkout: Path, run_bootstrap: Run) -> None:
    pretend_ready(checkout, "run")
    done = run_bootstrap()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_ready_for_tests_is_ready_to_run(checkout: Path, run_bootstrap: Run) -> None:
    pretend_ready(checkout, "dev")
    assert run_bootstrap("--dev").stdout == ""
    assert run_bootstrap().stdout == ""


def test_what_is_ready_to_run_is_not_ready_for_tests(
    checkout: Path, run_bootstrap: Run, uv: Callable[[], list[str]]
) -> None:
    pretend_ready(checkout, "run")
    assert "requirements-dev.lock" in run_bootstrap("--dev").stdout
    assert run_bootstrap("--dev").stdout == ""


def test_uv_takes_wheels_with_checked_hashes_only(
    checkout: Path, run_bootstrap: Run, uv: Callable[[], list[str]]
) -> None:
    assert run_bootstrap().returncode == 0
    make, sync = uv()
    assert make.startswith("venv ")
    assert "--require-hashes --no-build" in sync
    assert sync.endswith("requirements.lock")


def test_a_half_made_venv_is_made_anew(checkout: Path, run_bootstrap: Run, uv: Callable[[], list[str]]) -> None:
    left_over = checkout / ".venv/lib/left-over"
    left_over.parent.mkdir(parents=True)
    left_over.touch()
    assert "making it anew" in run_bootstrap().stdout
    assert not left_over.exists()


def test_a_moved_checkout_is_set_up_anew(checkout: Path, run_bootstrap: Run, uv: Callable[[], list[str]]) -> None:
    pretend_ready(checkout, "run")
    stamp = checkout / ".venv/setup-stamp.json"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "place": "/somewhere/else/.venv"}))
    assert "making it anew" in run_bootstrap().stdout


def test_a_changed_lock_file_is_noticed(checkout: Path, run_bootstrap: Run, uv: Callable[[], list[str]]) -> None:
    pretend_ready(checkout, "run")
    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    done = run_bootstrap()
    assert "installing the packages of requirements.lock" in done.stdout
    assert "anew" not in done.stdout
    assert len(uv()) == 1


def test_an_unreachable_index_is_said_in_a_sentence_and_leaves_no_stamp(checkout: Path, run_bootstrap: Run) -> None:
    done = run_bootstrap()
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("setup: the packages could not be installed")
    assert not (checkout / ".venv/setup-stamp.json").exists()


def test_a_python_that_is_too_old_is_told_so(checkout: Path) -> None:
    """The check is at the top of the file and must run before anything that an old Python does not know."""
    text = (checkout / "tools/bootstrap.py").read_text().replace("OLDEST = (3, 11)", "OLDEST = (4, 0)")
    (checkout / "tools/bootstrap.py").write_text(text)
    command = [sys.executable, str(checkout / "tools/bootstrap.py")]
    done = subprocess.run(command, env={**os.environ, "PATH": ""}, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Python 4.0 or newer is needed" in done.stderr


def test_everything_installed_is_compiled_so_that_the_first_start_is_quick(
    checkout: Path, run_bootstrap: Run, uv: Callable[[], list[str]]
) -> None:
    noting = '#!/bin/sh\\necho "$@" >> python-calls\\n'
    script = f"#!/bin/sh\nmkdir -p .venv/bin\nprintf '{noting}' > .venv/bin/python\nchmod +x .venv/bin/python\n"
    (checkout / "bin/uv").write_text(script)
    assert run_bootstrap().returncode == 0
    last = (checkout / "python-calls").read_text().splitlines()[-1]
    assert last.startswith("-m compileall ")
    assert last.endswith(f"{checkout / '.venv/lib'} {checkout / 'distributor'}")
