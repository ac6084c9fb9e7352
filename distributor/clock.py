"""The clock: APScheduler says when to look; what is due is decided by our own rules (core/schedule).

APScheduler's cron skips a day after spring-forward and fires twice in autumn (facts/reliability.md 0.4), so it only
ticks here: an interval, one at a time, missed ticks folded into one. Where one process has the database alone, a
tick looks only when something was committed or a time has come.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from distributor.app import App
from distributor.core.attention import Attention
from distributor.core.errors import DistributorError
from distributor.core.schedule import next_occurrence
from distributor.core.source_state import QuietPoll, SourceState
from distributor.pipeline.plan import LOOK_BACK
from distributor.pipeline.poll import Polled
from distributor.pipeline.poll_claims import PollClaims

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
HOUSEKEEPING_SECONDS = 5.0
#: Seconds after which a tick looks though nothing was committed and no time has come.
LOOK_ANYWAY = 5.0
#: Sources read at the same time; one that hangs costs one of them until its time limit.
POLLERS = 4
#: Polls without news that are written down at once, without waiting for more.
MANY_QUIET = 50


class Pollers:
    """Polls sources side by side, each by one thread at a time; calls `on_news` after a poll that brought some.

    Polls that found nothing new are written down together: when no source waits for a thread, when there are many,
    or before the next look at what is due.
    """

    def __init__(self, app: App, on_news: Callable[[], None], claims: PollClaims | None = None) -> None:
        """`claims`: who polls a source now, where there are other clocks."""
        self._app = app
        self._on_news = on_news
        self._claims = claims
        self._threads = ThreadPoolExecutor(POLLERS, thread_name_prefix="poll")
        self._changed = threading.Condition()
        self._busy: set[str] = set()
        self._waiting = 0
        self._quiet: list[QuietPoll] = []

    def poll_due(self) -> None:
        """Hand what is due to the threads; returns at once."""
        self._write_quiet()
        with self._changed:
            busy = set(self._busy)
        claims = self._claims
        due = self._app.due_sources(claims.is_left) if claims else self._app.due_sources()
        for name, state in due.items():
            if name not in busy:
                with self._changed:
                    self._busy.add(name)
                    self._waiting += 1
                self._threads.submit(self._poll, name, state)

    def wait(self, timeout: float) -> bool:
        """Whether everything that was due is polled and written down within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy, timeout)

    def stop(self) -> None:
        """Start no more polls; wait for those that run."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._write_quiet()

    def _poll(self, name: str, state: SourceState) -> None:
        with self._changed:
            self._waiting -= 1
        quiet: list[QuietPoll] = []
        try:
            if self._claims is None or self._claims.claim(name, state):
                self._tell(self._app.poll(name, state, quiet.append))
        except DistributorError as error:
            log.warning("source %s: %s", name, error)
        except Exception:  # one source's bug must not stop the others
            log.exception("source %s failed", name)
        finally:
            self._end(name, quiet)

    def _tell(self, polled: Polled) -> None:
        if polled.error:
            log.warning("source %s could not be read: %s", polled.source, polled.error)
        elif polled.new or polled.changed or polled.held:
            counts = (polled.new, polled.changed, polled.held)
            log.info("source %s: %d new, %d changed, %d held", polled.source, *counts)
            self._on_news()

    def _end(self, name: str, quiet: list[QuietPoll]) -> None:
        """A source stays busy until its poll is written down, or it would be due again at once."""
        with self._changed:
            self._quiet += quiet
            if not quiet:
                self._busy.discard(name)
                self._changed.notify_all()
            is_time = not self._waiting or len(self._quiet) >= MANY_QUIET
        if is_time:
            self._write_quiet()

    def _write_quiet(self) -> None:
        with self._changed:
            quiet, self._quiet = self._quiet, []
        if not quiet:
            return
        try:
            self._app.storage.posts.note_quiet(quiet)
        except DistributorError as error:
            log.warning("polls of %d sources are not noted, they are asked again: %s", len(quiet), error)
        finally:
            with self._changed:
                self._busy.difference_update(one.name for one in quiet)
                self._changed.notify_all()


class Clock:
    """Polls what is due, plans what is due, words what is planned. On PostgreSQL any number may run."""

    def __init__(self, app: App, claims: PollClaims | None = None, attention: Attention | None = None) -> None:
        """`attention`: says whether a tick need look; None: each does, as where other clocks are."""
        self._app = app
        self._attention = attention
        self._pollers = Pollers(app, self._plan_and_word, claims)
        self._scheduler: Any = None
        self._planning = threading.Lock()
        #: When the last tick ended well; readiness and metrics look at it.
        self.last_tick_at: datetime | None = None

    def start(self) -> None:
        from apscheduler.executors.debug import DebugExecutor
        from apscheduler.schedulers.background import BackgroundScheduler

        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        # In the scheduler's own thread: handing each tick to another one costs more than the tick.
        self._scheduler = BackgroundScheduler(
            timezone="UTC",
            executors={"default": DebugExecutor()},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_job(self._tick, "interval", seconds=TICK_SECONDS, next_run_time=self._app.clock())
        self._scheduler.add_job(self._housekeep, "interval", seconds=HOUSEKEEPING_SECONDS)
        self._scheduler.start()

    def stop(self) -> None:
        """No new tick; waits for the one that runs."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=True)
        self._pollers.stop()

    def _tick(self) -> None:
        now = self._app.clock()
        try:
            if self._attention is None or self._attention.is_worth(now):
                self._look(now)
            self.last_tick_at = self._app.clock()
            return
        except DistributorError as error:
            log.warning("this tick failed, the next one tries again: %s", error)
        except Exception:  # a bug in one tick must not stop the clock
            log.exception("this tick failed, the next one tries again")
        if self._attention is not None:
            self._attention.forget()

    def _look(self, now: datetime) -> None:
        # A new schedule is on record before the first poll: what that brings is news to it, not history.
        self._plan_and_word()
        self._pollers.poll_due()
        if self._attention is not None:
            self._attention.rest_until(find_next_time(self._app, now))

    def _plan_and_word(self) -> None:
        with self._planning:
            self._app.plan()
            self._app.freeze()

    def _housekeep(self) -> None:
        try:
            self._app.housekeep()
        except DistributorError as error:
            log.warning("housekeeping failed, the next round tries again: %s", error)
        except Exception:  # as above
            log.exception("housekeeping failed")


def attend(app: App) -> Attention:
    """For a clock that has the database for itself."""
    return Attention(app.storage.database.read_mark, time.monotonic, LOOK_ANYWAY)


def find_next_time(app: App, now: datetime) -> datetime | None:
    """Until when nothing is due unless something is committed. Not later than now while a source is being asked."""
    known = app.storage.posts.load_states()
    states = [SourceState.from_json(known.get(one.name, "")) for one in app.settings.sources]
    dues = [next_occurrence(one.name, one.rule, now, timedelta(days=1)) for one in app.plans]
    moments = [
        *(state.next_poll_at or now for state in states if not state.is_gone),
        *(one.due for one in dues if one is not None),
        app.storage.posts.find_next_hour(now - LOOK_BACK, now),
    ]
    return min((one for one in moments if one is not None), default=None)
