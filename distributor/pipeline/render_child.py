"""The process that renders templates: `python -m distributor.pipeline.render_child`, talked to in JSON lines.

It inherits no secrets, no files and no environment, and the kernel ends it when a template costs too much.

    parent  {"template": name, "context": {...}, "cpu": seconds, "size": characters}
    child   {"want": name}                                   for each template it comes across
    parent  {"text": ..., "label": ...} or {}                when there is none
    child   {"text": ...} or {"error": ..., "template": label, "line": n, "is_spent": bool}
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import sys
import time
from types import TracebackType
from typing import Any

from distributor.pipeline.render_filters import Filters
from distributor.pipeline.render_sandbox import Sandbox, read_words

_OPEN_FILES = 32


class Child:
    """Answers one request after the other on two pipes."""

    def __init__(self, incoming: io.BufferedReader, outgoing: io.FileIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._filters = Filters()
        self._sandbox = Sandbox(self._fetch, self._filters)
        self._fetched: dict[str, tuple[str, str] | None] = {}

    def serve(self) -> None:
        while request := self._hear():
            self._fetched = {}
            answer = self._answer(request)
            self._say(answer)
            if answer.get("is_spent"):
                return

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        renew_cpu(request["cpu"])
        name = request["template"]
        try:
            return {"text": self._render(name, request)}
        except MemoryError:
            return self._refuse(name, "needs too much memory", is_spent=True)
        except RecursionError:
            return self._refuse(name, "includes or calls itself without end")
        except Exception as error:
            return describe(error, {label for _, label in filter(None, self._fetched.values())})

    def _render(self, name: str, request: dict[str, Any]) -> str:
        context = read_words(request["context"])
        self._filters.enter_site(context["site"]["language"], context["site"]["timezone"])
        room = request["size"]
        pieces = []
        for piece in self._sandbox.get_template(name).generate(context):
            room -= len(piece)
            if room < 0:
                raise ValueError(f"prints more than {request['size']:,} characters")
            pieces.append(piece)
        return "".join(pieces)

    def _refuse(self, name: str, reason: str, is_spent: bool = False) -> dict[str, Any]:
        found = self._fetched.get(name)
        return {"error": reason, "template": found[1] if found else name, "line": None, "is_spent": is_spent}

    def _fetch(self, name: str) -> tuple[str, str] | None:
        if name not in self._fetched:
            self._say({"want": name})
            reply = self._hear()
            self._fetched[name] = (reply["text"], reply["label"]) if reply else None
        return self._fetched[name]

    def _hear(self) -> dict[str, Any]:
        line = self._incoming.readline()
        return json.loads(line) if line else {}

    def _say(self, answer: dict[str, Any]) -> None:
        data = memoryview(json.dumps(answer).encode() + b"\n")
        while data:
            data = data[self._outgoing.write(data) or 0 :]


def describe(error: Exception, labels: set[str]) -> dict[str, Any]:
    """What went wrong and where: Jinja2 gives tracebacks the labels and lines of templates."""
    label = getattr(error, "filename", None)
    line = getattr(error, "lineno", None)
    if label not in labels or not line:
        label, line = _find_place(error.__traceback__, labels)
    words = str(getattr(error, "message", None) or error) or type(error).__name__
    return {"error": words[:500], "template": label, "line": line}


def _find_place(trace: TracebackType | None, labels: set[str]) -> tuple[str, int | None]:
    place: tuple[str, int | None] = ("", None)
    while trace:
        if trace.tb_frame.f_code.co_filename in labels:
            place = (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    return place


def renew_cpu(seconds: int) -> None:
    """The kernel ends this process when it has used this much processor time more (and up to 1 s)."""
    _limit(resource.RLIMIT_CPU, int(time.process_time()) + 1 + seconds)


def confine(memory: int) -> None:
    """No core dumps, no written files, few open ones, at most `memory` bytes of address space."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _limit(resource.RLIMIT_AS, memory)


def _limit(kind: int, soft: int) -> None:
    # macOS refuses some of them; the parent's wall clock and the counts inside remain.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (soft, resource.getrlimit(kind)[1]))


def main() -> None:
    incoming = os.fdopen(os.dup(0), "rb")
    outgoing = io.FileIO(os.dup(1), "w")
    # Whatever a library prints must not end up among the answers.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(nowhere, stream)
    confine(int(sys.argv[1]))
    Child(incoming, outgoing).serve()


if __name__ == "__main__":
    main()
