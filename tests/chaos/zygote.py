"""Starts the product many times without paying for its imports each time: it loads everything once and forks.

A fork is a real process with its own number, files and death. This program has one thread and has connected to
nothing when it forks, so a child is as a fresh start is, half a second earlier.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import pkgutil
import select
import signal
import sys
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.chaos.child import Bomb, set_up

LAZY = (
    "alembic.command",
    "alembic.ddl.postgresql",
    "alembic.ddl.sqlite",
    "apscheduler.executors.pool",
    "apscheduler.schedulers.background",
    "apscheduler.triggers.interval",
    "encodings.idna",
    "logging.config",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "uvicorn",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
)
#: Never part of `run`.
NOT_LOADED = ("distributor.__main__", "distributor.demo", "distributor.storage.migrations")


def load_everything() -> None:
    import distributor

    for found in pkgutil.walk_packages(distributor.__path__, "distributor."):
        if not found.name.startswith(NOT_LOADED) and "sandbox" not in found.name:
            import_module(found.name)
    for name in LAZY:
        with suppress(ImportError):
            import_module(name)
    assert threading.active_count() == 1, "a fork with threads would not be a fresh start"
    gc.collect()
    gc.freeze()


def serve() -> list[str]:
    """Fork for each line that comes in; returns in a child, with the command it is to be."""
    alarm, bell = os.pipe()
    os.set_blocking(bell, False)
    signal.set_wakeup_fd(bell)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    say({"ready": True})
    waiting: dict[int, int] = {}
    orders = b""
    while True:
        ready, _, _ = select.select([0, alarm], [], [])
        if alarm in ready:
            os.read(alarm, 4096)
            report_dead(waiting)
        if 0 in ready:
            data = os.read(0, 65536)
            if not data:
                end_all(waiting)
            *lines, orders = (orders + data).split(b"\n")
            for line in lines:
                order = json.loads(line)
                process = os.fork()
                if not process:
                    os.close(alarm)
                    os.close(bell)
                    return become(order)
                waiting[process] = order["id"]
                say({"id": order["id"], "pid": process})


def say(words: dict[str, Any]) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")


def report_dead(waiting: dict[int, int]) -> None:
    with suppress(ChildProcessError):
        while True:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                return
            say({"id": waiting.pop(process), "exit": os.waitstatus_to_exitcode(status)})


def end_all(waiting: dict[int, int]) -> None:
    for process in waiting:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    os._exit(0)


def become(order: dict[str, Any]) -> list[str]:
    """The child's first steps: signals, output and environment as of a process of its own."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    end_with_parent()
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(log)
    os.close(nothing)
    os.environ.update(order["environ"])
    bomb = Bomb(order["point"], order["nth"]) if order["point"] else None
    set_up(bomb, Path(order["trace"]) if order["trace"] else None, order["trip"])
    command: list[str] = order["command"]
    return command


def end_with_parent() -> None:
    """Nobody is left over when the tests are killed themselves (Linux: PR_SET_PDEATHSIG)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


if __name__ == "__main__":
    load_everything()
    words = serve()
    sys.argv = ["distributor", *words]
    if words[0] == "@watch":
        from tests.chaos.watching import watch_once

        sys.exit(watch_once(Path(words[-1])))
    from distributor.cli import app

    app(words)
