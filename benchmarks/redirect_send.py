"""Redirects while the same process sends a letter as fast as it can, against the same with nothing to send.

One process, as the one-command product has it: redirects on their loop, and beside them a lane with all that is
durable (claim, send journal, send record, SMTP on four connections, settle, on SQLite), which never runs dry. Sink
and wrk run in processes of their own; 8 connections that stay open, 2,000 links. Idle and sending in turn, in one
run. Goals: p99 at most 2 times that of the idle process, and under 10 ms.

python -m benchmarks.redirect_send [--full]

Needs wrk (Debian's package of this name).
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.redirect import WRK, make_redirects
from benchmarks.rigs.letter_path import Desk, open_desk
from benchmarks.rigs.rounds import choose, end, print_figure, print_ratio
from benchmarks.rigs.rows import note_absent
from benchmarks.rigs.sinks import run_sink

GOAL, GOAL_MS = 2.0, 10.0
TITLE = "redirect p99 during a full send, against idle"
SCRIPT = WRK + 'function done(s, l) io.write(string.format("P99 %d %d\\n", l:percentile(99), s.requests)) end\n'


def main() -> int:
    if "--child" in sys.argv:
        serve(*map(int, sys.argv[2:4]))
        return 0
    if shutil.which("wrk") is None:
        print("this benchmark needs wrk: install the package of that name")
        note_absent(TITLE, "Debian's wrk not installed", f"at most {GOAL}, under {GOAL_MS} ms")
        return 2
    rounds, seconds, readers = choose((1, 1, 200), (5, 3, 5_000), (7, 5, 50_000))
    with run_sink("smtp") as sink, Served(sink, readers) as served:
        idle, sending = compare(served, rounds, seconds)
        print(f"{served.rate:,.0f} mails a second meanwhile")
    is_near = print_ratio(TITLE, sending, idle, GOAL, "ms")
    is_short = print_figure("redirect p99 during a full send", sending, GOAL_MS, "ms")
    return end(is_near and is_short)


class Served:
    """The process that is measured; "send" and "stop" by its input."""

    def __init__(self, sink: int, readers: int) -> None:
        command = [sys.executable, "-m", "benchmarks.redirect_send", "--child", str(sink), str(readers)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = 0
        self.rate = 0.0

    def __enter__(self) -> Served:
        self.port = int(self._hear())
        return self

    def __exit__(self, *failure: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def send(self) -> None:
        self._say("send")
        self._hear()

    def stop(self) -> None:
        self._say("stop")
        self.rate = float(self._hear())

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def compare(served: Served, rounds: int, seconds: int) -> tuple[float, float]:
    """Medians of the p99 in milliseconds: idle, sending."""
    idle: list[float] = []
    sending: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        script = Path(name) / "wrk.lua"
        script.write_text(SCRIPT, encoding="utf-8")
        put_load(script, served.port, 1)
        for _ in range(rounds):
            idle.append(put_load(script, served.port, seconds))
            served.send()
            sending.append(put_load(script, served.port, seconds))
            served.stop()
    return median(idle), median(sending)


def put_load(script: Path, port: int, seconds: int) -> float:
    command = ["wrk", "-t1", "-c8", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}/"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    (line,) = [one for one in done.stdout.splitlines() if one.startswith("P99 ")]
    return int(line.split()[1]) / 1000


def serve(sink: int, readers: int) -> None:
    with open_desk() as desk:
        desk.add_readers(readers)
        server, journal = start_redirects(desk.folder)
        print(server.port, flush=True)
        editions = itertools.count(1)
        for _ in iter(sys.stdin.readline, ""):
            send_until_told(desk, sink, editions)
        server.stop()
        journal.close()


def send_until_told(desk: Desk, sink: int, editions: Any) -> None:
    """Edition after edition, in a thread as lanes have it; says how many mails a second it were."""
    is_over = threading.Event()

    def send() -> None:
        with desk.run_lane(sink) as lane:
            while not is_over.is_set():
                desk.freeze_edition(next(editions))
                desk.send_all(lane)

    before, at = desk.count_sent(), time.monotonic()
    thread = threading.Thread(target=send)
    thread.start()
    print("sending", flush=True)
    sys.stdin.readline()
    is_over.set()
    thread.join()
    print((desk.count_sent() - before) / (time.monotonic() - at), flush=True)


def start_redirects(folder: Path) -> tuple[Any, Any]:
    from distributor.web.public.redirect import make_protocol
    from distributor.web.server import WebServer

    redirects, journal = make_redirects(folder)
    server = WebServer(redirects, "127.0.0.1", 0, protocol=make_protocol(redirects))
    server.start()
    return server, journal


if __name__ == "__main__":
    sys.exit(main())
