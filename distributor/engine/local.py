"""One process, one thread a lane. The ledger holds the work; this only wakes whoever looks at it.

Whoever commits in this process wakes the lane itself. What others commit is seen within `LOOK_AGAIN` seconds: one
thread asks that often whether there was any commit, and then wakes all lanes. A lane that is woken by nobody looks
after `LOOK_ANYWAY` seconds.
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

#: Seconds after which somebody looks whether another process committed something.
LOOK_AGAIN = 1.0
#: Seconds after which a lane looks for work even if nothing was committed.
LOOK_ANYWAY = 5.0
#: Seconds a lane waits after the database could not be used.
AFTER_FAILURE = 2.0

#: Called in the lane's own thread with (name, is_stopping, pause), so that a channel's connections and event loops
#: belong to the thread that uses them.
OpenLane = Callable[[str, Callable[[], bool], Callable[[float], None]], Lane]


class LocalEngine:
    """Runs lanes until it is stopped."""

    def __init__(self, names: Iterable[str], open_lane: OpenLane, read_mark: Callable[[], object] = object) -> None:
        """`read_mark` gives a value that differs after every commit; the default always differs."""
        self._open_lane = open_lane
        self._read_mark = read_mark
        self._stop = threading.Event()
        self._bells = {name: threading.Event() for name in names}
        self._threads = [
            threading.Thread(target=self._run, args=(name,), name=f"lane-{name}", daemon=True)
            for name in self._bells
        ]
        self._lookout = threading.Thread(target=self._watch, name="lookout", daemon=True)

    def start(self) -> None:
        for thread in (*self._threads, self._lookout):
            thread.start()

    def enqueue(self, driver: Any, wakeup: Wakeup) -> None:
        """Nothing is put down: `wake` follows the commit, and lanes look by themselves."""

    def wake(self, channel: str | None = None) -> None:
        """There may be work for this lane (None: for all). One that is not ours is another's."""
        for name, bell in self._bells.items():
            if channel in (None, name):
                bell.set()

    def is_live(self, channel: str) -> bool:
        """A lane that runs looks at its channel by itself."""
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
        for thread in (*self._threads, self._lookout):
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
            bell.wait(LOOK_ANYWAY if wait is None else min(wait, LOOK_ANYWAY))
            bell.clear()
        if lane is not None:
            lane.close()

    def _watch(self) -> None:
        mark: object = None
        while not self._stop.wait(LOOK_AGAIN):
            try:
                fresh = self._read_mark()
            except Exception:  # the lanes find out themselves and say so
                fresh = object()
            if fresh != mark:
                mark = fresh
                self.wake()

    def _pause(self, seconds: float) -> None:
        self._stop.wait(seconds)
