"""While a batch is on the wire, the next one is claimed and the one before it settled, by one thread, in turn."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from distributor.core.errors import StorageError
from distributor.core.sending import Wait
from distributor.pipeline.send_lane import Lane, Taken

log = logging.getLogger(__name__)


class Ahead:
    """Lives as long as one call of a channel. Nothing is begun, not even the thread, before somebody asks."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._pool: ThreadPoolExecutor | None = None
        self._claimed: Future[Taken | Wait] | None = None
        self._settled: list[Future[None]] = []

    @property
    def is_used(self) -> bool:
        return self._pool is not None

    def look(self) -> Taken | Wait | None:
        """What the claim for the next batch found; None while it is not known. It stays in hand until `take`."""
        if self._claimed is None:
            self._claimed = self._begin().submit(self._claim)
        return self._claimed.result() if self._claimed.done() else None

    def take(self) -> None:
        """What `look` found is in other hands."""
        self._claimed = None

    def settle(self, work: Callable[[], None]) -> None:
        self._settled.append(self._begin().submit(work))

    def finish(self) -> Taken | None:
        """Wait until all is done. Gives what is claimed and in nobody's hands."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
        found = self._claimed.result() if self._claimed is not None else None
        return found if isinstance(found, Taken) and found.messages else None

    def raise_failed(self) -> None:
        """Raises what settling raised."""
        for done in self._settled:
            done.result()

    def _begin(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "ahead")
        return self._pool

    def _claim(self) -> Taken | Wait:
        try:
            return self._lane.claim()
        except StorageError as error:
            # The lane's own next claim says so again, and waits.
            log.warning("cannot claim ahead: %s", error)
            return Wait(None)
