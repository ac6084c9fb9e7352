"""One process, one thread a lane. The ledger holds the work; this only wakes whoever looks at it.

A lost wake-up costs at most `LOOK_AGAIN` seconds, because every lane looks by itself that often.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from distributor.core.errors import StorageError
from distributor.core.waking import Wakeup
from distributor.pipeline.reconcile import Reconciler
from distributor.pipeline.send import Lane, send_next

log = logging.getLogger(__name__)

#: Seconds after which a lane looks for work even if nobody woke it.
LOOK_AGAIN = 1.0
#: Seconds a lane waits after the database could not be used.
AFTER_FAILURE = 2.0

#: Called in the lane's own thread with (name, is_stopping, pause), so that a channel's connections and event loops
#: belong to the thread that uses them.
OpenLane = Callable[[str, Callable[[], bool], Callable[[float], None]], Lane]


class LocalEngine:
    """Runs lanes until it is stopped."""

    def __init__(self, names: Iterable[str], open_lane: OpenLane) -> None:
        self._open_lane = open_lane
        self._stop = threading.Event()
        self._bells = {name: threading.Event() for name in names}
        self._threads = [
            threading.Thread(target=self._run, args=(name,), name=f"lane-{name}", daemon=True)
            for name in self._bells
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def enqueue(self, driver: Any, wakeup: Wakeup) -> None:
        """Nothing is put down: `wake` follows the commit, and lanes look by themselves."""

    def wake(self, channel: str | None = None) -> None:
        """There may be work for this lane (None: for all). One that is not ours is another's."""
        for name, bell in self._bells.items():
            if channel in (None, name):
                bell.set()

    def is_live(self, channel: str) -> bool:
        """A lane that runs looks at its channel each second."""
        return any(thread.is_alive() for thread in self._threads if thread.name == f"lane-{channel}")

    def cancel(self, channel: str) -> int:
        return 0

    def recover(self) -> int:
        return 0

    def stop(self, timeout: float = 30.0) -> bool:
        """Start nothing new, let what is on the wire finish; True when every lane ended in time."""
        self._stop.set()
        self.wake()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(deadline - time.monotonic(), 0.0))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, name: str) -> None:
        bell = self._bells[name]
        lane: Lane | None = None
        reconciler: Reconciler | None = None
        while not self._stop.is_set():
            try:
                lane = lane or self._open_lane(name, self._stop.is_set, self._pause)
                wait = send_next(lane)
                if wait != 0 and lane.unknowns is not None:
                    reconciler = reconciler or Reconciler(lane.channel, lane.unknowns)
                    reconciler.ask_due(lane.clock())
            except StorageError as error:
                log.warning("lane %s waits: %s", name, error)
                wait = AFTER_FAILURE
            except Exception:  # a bug in one lane must not silence it for ever, nor the others
                log.exception("lane %s failed and tries again", name)
                wait = AFTER_FAILURE
            if wait == 0:
                continue
            bell.wait(LOOK_AGAIN if wait is None else min(wait, LOOK_AGAIN))
            bell.clear()
        if lane is not None:
            lane.close()

    def _pause(self, seconds: float) -> None:
        self._stop.wait(seconds)
