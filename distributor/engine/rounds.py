"""What a process does every few seconds besides its work: say that it is there, look after what others left."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from distributor.core.errors import DistributorError

log = logging.getLogger(__name__)


class Rounds:
    """A thread that does its chores in order, again and again; a chore that fails does not keep the others."""

    def __init__(self, chores: Sequence[Callable[[], object]], every: float) -> None:
        self._chores = chores
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rounds", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 30.0) -> None:
        """No new chore; waits for the one that runs."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            for chore in self._chores:
                self._do(chore)

    def _do(self, chore: Callable[[], object]) -> None:
        if self._stop.is_set():
            return
        try:
            chore()
        except DistributorError as error:
            log.warning("a chore failed, the next round tries again: %s", error)
        except Exception:  # a bug in one chore must not end the others
            log.exception("a chore failed, the next round tries again")
