"""Where Python has no pip: the wheel that uv.lock pins is fetched, from a mirror where one is named."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.house.source_code import ROOT

FETCH = "import bootstrap; bootstrap.VENV.mkdir(); print(bootstrap.fetch_pip())"
WHEEL = b"a wheel"


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """A package index on loopback, and beside it a checkout whose uv.lock pins its wheel of pip."""
    (tmp_path / "tools").mkdir()
    shutil.copyfile(ROOT / "tools/bootstrap.py", tmp_path / "tools/bootstrap.py")
    pinned = re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{hashlib.sha256(WHEEL).hexdigest()}", find_pip_in_lock())
    (tmp_path / "uv.lock").write_text(pinned)
    name = re.findall(r"pip-[0-9.]+-py3-none-any\.whl", pinned)[0]
    (tmp_path / "simple/pip").mkdir(parents=True)
    (tmp_path / "simple/pip/index.html").write_text(f'<a href="../../files/{name}#sha256=0">{name}</a>')
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / name).write_bytes(WHEEL)
    with ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: Silent(*args, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()
        thread.join()


def find_pip_in_lock() -> str:
    blocks = (ROOT / "uv.lock").read_text().split("[[package]]\n")
    return "[[package]]\n" + next(block for block in blocks if block.startswith('name = "pip"\n'))


def fetch(checkout: Path, index: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PIP_INDEX_URL": index}
    command = [sys.executable, "-c", FETCH]
    return subprocess.run(command, cwd=checkout / "tools", env=environment, capture_output=True, text=True)


def test_the_pinned_wheel_is_taken_from_the_mirror(mirror: str, tmp_path: Path) -> None:
    done = fetch(tmp_path, mirror)
    assert Path(done.stdout.strip()).read_bytes() == WHEEL, done.stderr


def test_another_file_under_its_name_is_refused(mirror: str, tmp_path: Path) -> None:
    (wheel,) = (tmp_path / "files").iterdir()
    wheel.write_bytes(b"something else")
    assert "is not the file that uv.lock pins" in fetch(tmp_path, mirror).stderr


def test_a_mirror_without_it_is_told(mirror: str, tmp_path: Path) -> None:
    (tmp_path / "simple/pip/index.html").write_text("nothing here")
    assert "the package index has no pip-" in fetch(tmp_path, mirror).stderr


def test_a_mirror_that_does_not_answer_is_told(mirror: str, tmp_path: Path) -> None:
    assert "pip cannot be downloaded" in fetch(tmp_path, mirror.replace("/simple", "/nowhere")).stderr
