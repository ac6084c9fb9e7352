"""A PostgreSQL of one test's own, which it may stop and start."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.conftest import upgrade_database
from tests.postgres_server import SERVER_OPTIONS, find_identity, find_programs, make_reachable, wait_until_ready


class OwnServer:
    """Started with our tables in its database. Answers on a socket in a folder of its own."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="distributor-own-pg-"))
        self._identity = find_identity(self.home)
        self._programs = make_reachable(find_programs(), self.home, self._identity)
        self._run("initdb", "--auth=trust", "--no-sync", "-U", "postgres", "--encoding=UTF8", "--locale=C")
        self.url = f"postgresql://postgres@/postgres?host={self.home}"
        self.start()
        upgrade_database(self.url)

    def start(self) -> None:
        options = {**SERVER_OPTIONS, "fsync": "on", "synchronous_commit": "on"}
        words = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [
            str(self._programs / "bin/postgres"),
            "-D",
            str(self.home / "data"),
            "-k",
            str(self.home),
            *words,
        ]
        with (self.home / "log").open("ab") as log:
            self._server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.home, **self._identity
            )
        wait_until_ready(self._server, self.home)

    def stop(self) -> None:
        """Pull its plug: `immediate` in its manual, without a checkpoint and without good-byes."""
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait(60)

    def remove(self) -> None:
        if self._server.poll() is None:
            self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def _run(self, program: str, *words: str) -> subprocess.CompletedProcess[Any]:
        command = [str(self._programs / "bin" / program), *words, "-D", str(self.home / "data")]
        return subprocess.run(command, check=True, capture_output=True, cwd=self.home, **self._identity)
