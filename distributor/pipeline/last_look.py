"""Asks for the pages of stories once more before they are worded: what has vanished from its site is not told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from distributor.core.errors import SourceError
from distributor.core.last_look import KEPT, Sight, Step, describe, find_step, is_worth_asking, note_answer
from distributor.core.post import Post

log = logging.getLogger(__name__)

#: Pages asked for at the same time.
AT_ONCE = 4
#: Seconds for all pages of one round; what is not answered by then goes as if it had not been asked.
PATIENCE = 10.0

#: Address and whether to make sure (a first no is there already) -> status; SourceError when there is no answer.
Ask = Callable[[str, bool], int]


class StoredPost(Protocol):
    """A post as looking needs it."""

    @property
    def id(self) -> int: ...
    @property
    def post(self) -> Post: ...
    @property
    def status(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def first_seen_at(self) -> datetime: ...


@dataclass(frozen=True)
class Looked:
    """What looking says of an edition. `gone`: story -> why it is to be held."""

    step: Step
    gone: Mapping[int, str] = field(default_factory=dict)


class LastLook:
    """Remembers in memory only what pages answered. For one thread at a time; never asks within a transaction."""

    def __init__(self, ask: Ask, after: Mapping[str, timedelta | None], patience: float = PATIENCE) -> None:
        """`after`: source -> how old its stories must be to be asked for. A source without one is left alone."""
        self._ask = ask
        self._after = after
        self._patience = patience
        self._sights: dict[str, Sight] = {}
        self._wanted: dict[str, bool] = {}

    def judge(self, rows: Iterable[StoredPost], now: datetime) -> Looked:
        """Whether an edition of these stories may be worded ("go"), "wait" for now, or "ask" first (`ask_all`)."""
        steps: set[Step] = set()
        gone = {}
        for row in rows:
            published, after = row.post.published_at, self._after.get(row.post.source)
            if row.status != "live" or not row.post.link.startswith(("http://", "https://")):
                continue
            if not is_worth_asking(row.first_seen_at, published, row.reason, after, now):
                continue
            url = row.post.link
            sight = self._sights.get(url)
            step = find_step(sight, now)
            steps.add(step)
            if step == "ask":
                self._wanted[url] = sight is not None and sight.noes > 0
            elif step == "gone" and sight is not None:
                gone[row.id] = describe(sight)
        return Looked("ask" if "ask" in steps else "wait" if "wait" in steps else "go", gone)

    def ask_all(self, now: datetime) -> None:
        """Ask for every page that judging wanted, a few at a time, within the patience for all of them."""
        wanted, self._wanted = self._wanted, {}
        self._sights = {url: sight for url, sight in self._sights.items() if now - sight.at < KEPT}
        threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="last-look")
        asked = {url: threads.submit(self._ask, url, is_sure) for url, is_sure in wanted.items()}
        wait(asked.values(), self._patience)
        threads.shutdown(wait=False, cancel_futures=True)
        for url, answer in asked.items():
            self._sights[url] = note_answer(self._sights.get(url), _read_status(url, answer), now)


def _read_status(url: str, answer: Future[int]) -> int:
    """0 when there was no answer: that is no reason to hold a story."""
    if not answer.done() or answer.cancelled():
        return 0
    try:
        return answer.result()
    except SourceError as error:
        log.info("the page %s could not be asked for, its story goes all the same: %s", url, error)
    except Exception:  # a bug here must not stop the news
        log.exception("the page %s could not be asked for", url)
    return 0
