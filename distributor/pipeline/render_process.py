"""The parent's side of the rendering child: started when first needed, ended when it costs too much."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributor.core.points import reach

_LONGEST_ANSWER = 16 * 1024 * 1024


@dataclass(frozen=True)
class RenderLimits:
    """What one template may cost. `cpu` in whole seconds of processor time (the kernel adds up to one),
    `wall` in seconds, `memory` in bytes of address space of the whole child, `size` in printed characters."""

    cpu: int = 2
    wall: float = 15.0
    memory: int = 512 * 1024 * 1024
    size: int = 1_000_000


class ChildEnded(Exception):
    """The child was ended in the middle of a template; the message says by what limit."""


class _PipeBroken(Exception):
    """The child is gone."""


class RenderProcess:
    """One warm child. Used by one thread at a time."""

    def __init__(self, limits: RenderLimits) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None

    def render(self, name: str, context: Any, fetch: Callable[[str], dict[str, str]]) -> dict[str, Any]:
        """The child's answer. `fetch` gives the templates it asks for. Raises ChildEnded."""
        process = self._ready()
        request = {"template": name, "context": context, "cpu": self._limits.cpu, "size": self._limits.size}
        is_late = threading.Event()
        timer = threading.Timer(self._limits.wall, _end_late, (process, is_late))
        timer.start()
        try:
            answer = _converse(process, request, fetch)
        except _PipeBroken as error:
            raise ChildEnded(self._find_reason(process, is_late.is_set())) from error
        except BaseException:
            # The conversation is broken in the middle: the next request needs a fresh child.
            self.close()
            raise
        finally:
            timer.cancel()
        if answer.get("is_spent"):
            self.close()
        return answer

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def close(self) -> None:
        """End the child; the next render starts another."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                try:
                    pipe.close()
                except OSError:
                    # What was not yet written has no reader any more.
                    continue
        process.wait()

    def _ready(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            self._process = _start(self._limits.memory)
        return self._process

    def _find_reason(self, process: subprocess.Popen[bytes], is_late: bool) -> str:
        process.kill()
        code = process.wait()
        self.close()
        if is_late:
            return f"took more than {self._limits.wall:g} s and was stopped"
        if code in (-signal.SIGXCPU, -signal.SIGKILL):
            return f"took more than {self._limits.cpu} s of processor time and was stopped; does a loop never end?"
        return f"could not be rendered: the rendering process ended with {code}"


def _start(memory: int) -> subprocess.Popen[bytes]:
    package_root = str(Path(__file__).resolve().parents[2])
    reach("render.start")
    return subprocess.Popen(
        [sys.executable, "-m", "distributor.pipeline.render_child", str(memory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        # Nothing of ours goes with it: a template that broke out would find no secrets.
        env={"PYTHONPATH": package_root, "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"},
        # Ctrl-C in a terminal is for the parent to answer.
        start_new_session=True,
    )


def _end_late(process: subprocess.Popen[bytes], is_late: threading.Event) -> None:
    is_late.set()
    process.kill()


def _converse(
    process: subprocess.Popen[bytes], request: dict[str, Any], fetch: Callable[[str], dict[str, str]]
) -> dict[str, Any]:
    _say(process, request)
    while True:
        answer = _hear(process)
        if "want" not in answer:
            return answer
        _say(process, fetch(str(answer["want"])))


def _say(process: subprocess.Popen[bytes], words: dict[str, Any]) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(words).encode() + b"\n")
        process.stdin.flush()
        reach("render.asked")
    except OSError as error:
        raise _PipeBroken from error


def _hear(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline(_LONGEST_ANSWER)
    if not line.endswith(b"\n"):
        raise _PipeBroken
    answer: dict[str, Any] = json.loads(line)
    return answer
