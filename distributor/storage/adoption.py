"""The way out of safe mode: a person has seen what waits, and says what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from sqlalchemy import ColumnElement, Connection, func, or_, select, update

from distributor.core.waking import Wakeup
from distributor.storage.aftermath import check_in
from distributor.storage.database import Database
from distributor.storage.freezing import complete_editions
from distributor.storage.identity import read_or_make
from distributor.storage.instance import Mark, forget_value, raise_fence, write_mark, write_value
from distributor.storage.notices import add_notice
from distributor.storage.place import find_home
from distributor.storage.tables import delivery, edition

#: release: it goes out. hold: it waits for `editions release` or `editions drop`; new stories go. drop: never.
Choice = Literal["release", "hold", "drop"]
#: Why something is held that waits for an adoption.
REASONS = ("copied", "restored")


@dataclass(frozen=True)
class Waiting:
    """What waits in a database that may be a copy. Numbers by channel."""

    deliveries: dict[str, int]
    #: Editions without words yet, or whose words are lost.
    editions: dict[str, int]
    unknown: int

    @property
    def total(self) -> int:
        return sum(self.deliveries.values())

    @property
    def total_editions(self) -> int:
        return sum(self.editions.values())


def count_waiting(database: Database) -> Waiting:
    """What an adoption decides about."""
    with database.read() as connection:
        return _count(connection)


def _count(connection: Connection) -> Waiting:
    joined = select(edition.c.channel, func.count()).join(delivery, delivery.c.edition_id == edition.c.id)
    rows = connection.execute(joined.where(_waits()).group_by(edition.c.channel)).all()
    editions = select(edition.c.channel, func.count()).where(_has_no_words()).group_by(edition.c.channel)
    unknown = select(func.count()).select_from(delivery).where(delivery.c.state == "unknown")
    return Waiting(
        {row[0]: int(row[1]) for row in rows},
        {row[0]: int(row[1]) for row in connection.execute(editions)},
        int(connection.execute(unknown).scalar_one()),
    )


def _waits() -> ColumnElement[bool]:
    return or_(delivery.c.state == "queued", _is_held())


def _is_held() -> ColumnElement[bool]:
    return (delivery.c.state == "held") & delivery.c.reason.in_(REASONS)


def _has_no_words() -> ColumnElement[bool]:
    return or_(edition.c.state == "planned", _is_set_aside())


def _is_set_aside() -> ColumnElement[bool]:
    ours = [edition.c.reason.startswith(reason) for reason in REASONS]
    return (edition.c.state == "held") & or_(*ours)


def adopt(database: Database, state_dir: Path, choice: Choice, by: str, now: datetime) -> Waiting:
    """This database, here, is the one that sends from now on; returns what waited.

    Its fence is raised: an older one of it is refused wherever this one has been adopted or has been used since.
    """
    instance = read_or_make(database, "instance", 8)
    with database.write("adoption.adopt") as connection:
        waiting = _count(connection)
        {"release": _release, "hold": _hold, "drop": _drop}[choice](connection, by, now)
        fence = raise_fence(connection, find_home(database, connection))
        write_value(connection, "adopted_at", f"{now.timestamp():.3f}")
        forget_value(connection, "safe_mode")
        counts = f"{waiting.total} deliveries, {waiting.total_editions} editions without words"
        add_notice(connection, "audit", "adopt", f"{by} adopted this database: {choice} {counts}", now)
        for name, number in sorted(waiting.deliveries.items()):
            database.announce(connection, Wakeup(name, audience=number))
    write_mark(state_dir, Mark(instance, fence))
    return waiting


def is_adopted(database: Database, state_dir: Path, now: datetime) -> bool:
    """Whether there is nothing to decide. A mark that names another database is written anew."""
    return not check_in(database, state_dir, now, is_meant=True)


def _release(connection: Connection, by: str, now: datetime) -> None:
    """What was held has had its hour: whoever releases it wants it out all the same."""
    ids = select(delivery.c.edition_id).where(_is_held())
    connection.execute(update(edition).where(edition.c.id.in_(ids)).values(late_after=None))
    queued = {"state": "queued", "reason": None, "not_before": None, "changed_at": now, "decided_by": by}
    connection.execute(update(delivery).where(_is_held()).values(**queued))
    planned = {"state": "planned", "reason": "", "late_after": None}
    connection.execute(update(edition).where(_is_set_aside()).values(**planned))


def _hold(connection: Connection, by: str, now: datetime) -> None:
    held = {"state": "held", "reason": "copied", "changed_at": now, "decided_by": by}
    connection.execute(update(delivery).where(delivery.c.state == "queued").values(**held))
    connection.execute(update(edition).where(edition.c.state == "planned").values(state="held", reason="copied"))


def _drop(connection: Connection, by: str, now: datetime) -> None:
    reason = "given up when the database was adopted"
    skipped = {"state": "skipped", "reason": reason, "not_before": None, "changed_at": now, "decided_by": by}
    connection.execute(update(delivery).where(_waits()).values(**skipped))
    dropped = {"state": "dropped", "reason": reason, "completed_at": now}
    connection.execute(update(edition).where(_has_no_words()).values(**dropped))
    complete_editions(connection, now)
