"""What a process does for the database it shares: says that it lives, waits its turn, looks after the dead."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable

from distributor import __version__
from distributor.app import App
from distributor.core.sending import Evidence
from distributor.pipeline.poll_claims import PollClaims
from distributor.storage.lanes import Turn
from distributor.storage.lock import find_presences, forget_presences, hold_presence
from distributor.storage.presence import ServerPresence
from distributor.storage.workers import BEAT_SECONDS, DEAD_AFTER

log = logging.getLogger(__name__)


class Upkeep:
    """Of one process. `monotonic` counts seconds that no clock change touches."""

    def __init__(self, app: App, roles: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._roles = roles
        self._monotonic = monotonic
        self._last_beat = self._steady_since = -DEAD_AFTER
        self._release: Callable[[], None] = lambda: None
        self._presence: ServerPresence | None = None

    def arrive(self) -> None:
        """Before anything is claimed. Raises StorageError."""
        self._release = hold_presence(self._app.state_dir, self._app.fence)
        self._forget_gone()
        self.beat()
        if not self._app.storage.database.is_sqlite:
            self._app.turn = Turn(self.is_steady)
            if "clock" in self._roles:
                self._presence = ServerPresence(self._app.storage.database, self._app.fence)

    def leave(self) -> None:
        """After everything else has ended: nothing is held any more, nobody need wait."""
        try:
            self._app.storage.workers.leave([self._app.fence])
        finally:
            if self._presence is not None:
                self._presence.close()
            self._release()

    def beat(self) -> None:
        app = self._app
        if self._presence is not None:
            self._presence.renew()
        app.storage.workers.beat(
            app.fence, socket.gethostname(), os.getpid(), self._roles, __version__, app.clock()
        )
        now = self._monotonic()
        if now - self._last_beat > BEAT_SECONDS * 2:
            self._steady_since = now
        self._last_beat = now

    def _forget_gone(self) -> None:
        """Processes of this folder that are dead and left no journal: there is nothing to settle."""
        folder = self._app.state_dir
        _, dead = find_presences(folder, self._app.fence)
        gone = [fence for fence in dead if not any(folder.glob(f"sends-{fence}-*.log"))]
        self._app.storage.workers.leave(gone)
        forget_presences(folder, gone)

    def is_steady(self) -> bool:
        """Whether this process reached the database all the time that makes others dead. After a restart of the
        database all of them have been silent, and all may live."""
        now = self._monotonic()
        return now - self._steady_since > DEAD_AFTER + BEAT_SECONDS and now - self._last_beat < BEAT_SECONDS * 2

    def recover(self) -> dict[str, int]:
        """At the start: what this machine's own dead processes left behind, with what their journals prove."""
        counts = self._app.recover()
        _tell("after the last stop", counts)
        return counts

    def look_after_dead(self) -> None:
        """Settle what processes hold that give no sign of life, on whatever machine they were."""
        app, now = self._app, self._app.clock()
        if app.storage.database.is_sqlite or not self.is_steady():
            return
        dead = app.storage.recovery.list_holders() - {*app.storage.workers.list_live(now), app.fence}
        if dead:
            _tell("a process is gone", app.storage.recovery.recover_dead(Evidence(), sorted(dead), now))

    def make_claims(self) -> PollClaims | None:
        """Who asks a source, where this process is a clock among others."""
        if self._presence is None:
            return None
        app, storage = self._app, self._app.storage
        addresses = {one.name: one.url for one in app.settings.sources}
        return PollClaims(
            app.fence, addresses, storage.lanes, self._presence, storage.workers, self.is_steady, app.clock
        )


def _tell(when: str, counts: dict[str, int]) -> None:
    if any(counts.values()):
        queued, sent, unknown = counts["queued"], counts["sent"], counts["unknown"]
        log.warning("%s: %d queued again, %d proved sent, %d unknown", when, queued, sent, unknown)
