"""The watch over secrets finds what it is there to find."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.canaries import _CHUNK, CANARIES, CONSOLE, Ear, find_canaries, look_at, search_folder
from tests.house.source_code import ROOT

CONFTEST = "def pytest_configure(config):\n    config.pluginmanager.register(Watch(), 'canaries')\n"
LEAK = "def test_it(tmp_path):\n    (tmp_path / 'out.log').write_text('the token is ' + CONSOLE)\n"
SAY = "def test_it():\n    logging.getLogger('product').warning('token %s', CONSOLE)\n"


def test_there_are_secrets_of_every_kind() -> None:
    assert len(CANARIES) > 8
    assert all(len(value) >= 12 for value in CANARIES.values())
    assert len(set(CANARIES.values())) == len(CANARIES)


def test_a_secret_that_is_shown_fails_the_test_that_made_it_be() -> None:
    look_at("nothing to see", "a page")
    with pytest.raises(AssertionError, match="a page shows the console's token"):
        look_at(f"<p>{CONSOLE}</p>", "a page")


def test_files_are_searched_to_the_last_byte_and_keepers_may_keep(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "big.db").write_bytes(b"x" * (_CHUNK - 5) + CONSOLE.encode() + b"x" * 10)
    (tmp_path / "distributor.yaml").write_text(CONSOLE)
    (tmp_path / "run.log").write_text("nothing")
    found = search_folder(tmp_path)
    shutil.rmtree(tmp_path / "deep")
    assert found == ["deep/big.db shows the console's token"]


def test_a_log_line_is_heard_with_its_arguments_and_fields() -> None:
    ear = Ear()
    logger = logging.Logger("product")
    logger.addHandler(ear)
    logger.warning("all is well")
    assert ear.heard == []
    logger.warning("url %s", f"https://x/{CONSOLE}")
    logger.warning("see the field", extra={"url": CONSOLE})
    assert ear.heard == ["a log line of product shows the console's token"] * 2
    assert find_canaries(CONSOLE) == ["the console's token"]


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
@pytest.mark.parametrize(
    ("test", "told"), [(LEAK, "out.log shows the console's token"), (SAY, "a log line of product")]
)
def test_a_run_in_which_a_secret_is_seen_fails(
    tmp_path: Path, test: str, told: str, workers: tuple[str, ...]
) -> None:
    done = run_tests(tmp_path, f"import logging\nfrom tests.canaries import CONSOLE\n\n{test}", workers)
    assert done.returncode == 1, done.stdout
    assert told in done.stdout


def test_a_run_in_which_none_is_seen_passes(tmp_path: Path) -> None:
    done = run_tests(tmp_path, "def test_it(tmp_path):\n    (tmp_path / 'x').write_text('y')\n", ())
    assert done.returncode == 0, done.stdout


def run_tests(folder: Path, test: str, options: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    place = folder / "inner"
    place.mkdir()
    (place / "conftest.py").write_text(f"from tests.canaries import Watch\n\n\n{CONFTEST}")
    (place / "test_inner.py").write_text(test)
    own = ["--basetemp", str(place / "files"), "--rootdir", str(place), "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", *own, *options, str(place)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    try:
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, env={**environ, "PYTHONPATH": str(ROOT)}
        )
    finally:
        # They show a secret on purpose; the outer run would find it.
        shutil.rmtree(place)
