"""Tables, migrations, queries; SQLite and PostgreSQL behind the same stores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributor.storage.alerts import Alerts
    from distributor.storage.counters import Counters
    from distributor.storage.database import Database
    from distributor.storage.decisions import Decisions
    from distributor.storage.editions import Editions
    from distributor.storage.events import Events
    from distributor.storage.figures import Figures
    from distributor.storage.health import Health
    from distributor.storage.lanes import Lanes, Turn
    from distributor.storage.ledger import Ledger
    from distributor.storage.links import Links
    from distributor.storage.posts import Posts
    from distributor.storage.recipients import Recipients
    from distributor.storage.recovery import Recovery
    from distributor.storage.reports import Reports
    from distributor.storage.workers import Workers


@dataclass(frozen=True)
class Storage:
    """Every store over one database."""

    database: Database
    posts: Posts
    editions: Editions
    ledger: Ledger
    recovery: Recovery
    decisions: Decisions
    recipients: Recipients
    links: Links
    reports: Reports
    events: Events
    health: Health
    alerts: Alerts
    counters: Counters
    figures: Figures
    workers: Workers
    lanes: Lanes
    #: Signs unsubscribe links.
    secret: bytes
    #: Names this installation.
    instance: str

    def taking_turns(self, turn: Turn) -> Storage:
        """The same stores with a ledger for a channel with one voice, on which many machines may want to speak."""
        from distributor.storage.ledger import Ledger

        return replace(self, ledger=Ledger(self.database, turn))

    def close(self) -> None:
        self.database.close()


def open_storage(url: str, state_dir: Path | None = None) -> Storage:
    """All stores over a database that is at the current version; raises StorageError with what to type.

    With a `state_dir` its send record learns who leaves.
    """
    from distributor.storage import schema
    from distributor.storage.database import Database

    database = Database(url)
    try:
        schema.require_current(database)
        return join_stores(database, state_dir)
    except BaseException:
        database.close()
        raise


def join_stores(database: Database, state_dir: Path | None = None) -> Storage:
    """All stores over an open database; `state_dir` as in `open_storage`."""
    from distributor.storage.alerts import Alerts
    from distributor.storage.counters import Counters
    from distributor.storage.decisions import Decisions
    from distributor.storage.editions import Editions
    from distributor.storage.events import Events
    from distributor.storage.figures import Figures
    from distributor.storage.health import Health
    from distributor.storage.identity import read_or_make
    from distributor.storage.lanes import Lanes
    from distributor.storage.leavings import open_record
    from distributor.storage.ledger import Ledger
    from distributor.storage.links import Links
    from distributor.storage.posts import Posts
    from distributor.storage.recipients import Recipients
    from distributor.storage.recovery import Recovery
    from distributor.storage.reports import Reports
    from distributor.storage.workers import Workers

    leavings = None if state_dir is None else open_record(database, state_dir)
    return Storage(
        database,
        Posts(database),
        Editions(database),
        Ledger(database),
        Recovery(database),
        Decisions(database),
        Recipients(database, leavings),
        Links(database),
        Reports(database),
        Events(database, leavings),
        Health(database),
        Alerts(database),
        Counters(database),
        Figures(database),
        Workers(database),
        Lanes(database),
        bytes.fromhex(read_or_make(database, "secret")),
        read_or_make(database, "instance", 8),
    )
