"""Whether this process is alive and whether it can work: for supervisors and load balancers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from distributor.core.alerting import find_lost_roles
from distributor.core.errors import StorageError
from distributor.web.answers import make_plain
from distributor.web.console.door import Door
from distributor.web.parts import WebParts

#: Longer than any tick that still gets somewhere.
LONGEST_TICK = timedelta(seconds=60)
LEAST_DISK = 0.05
#: Checking writes to the database in passing, so one look serves everybody for this long.
LOOK_AGAIN = timedelta(seconds=2)


class HealthPages:
    """/healthz and /readyz."""

    def __init__(self, parts: WebParts, door: Door) -> None:
        self._parts = parts
        self._door = door
        self._lock = threading.Lock()
        self._looked: tuple[datetime, dict[str, str]] | None = None

    async def healthz(self, request: Request) -> Response:
        """The loop that answers redirects is alive. Asks nothing else."""
        return make_plain("ok")

    def readyz(self, request: Request) -> Response:
        """200 or 503 with the reasons by name; who may see the console gets them in sentences that say what to do.

        JSON, or lines of text for whoever asks for text/plain.
        """
        reasons = self.find_reasons()
        told = reasons if self._door.is_open_to(request) else dict.fromkeys(reasons, "not ready")
        if "text/plain" in request.headers.get("accept", ""):
            lines = [f"{name}: {sentence}" for name, sentence in told.items()]
            return make_plain("\n".join(lines) or "ready", 503 if reasons else 200)
        body = json.dumps({"ready": not reasons, "reasons": told})
        return Response(body, 503 if reasons else 200, media_type="application/json")

    def _look_inside(self) -> Iterator[tuple[str, str]]:
        """What the database knows of the whole installation."""
        stores = self._parts.stores
        try:
            if sentence := stores.health.read_safe_mode():
                yield "safe mode", f"nothing is sent: {sentence}"
            for lost in find_lost_roles(stores.figures.list_processes(self._parts.clock())):
                yield lost.key, f"{lost.text} {' or '.join(lost.commands)}"
        except StorageError as error:
            yield "database", str(error)

    def find_reasons(self) -> dict[str, str]:
        """Name -> why this process is not ready."""
        with self._lock:
            now = self._parts.clock()
            if self._looked is None or not self._looked[0] <= now < self._looked[0] + LOOK_AGAIN:
                self._looked = (now, dict(self._look()))
            return {**dict(self._find_phase()), **self._looked[1]}

    def _find_phase(self) -> Iterator[tuple[str, str]]:
        """Asked each time: it costs nothing, and whoever starts or stops us waits for it."""
        if self._parts.is_starting():
            yield "starting", "the program is still starting"
        if self._parts.is_draining():
            yield "draining", "the program is stopping"

    def _look(self) -> Iterator[tuple[str, str]]:
        parts = self._parts
        problem = parts.stores.health.find_problem()
        yield from [("database", problem)] if problem else self._look_inside()
        age = parts.tick_age()
        if age is not None and age > LONGEST_TICK:
            told = f"the last tick was {age.total_seconds():.0f} seconds ago; read the log, restart this process"
            yield "clock", told
        if (free := parts.disk_free()) < LEAST_DISK:
            yield "disk", f"{free:.1%} of the disk is free; it should be {LEAST_DISK:.0%}; free some"
        for name, check in parts.checks.items():
            if problem := check():
                yield name, problem
