"""Many machines on one PostgreSQL: Procrastinate carries the wake-ups, the ledger holds the work.

A wake-up is put down in the transaction that makes deliveries ready, and rolled back with it. Whoever takes it
empties the channel. Every channel has a queue of its own; a list channel takes one wake-up at a time in each
process and gets several for a long list, so that every live worker finds one. Nothing is retried by the library and
no lock of its is used: order and exclusion are the ledger's (facts/engine.md 6).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, TypeVar

import procrastinate
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException

from distributor.core.errors import StorageError
from distributor.core.waking import Wakeup
from distributor.engine.drain import Drain
from distributor.engine.local import OpenLane
from distributor.engine.procrastinate_tables import ensure_tables

log = logging.getLogger(__name__)
T = TypeVar("T")

TASK = "send"
#: Wake-ups for one long list at most: more workers than this share it as they finish.
MOST_SHARDS = 16
#: A waiting channel is looked at so often even when it has to wait longer.
LONGEST_WAIT = 60.0
#: Seconds between two looks for wake-ups whose time has come; new ones are told at once.
POLL_SECONDS = 5.0
#: Signs of life of the library's workers, and without one until their wake-ups are taken over.
BEAT_SECONDS = 5.0
DEAD_AFTER = 20.0
#: Seconds before the worker tries again after the database went away, doubling.
FIRST_BACK_OFF, LONGEST_BACK_OFF = 0.5, 10.0
#: Seconds the library's own stop may take; lanes have longer.
STOP_SECONDS = 1.0
URGENT = 10
_AT_ONCE = datetime(2000, 1, 1, tzinfo=UTC)


class ProcrastinateEngine:
    """Puts wake-ups down and, where lanes can be opened, follows them.

    `batch_of` says how many messages a channel takes at once; more than one makes it a list channel.
    """

    def __init__(
        self,
        url: str,
        names: Sequence[str],
        batch_of: Callable[[str], int],
        open_lane: OpenLane | None = None,
        release: Callable[[str], None] = lambda name: None,
    ) -> None:
        for library in ("procrastinate", "psycopg.pool"):  # what is wrong is said here, once and in our words
            logging.getLogger(library).setLevel(logging.CRITICAL)
        self._url = url
        self._batch_of = batch_of
        self._teller = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=url))
        self._drains = {name: Drain(name, open_lane, release) for name in names} if open_lane else {}
        self._lists: frozenset[str] = frozenset()
        self._stop = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: procrastinate.App | None = None
        self._stopped: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._supervise, name="wakeups", daemon=True)

    # -- putting down ----------------------------------------------------------------------------------------

    def enqueue(self, driver: Any, wakeup: Wakeup) -> None:
        """One wake-up, or one for each worker that a long list is worth, in the driver's open transaction."""
        count = min(-(-wakeup.audience // self._find_batch(wakeup.channel)), MOST_SHARDS)
        job = self._teller.configure_task(
            TASK,
            queue=name_queue(wakeup.channel),
            priority=URGENT if wakeup.is_urgent else 0,
            schedule_at=wakeup.at,
            connection=driver,
        )
        try:
            job.batch_defer(*[_describe(wakeup) for _ in range(max(count, 1))])
        except ConnectorException as error:
            raise StorageError(f"the wake-up could not be put down: {error.__cause__ or error}") from error

    def wake(self, channel: str | None = None) -> None:
        """The database tells every worker itself; only those of this process are spared the way."""

    def _find_batch(self, channel: str) -> int:
        try:
            return max(self._batch_of(channel), 1)
        except LookupError:
            return 1

    # -- looking after ---------------------------------------------------------------------------------------

    def is_live(self, channel: str) -> bool:
        own = self._drains.get(channel)
        is_followed = own is not None and own.is_busy
        return is_followed or any(job.status in ("todo", "doing") for job in self._list_jobs(channel))

    def cancel(self, channel: str) -> int:
        waiting = [job.id for job in self._list_jobs(channel) if job.status == "todo" and job.id is not None]
        return sum(self._ask(self._cancel(number)) for number in waiting)

    def recover(self) -> int:
        """Also lets every idle lane of this process look, and ask its service about what is unknown."""
        for drain in self._drains.values():
            drain.ask()
        return self._ask(self._recover())

    def _list_jobs(self, channel: str) -> list[Any]:
        return list(self._ask(self._opened().job_manager.list_jobs_async(queue=name_queue(channel))))

    async def _cancel(self, number: int) -> bool:
        return bool(await self._opened().job_manager.cancel_job_by_id_async(number, delete_job=True))

    async def _recover(self) -> int:
        jobs = self._opened().job_manager
        count = 0
        for job in await jobs.get_stalled_jobs(seconds_since_heartbeat=DEAD_AFTER):
            if job.id is not None:
                with suppress(ConnectorException):  # it ended meanwhile
                    await jobs.retry_job_by_id_async(job.id, retry_at=_AT_ONCE)
                    count += 1
        await jobs.prune_stalled_workers(DEAD_AFTER * 2)
        return count

    def _opened(self) -> procrastinate.App:
        if self._worker is None:
            raise StorageError("the queue is not connected yet; the next look tries again")
        return self._worker

    def _ask(self, question: Coroutine[Any, Any, T]) -> T:
        """From another thread, on the worker's loop."""
        loop = self._loop
        if loop is None or self._worker is None:
            question.close()
            raise StorageError("the queue is not connected yet; the next look tries again")
        try:
            return asyncio.run_coroutine_threadsafe(question, loop).result(30.0)
        except (ConnectorException, TimeoutError, CancelledError) as error:
            raise StorageError(f"the queue could not be asked: {error.__cause__ or error}") from error

    # -- following -------------------------------------------------------------------------------------------

    def start(self) -> None:
        ensure_tables(self._url)
        self._lists = frozenset(name for name in self._drains if self._find_batch(name) > 1)
        for drain in self._drains.values():
            drain.start()
        if self._drains:
            self._thread.start()

    def stop(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        self._stop.set()
        for drain in self._drains.values():
            drain.stop()
        loop, stopped = self._loop, self._stopped
        if loop is not None and stopped is not None:
            with suppress(RuntimeError):  # the loop is closed already
                loop.call_soon_threadsafe(stopped.set)
        have_ended = [one.join(max(deadline - time.monotonic(), 0.0)) for one in self._drains.values()]
        if self._thread.ident is not None:
            self._thread.join(max(deadline - time.monotonic(), STOP_SECONDS * 3))
        return all(have_ended) and not self._thread.is_alive()

    def _supervise(self) -> None:
        """The library's worker ends when the database goes away; lanes do not."""
        wait = FIRST_BACK_OFF
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                asyncio.run(self._serve())
            except Exception as error:  # whatever it was, the next connection may work
                log.warning("wake-ups are not heard, connecting again: %s", error.__cause__ or error)
            finally:
                self._loop = self._worker = self._stopped = None
            wait = FIRST_BACK_OFF if time.monotonic() - began > LONGEST_BACK_OFF else wait
            self._stop.wait(wait)
            wait = min(wait * 2, LONGEST_BACK_OFF)

    async def _serve(self) -> None:
        """Listen until told to stop or until one of the library's workers ends."""
        app = procrastinate.App(
            connector=procrastinate.PsycopgConnector(conninfo=self._url, min_size=1, max_size=4, timeout=10.0)
        )
        app.task(name=TASK)(self._follow)
        self._stopped = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        async with app.open_async():
            self._worker = app
            stopped = asyncio.create_task(self._stopped.wait())
            workers = [asyncio.create_task(self._work(app, queues, n)) for queues, n in self._share_queues()]
            if not self._stop.is_set():
                await asyncio.wait([stopped, *workers], return_when=asyncio.FIRST_COMPLETED)
            self._worker = None
            for task in (stopped, *workers):
                task.cancel()
            ends = await asyncio.gather(*workers, return_exceptions=True)
        troubles = [one for one in ends if isinstance(one, Exception)]
        if not self._stop.is_set():
            raise troubles[0] if troubles else ConnectorException("the connection was lost")

    def _share_queues(self) -> list[tuple[list[str], int]]:
        """(queues, how many at once) of each worker: one for each list channel, one for all that have one voice."""
        voices = [name for name in self._drains if name not in self._lists]
        alone = [([name_queue(name)], 1) for name in self._drains if name in self._lists]
        return [*alone, ([name_queue(name) for name in voices], len(voices) + 1)] if voices else alone

    async def _work(self, app: procrastinate.App, queues: Sequence[str], concurrency: int) -> None:
        await app.run_worker_async(
            queues=queues,
            concurrency=concurrency,
            delete_jobs="always",
            install_signal_handlers=False,
            fetch_job_polling_interval=POLL_SECONDS,
            abort_job_polling_interval=LONGEST_WAIT,
            shutdown_graceful_timeout=STOP_SECONDS,
            update_heartbeat_interval=BEAT_SECONDS,
            stalled_worker_timeout=DEAD_AFTER * 2,
        )

    async def _follow(self, channel: str) -> None:
        """The job: empty the channel; when something has to wait longer, wake somebody then. The wake-ups of a list
        are followed one by one, so that other processes find theirs."""
        drain = self._drains.get(channel)
        if drain is None or self._stop.is_set():
            return
        if drain.is_busy and channel not in self._lists:
            drain.ask()
            return
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[float | None] = loop.create_future()

        def finish(wait: float | None) -> None:
            if not answer.done():
                answer.set_result(wait)

        def tell(wait: float | None) -> None:
            with suppress(RuntimeError):  # the loop is closed: the sweep finds what waits
                loop.call_soon_threadsafe(finish, wait)

        drain.ask(tell)
        wait = await answer
        if wait is not None and not self._stop.is_set():
            await self._wake_later(channel, min(wait, LONGEST_WAIT))

    async def _wake_later(self, channel: str, wait: float) -> None:
        """One wake-up for each second is enough, however many found that they have to wait."""
        second = int(time.monotonic() + wait)
        job = self._opened().configure_task(
            TASK,
            queue=name_queue(channel),
            queueing_lock=f"{name_queue(channel)}#{id(self)}#{second}",
            schedule_in={"seconds": wait},
        )
        with suppress(AlreadyEnqueued):
            await job.defer_async(channel=channel)


def _describe(wakeup: Wakeup) -> dict[str, Any]:
    return {"channel": wakeup.channel}


def name_queue(channel: str) -> str:
    """PostgreSQL's notifications have names of 63 bytes, and the library puts 23 before ours."""
    name = f"send.{channel}"
    if len(name.encode()) <= 40:
        return name
    begin = channel.encode("ascii", "replace").decode()[:16]
    return f"send.{begin}.{blake2b(name.encode(), digest_size=8).hexdigest()}"
