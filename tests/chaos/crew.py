"""Several newsrooms side by side, each in a process of its own, because a run mostly waits."""

from __future__ import annotations

import atexit
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Self, TypeVar

from tests.chaos.nursery import Nursery
from tests.chaos.stage import Stage

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class House:
    """On what the product stands: the database and the engine ("" for the configuration's default)."""

    kind: str
    engine: str = ""
    server_url: str = ""

    def __str__(self) -> str:
        return f"{self.kind}, {self.engine or 'local'} engine"


_stage: Stage | None = None


class Crew:
    """`size` newsrooms on one house. Their making takes seconds, so they are kept for many runs."""

    def __init__(self, house: House, size: int) -> None:
        self.house = house
        spawning = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(size, mp_context=spawning, initializer=_set_up, initargs=(house,))

    def run_all(self, work: Callable[[Stage, T], R], todo: Iterable[T], until: float = inf) -> Iterator[R]:
        """`work(stage, one)` for each of `todo`, as they are finished; what has not begun at `until` (monotonic
        seconds) is left. `work` must be importable by name."""
        futures = [self._pool.submit(_do, work, one, until) for one in todo]
        for done in as_completed(futures):
            result = done.result()
            if result is not None:
                yield result

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _set_up(house: House) -> None:
    global _stage
    folder = tempfile.TemporaryDirectory(prefix="distributor-chaos-", ignore_cleanup_errors=True)
    nursery = Nursery()
    _stage = Stage(Path(folder.name) / "room", house.kind, house.server_url, nursery, house.engine)
    atexit.register(folder.cleanup)
    atexit.register(nursery.close)
    atexit.register(_stage.close)


def _do(work: Callable[[Stage, T], R], one: T, until: float) -> R | None:
    assert _stage is not None
    return work(_stage, one) if time.monotonic() < until else None
