"""Readers click; the journal of clicks is in memory, counting is the product's own."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from distributor.core.clicks import Hit, Verdict
from distributor.core.points import reach
from distributor.pipeline.track import Rules, drain
from distributor.storage import Storage
from distributor.storage.database import Database
from tests.simulation.world import World


@dataclass(frozen=True)
class Chunk:
    lines: Sequence[bytes]
    position: int


@dataclass
class MemoryJournal:
    """Files of a click journal; the last one is still written to."""

    files: dict[str, bytes] = field(default_factory=lambda: {"0001": b""})

    @contextlib.contextmanager
    def hold(self) -> Iterator[bool]:
        yield True

    def names(self) -> list[str]:
        return sorted(self.files)

    def read(self, name: str, position: int, limit: int) -> Chunk:
        data = self.files[name][position : position + limit]
        end = data.rfind(b"\n") + 1
        return Chunk(data[:end].split(b"\n")[:-1], position + end)

    def remove(self, name: str, position: int) -> bool:
        if name == self.names()[-1] or position < len(self.files[name]):
            return False
        del self.files[name]
        reach("simulation.click file removed")
        return True

    def append(self, line: bytes) -> None:
        self.files[self.names()[-1]] += line

    def rotate(self) -> None:
        self.files[f"{int(self.names()[-1]) + 1:04}"] = b""


def _edition_of(slug: str) -> Hashable | None:
    return None


@dataclass
class Clicks:
    """Clicks that happened, and the promise that each is counted once."""

    world: World
    database: Database
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    happened: int = 0

    def click(self) -> None:
        rows = self.database.look("SELECT slug FROM link ORDER BY id")
        if not rows:
            return
        slug = self.world.random.choice(rows)[0]
        at_ms = int(self.world.now.timestamp() * 1000)
        self.journal.append(b"%d\t%s\tGET\t192.0.2.0/24\t\t\tMozilla/5.0 Firefox/140\n" % (at_ms, slug.encode()))
        self.happened += 1
        if self.world.random.random() < 0.2:
            self.journal.rotate()

    def count(self, storage: Storage) -> None:
        drain(self.journal, storage.links, Rules(_judge, _salt, _edition_of))

    def check(self, is_final: bool = False) -> None:
        rows = self.database.look("SELECT count(*) FROM click")
        counted = int(rows[0][0])
        is_right = counted == self.happened if is_final else counted <= self.happened
        self.world.require(is_right, f"{counted} clicks are counted of {self.happened}")


def _judge(hit: Hit) -> Verdict:
    return Verdict("human", "simulated")


def _salt(day: date) -> bytes:
    return b"salt of one day" * 2
