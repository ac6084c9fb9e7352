"""More processes for redirects, where one is not fast enough: started beside the first one, ended with it."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from socket import socket

from distributor.core import tally
from distributor.core.points import reach
from distributor.web.redirect_site import Order

log = logging.getLogger(__name__)

#: What it reads when it should end; the end of its input alone means that we were killed.
STOP = "stop\n"
# The same program, also where it was started from a folder that is not installed.
_FOLDER = str(Path(__file__).parents[2])
_BEGIN = f"import sys; sys.path.insert(0, {_FOLDER!r}); from distributor.redirector import main; sys.exit(main())"
#: Seconds before a process that ended by itself is started again.
AGAIN = 1.0
STOP_SECONDS = 10.0


class ExtraProcess:
    """One of them, kept running. `make_way` opens a way to us and gives its other end; None: we have no pages."""

    def __init__(self, number: int, order: Order, make_way: Callable[[], socket] | None) -> None:
        self.written = 0
        self.lost = 0
        self._before = (0, 0)
        self._number = number
        self._order = order
        self._make_way = make_way
        self._stop = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._keep, name=f"redirects {number}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """It finishes what it has begun; then it is ended."""
        self._stop.set()
        process = self._process
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                process.stdin.write(STOP)
                process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            process.kill()
        self._thread.join(STOP_SECONDS)

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def _keep(self) -> None:
        while not self._stop.is_set():
            try:
                self._run()
            except OSError as error:
                log.warning("process %d for redirects cannot be started: %s", self._number, error)
            if not self._stop.wait(AGAIN):
                log.warning("process %d for redirects has ended; it is started again", self._number)

    def _run(self) -> None:
        """Start it and follow what it says about its clicks until it ends."""
        way = self._make_way() if self._make_way else None
        number = way.fileno() if way else -1
        reach("redirector.start")
        process = subprocess.Popen(
            [sys.executable, "-c", _BEGIN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[number] if way else [],
        )
        self._process = process
        if way:
            way.close()
        assert process.stdin is not None and process.stdout is not None
        if self._stop.is_set():
            process.stdin.close()
        with process, contextlib.suppress(OSError, ValueError):
            # By its input and not by its arguments, which everybody on the machine may read.
            process.stdin.write(json.dumps(asdict(replace(self._order, way=number))) + "\n")
            process.stdin.flush()
            self._follow(process.stdout)
        self._before = (self.written, self.lost)

    def _follow(self, lines: object) -> None:
        for line in lines:  # type: ignore[attr-defined]
            written, lost = (int(word) for word in line.split())
            # Nobody carries what it counts, so it is counted here, for the alert.
            tally.count("clicks_lost", by=self._before[1] + lost - self.lost)
            self.written, self.lost = self._before[0] + written, self._before[1] + lost
