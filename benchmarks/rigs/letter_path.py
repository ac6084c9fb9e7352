"""A letter's way as the product goes it: a list on SQLite, an edition, a lane with everything that is durable."""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.rigs.databases import freeze_edition, plan_edition
from benchmarks.rigs.letters import SENDER
from distributor.channels import Surroundings, open_channel
from distributor.channels.email.settings import Settings
from distributor.core.contracts import Site
from distributor.core.subscriber import NewSubscriber
from distributor.core.tokens import sign_unsubscribe
from distributor.pipeline.send import Lane, send_next
from distributor.run import YOUNG
from distributor.storage import Storage, join_stores
from distributor.storage.database import Database
from distributor.storage.pauses import PauseWatch
from distributor.storage.recorded import RecordedLedger
from distributor.storage.send_journal import SendJournal

FENCE = "bench"
_UPGRADE = """
import sys
from distributor.storage import schema
from distributor.storage.database import Database
schema.upgrade(Database(sys.argv[1]))
"""


@dataclass(frozen=True)
class Desk:
    """An empty newsroom in a folder of its own: SQLite with synchronous=FULL, a send journal, a send record."""

    folder: Path
    storage: Storage

    def add_readers(self, count: int, start: int = 0) -> None:
        for _ in self.storage.recipients.add_subscribers(_make_readers(start, count), "readers", _now()):
            pass

    def freeze_edition(self, number: int = 1) -> None:
        """To everybody who is on the list by now."""
        now = _now()
        assert freeze_edition(self.storage, plan_edition(self.storage, number, now), now) > 0

    def send_all(self, lane: Lane) -> None:
        while send_next(lane) == 0.0:
            pass

    def count_sent(self) -> int:
        return self.storage.reports.count_deliveries().get(("letter", "sent"), 0)

    @contextmanager
    def run_lane(self, port: int, **settings: Any) -> Iterator[Lane]:
        """A lane for a server on this port; `settings` are the channel's."""
        storage, prefix = self.storage, "https://go.example.org/u/"
        mail = {"host": "127.0.0.1", "port": port, "tls": "none", "from": SENDER, "list": "readers"}
        channel = open_channel(
            Settings.model_validate({"name": "letter", **mail, **settings}),
            Surroundings(Site("The Daily", "https://go.example.org")),
        )
        watch = PauseWatch(storage.decisions, "letter", _now)
        lane = Lane(
            channel=channel,
            ledger=RecordedLedger(storage, self.folder, FENCE),
            journal=SendJournal(self.folder, FENCE, "letter"),
            fence=FENCE,
            clock=_now,
            slots=lambda edition, reader: {
                "name": reader.name,
                "address": reader.address,
                "unsubscribe_url": prefix + sign_unsubscribe(storage.secret, reader.id, edition.id),
            },
            may_start=lambda: not watch.is_paused(),
            pause=time.sleep,
        )
        # As `distributor run` does once everything is there.
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG)
        try:
            yield lane
        finally:
            lane.close()


@contextmanager
def open_desk() -> Iterator[Desk]:
    """The tables are made by another process, as by `distributor db upgrade`; a lane never loads what it takes."""
    with tempfile.TemporaryDirectory() as name:
        url = f"sqlite:///{name}/bench.db"
        subprocess.run([sys.executable, "-c", _UPGRADE, url], check=True)
        database = Database(url)
        try:
            yield Desk(Path(name), join_stores(database))
        finally:
            database.close()


def _make_readers(start: int, count: int) -> Iterator[NewSubscriber]:
    for number in range(start, start + count):
        address = f"reader{number}@mail{number % 977}.example.org"
        yield NewSubscriber(address, address, f"Reader {number}")


def _now() -> datetime:
    return datetime.now(UTC)
