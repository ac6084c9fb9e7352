"""A second process that reads what others wrote: feeds and article pages.

Parsers of hostile text can take minutes or gigabytes (an author name of 200 KB is enough for feedparser's regular
expressions). In a process of its own such a text costs one poll and nothing else, and the libraries that read pages
stay out of the memory of the one that sends.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import select
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import IO, Any

from distributor.core.errors import SourceError
from distributor.core.points import reach

#: Seconds for one text; a feed of 10 MB takes about five.
PATIENCE = 20.0
#: Bytes of address space the child may have.
MEMORY = 1024 * 1024 * 1024
_IDLE_SECONDS = 60.0
_SIZES = struct.Struct("!II")
_START = "import sys; sys.path[:] = {path!r}; from distributor.sources.reader import serve; serve({memory})"

#: What the child can do: a function that takes a dict and bytes and returns JSON data, or raises SourceError.
TASKS = {
    "feed": "distributor.sources.feed.parse:run",
    "article": "distributor.sources.article_page:run",
}


class Reader:
    """Runs one task at a time in a child process, started at first use and again after it failed. Thread-safe.

    The child ends with its parent, also after kill -9, and by itself after an idle minute.
    """

    def __init__(self, patience: float = PATIENCE, memory: int = MEMORY) -> None:
        self._patience = patience
        self._memory = memory
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def run(self, task: str, about: dict[str, Any], body: bytes) -> Any:
        """The task's answer; SourceError when it raised one, took too long, took too much memory or fell over."""
        with self._lock:
            for is_last in (False, True):
                child, is_fresh = self._ready()
                try:
                    answer = self._exchange(child, task, about, body)
                    break
                except (OSError, EOFError) as error:
                    self._stop()
                    # A kept child may have gone to rest between two texts; a fresh one that dies died of this text.
                    if is_fresh or is_last:
                        raise SourceError(
                            "the text could not be read: its reading process ended, perhaps for want of memory"
                        ) from error
        if "error" in answer:
            raise SourceError(answer["error"])
        return answer["result"]

    def close(self) -> None:
        """End the child; the next text starts another one."""
        with self._lock:
            self._stop()

    @property
    def child_id(self) -> int | None:
        """The process id of the child, None while there is none."""
        return self._child.pid if self._child else None

    def _ready(self) -> tuple[subprocess.Popen[bytes], bool]:
        if self._child and self._child.poll() is None:
            return self._child, False
        self._stop()
        reach("reader.start")
        command = [sys.executable, "-c", _START.format(path=sys.path, memory=self._memory)]
        try:
            self._child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            raise SourceError(f"the process that reads feeds cannot be started: {error}") from error
        return self._child, True

    def _exchange(self, child: subprocess.Popen[bytes], task: str, about: dict[str, Any], body: bytes) -> Any:
        assert child.stdin and child.stdout
        head = json.dumps({"task": task, "about": about}).encode()
        child.stdin.write(_SIZES.pack(len(head), len(body)) + head + body)
        child.stdin.flush()
        reach("reader.asked")
        deadline = time.monotonic() + self._patience
        try:
            size, _ = _SIZES.unpack(_read_in_time(child.stdout, _SIZES.size, deadline))
            return json.loads(_read_in_time(child.stdout, size, deadline))
        except TimeoutError as error:
            self._stop()
            raise SourceError(f"the text could not be read within {self._patience:g} seconds") from error

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


def _read_in_time(pipe: IO[bytes], size: int, deadline: float) -> bytes:
    data = bytearray()
    while len(data) < size:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            raise TimeoutError
        piece = os.read(pipe.fileno(), size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)


def serve(memory: int) -> None:
    """The child's life: read a task, answer it, until the parent is gone or has nothing to read for long."""
    _limit_memory(memory)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    # What a library prints must not get between the answers, what it thinks of a page is nobody's business.
    sys.stdout = sys.stderr
    logging.disable()
    while select.select([source], [], [], _IDLE_SECONDS)[0]:
        sizes = source.read(_SIZES.size)
        if len(sizes) < _SIZES.size:
            return
        head_size, body_size = _SIZES.unpack(sizes)
        head = json.loads(source.read(head_size))
        answer = json.dumps(_answer(head["task"], head["about"], source.read(body_size))).encode()
        sink.write(_SIZES.pack(len(answer), 0) + answer)
        sink.flush()


def _answer(task: str, about: dict[str, Any], body: bytes) -> dict[str, Any]:
    module, _, name = TASKS[task].partition(":")
    run: Callable[[dict[str, Any], bytes], Any] = getattr(import_module(module), name)
    try:
        return {"result": run(about, body)}
    except SourceError as error:
        return {"error": str(error)}
    except MemoryError:
        raise
    except Exception as error:
        return {"error": f"the text could not be read: {type(error).__name__}: {str(error)[:200]}"}


def _limit_memory(memory: int) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


#: The one that sources share.
shared = Reader()
atexit.register(shared.close)
