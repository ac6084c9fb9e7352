"""A PostgreSQL server of our own that is killed, too. Commits wait for its log, as on a server in earnest."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from tests.postgres_server import SERVER_OPTIONS, find_identity, find_programs, make_reachable, read_state

LONGEST_START = 60.0
#: How it may end: kill -9 of the whole, an immediate stop, and a restart in order.
ENDS = {"kill -9": signal.SIGKILL, "immediate stop": signal.SIGQUIT, "restart": signal.SIGINT}


class PostgresServer:
    """Its folder goes when it is closed."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="distributor-pg-"))
        self._identity: dict[str, Any] = find_identity(self.home)
        self._programs = make_reachable(find_programs(), self.home, self._identity)
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--encoding=UTF8"]
        command = [str(self._programs / "bin/initdb"), "--auth=trust", "--no-sync", "-U", "postgres", *locale]
        command += ["-D", str(self.home / "data")]
        subprocess.run(command, check=True, capture_output=True, cwd=self.home, **self._identity)
        self.url = f"postgresql://postgres@/postgres?host={self.home}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """What a killed server left in memory may hold the next one back for a moment."""
        options = {**SERVER_OPTIONS, "synchronous_commit": "on", "restart_after_crash": "on"}
        words = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [
            str(self._programs / "bin/postgres"),
            "-D",
            str(self.home / "data"),
            "-k",
            str(self.home),
            *words,
        ]
        deadline = time.monotonic() + LONGEST_START
        while time.monotonic() < deadline:
            with (self.home / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.home, **self._identity
                )
            if self._is_ready(deadline):
                return
            time.sleep(0.2)
        raise RuntimeError((self.home / "log").read_text(errors="replace")[-1500:])

    def end(self, how: str) -> None:
        """`how` is one of ENDS."""
        assert self._process is not None
        self._process.send_signal(ENDS[how])
        self._process.wait(LONGEST_START)

    def close(self) -> None:
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            self.end("immediate stop")
        shutil.rmtree(self.home, ignore_errors=True)

    def _is_ready(self, deadline: float) -> bool:
        assert self._process is not None
        while self._process.poll() is None and time.monotonic() < deadline:
            state = read_state(self.home)
            if state[-1:] == ["ready"] and state[0] == str(self._process.pid):
                return True
            time.sleep(0.02)
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
