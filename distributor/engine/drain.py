"""Empties one channel on request: its lane lives in a thread of its own, whoever asks and however often."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from distributor.core.errors import StorageError
from distributor.engine.local import AFTER_FAILURE, OpenLane
from distributor.pipeline.reconcile import Reconciler
from distributor.pipeline.send import Lane, send_next

log = logging.getLogger(__name__)

#: Seconds that are waited for in place, with the lane held; what has to wait longer is woken again.
SHORT_WAIT = 5.0

#: Takes the seconds until the channel is worth a look again; None: when only a wake-up can bring work.
Tell = Callable[[float | None], None]


class Drain:
    """One channel of this process. `release` gives the lane back to other machines."""

    def __init__(self, name: str, open_lane: OpenLane, release: Callable[[str], None]) -> None:
        self._name = name
        self._open_lane = open_lane
        self._release = release
        self._stop = threading.Event()
        self._bell = threading.Event()
        self._guard = threading.Lock()
        self._tell: list[Tell] = []
        self._is_busy = False
        self._is_asked = False
        self._lane: Lane | None = None
        self._reconciler: Reconciler | None = None
        self._thread = threading.Thread(target=self._run, name=f"lane-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_busy(self) -> bool:
        return self._is_busy

    def ask(self, *tell: Tell) -> None:
        """Empty the channel, ask the service about what is unknown, and tell. Where that is being done already, it
        looks once more before its end."""
        with self._guard:
            self._is_asked = self._is_busy = True
            self._tell += tell
            self._bell.set()

    def stop(self) -> None:
        """Start nothing new; what is on the wire finishes."""
        self._stop.set()
        self._bell.set()

    def join(self, timeout: float) -> bool:
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._bell.wait()
            self._bell.clear()
            if self._is_busy:
                self._answer(self._empty())
        self._end()

    def _answer(self, wait: float | None) -> None:
        with self._guard:
            if self._is_asked and not self._stop.is_set():
                self._bell.set()
                return
            told, self._tell, self._is_busy = self._tell, [], False
        for tell in told:
            tell(wait)

    def _empty(self) -> float | None:
        """Send until nothing is ready. After the lane is given back one look more: what became ready before that
        may have been left to us by another machine, which saw the lane held."""
        is_last_look = False
        while not self._stop.is_set():
            self._is_asked = False
            wait = self._step()
            if wait is not None and wait <= SHORT_WAIT:
                is_last_look = False
                if wait > 0:
                    self._bell.wait(wait)
                    self._bell.clear()
            elif is_last_look:
                return wait
            else:
                self._give_back()
                is_last_look = True
        return None

    def _step(self) -> float | None:
        try:
            lane = self._lane = self._lane or self._open_lane(self._name, self._stop.is_set, self._pause)
            wait = send_next(lane)
            if wait != 0 and lane.unknowns is not None:
                self._reconciler = self._reconciler or Reconciler(lane.channel, lane.unknowns)
                self._reconciler.ask_due(lane.clock())
        except StorageError as error:
            log.warning("lane %s waits: %s", self._name, error)
            return AFTER_FAILURE
        except Exception:  # a bug in one lane must not silence it for ever, nor the others
            log.exception("lane %s failed and tries again", self._name)
            return AFTER_FAILURE
        return wait

    def _give_back(self) -> None:
        try:
            self._release(self._name)
        except StorageError as error:
            log.warning("lane %s is not given back before its lease ends: %s", self._name, error)

    def _end(self) -> None:
        self._give_back()
        if self._lane is not None:
            self._lane.close()
        self._answer(None)

    def _pause(self, seconds: float) -> None:
        self._stop.wait(seconds)
