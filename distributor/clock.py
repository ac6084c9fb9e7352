"""The clock: APScheduler says when to look; what is due is decided by our own rules (core/schedule).

APScheduler's cron skips a day after spring-forward and fires twice in autumn (facts/reliability.md 0.4), so it only
ticks here: an interval, one at a time, missed ticks folded into one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from distributor.app import App
from distributor.core.errors import DistributorError

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
HOUSEKEEPING_SECONDS = 5.0
#: Sources read at the same time; one that hangs costs one of them until its time limit.
POLLERS = 4


class Clock:
    """Polls what is due, plans what is due, words what is planned; wakes lanes through `wake`."""

    def __init__(self, app: App, wake: Callable[[str | None], None], chores: Callable[[], Any]) -> None:
        self._app = app
        self._wake = wake
        self._chores = chores
        self._busy: set[str] = set()
        self._lock = threading.Lock()
        self._pollers = ThreadPoolExecutor(POLLERS, thread_name_prefix="poll")
        self._scheduler: Any = None
        self._planning = threading.Lock()
        #: When the last tick ended well; readiness and metrics look at it.
        self.last_tick_at: datetime | None = None

    def start(self) -> None:
        from apscheduler.schedulers.background import BackgroundScheduler

        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler = BackgroundScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        self._scheduler.add_job(self._tick, "interval", seconds=TICK_SECONDS, next_run_time=self._app.clock())
        self._scheduler.add_job(self._housekeep, "interval", seconds=HOUSEKEEPING_SECONDS)
        self._scheduler.start()

    def stop(self) -> None:
        """No new tick; waits for the one that runs."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=True)
        self._pollers.shutdown(wait=True, cancel_futures=True)

    def _tick(self) -> None:
        try:
            for name in self._app.due_sources():
                self._submit(name)
            self._plan_and_word()
            self.last_tick_at = self._app.clock()
        except DistributorError as error:
            log.warning("this tick failed, the next one tries again: %s", error)
        except Exception:  # a bug in one tick must not stop the clock
            log.exception("this tick failed, the next one tries again")

    def _submit(self, name: str) -> None:
        with self._lock:
            if name in self._busy:
                return
            self._busy.add(name)
        self._pollers.submit(self._poll, name)

    def _poll(self, name: str) -> None:
        try:
            polled = self._app.poll(name)
            if polled.error:
                log.warning("source %s could not be read: %s", name, polled.error)
            elif polled.new or polled.changed or polled.held:
                log.info("source %s: %d new, %d changed, %d held", name, polled.new, polled.changed, polled.held)
                self._plan_and_word()
        except DistributorError as error:
            log.warning("source %s: %s", name, error)
        except Exception:  # one source's bug must not stop the others
            log.exception("source %s failed", name)
        finally:
            with self._lock:
                self._busy.discard(name)

    def _plan_and_word(self) -> None:
        with self._planning:
            self._app.plan()
            for channel in self._app.freeze():
                self._wake(channel)

    def _housekeep(self) -> None:
        try:
            self._app.housekeep()
            self._chores()
        except DistributorError as error:
            log.warning("housekeeping failed, the next round tries again: %s", error)
        except Exception:  # as above
            log.exception("housekeeping failed")
