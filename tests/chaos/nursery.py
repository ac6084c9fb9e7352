"""The tests' side of the zygote: start the product, wait for its end, end it."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.chaos.child import Bomb

ROOT = Path(__file__).parents[2]
KILLED = -signal.SIGKILL
LONGEST_LIFE = 240.0


@dataclass
class Life:
    """One process of the product."""

    born: threading.Event = field(default_factory=threading.Event)
    dead: threading.Event = field(default_factory=threading.Event)
    pid: int = 0
    code: int | None = None

    @property
    def is_killed(self) -> bool:
        return self.code == KILLED

    def kill(self) -> None:
        """kill -9, now."""
        self._signal(signal.SIGKILL)

    def terminate(self) -> None:
        """What a service manager sends first."""
        self._signal(signal.SIGTERM)

    def wait(self, seconds: float = LONGEST_LIFE) -> int | None:
        """The exit code (negative: the signal that ended it); None when it still lives then."""
        self.dead.wait(seconds)
        return self.code

    def _signal(self, number: int) -> None:
        assert self.born.wait(LONGEST_LIFE), "the process was not started"
        if not self.dead.is_set():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Nursery:
    """One zygote. Thread-safe."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._lives: dict[int, Life] = {}
        self._ready = threading.Event()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.zygote"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        while not self._ready.wait(0.1):
            assert self._process.poll() is None, "the zygote did not start; its words are above"

    def start(
        self,
        command: list[str],
        log: Path,
        bomb: Bomb | None = None,
        trace: Path | None = None,
        environ: dict[str, str] | None = None,
        trip: str = "",
    ) -> Life:
        number, life = next(self._numbers), Life()
        self._lives[number] = life
        order: dict[str, Any] = {"id": number, "command": command, "log": str(log), "environ": environ or {}}
        order |= {"point": bomb.point if bomb else "", "nth": bomb.nth if bomb else 0}
        order |= {"trace": str(trace) if trace else "", "trip": trip}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return life

    def close(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        self._process.wait(LONGEST_LIFE)
        self._listener.join(LONGEST_LIFE)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            words = json.loads(line)
            if words.get("ready"):
                self._ready.set()
                continue
            life = self._lives[words["id"]]
            if "pid" in words:
                life.pid = words["pid"]
                life.born.set()
            else:
                life.code = words["exit"]
                life.dead.set()
                del self._lives[words["id"]]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
