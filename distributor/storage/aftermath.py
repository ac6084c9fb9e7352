"""What a start does before anything is sent: is this the right database, and what of the last run has no end?"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from distributor.core.errors import StorageError
from distributor.core.sending import Evidence
from distributor.storage import Storage
from distributor.storage.among import is_among
from distributor.storage.database import Database
from distributor.storage.identity import read_or_make
from distributor.storage.instance import enter
from distributor.storage.kept import is_behind, read_in_order
from distributor.storage.lock import find_presences, forget_presences
from distributor.storage.send_journal import read_evidence, remove_journals
from distributor.storage.send_record import SendRecord, list_files
from distributor.storage.tables import delivery, edition

#: Days of the record in which a message may still be without an end when a process starts again.
OPEN_DAYS = 3
#: More than may have been under way on all lanes of a process.
MOST_LATE = 20_000


def check_in(database: Database, state_dir: Path, now: datetime, is_meant: bool = False) -> str:
    """Whether this database may send from here: "" or the sentence of safe mode. Asked once, at each start.

    Raises StorageError when this folder belongs to another database (unless a person says that it `is_meant`),
    or cannot be used.
    """
    instance = read_or_make(database, "instance", 8)
    try:
        behind = is_behind(database, state_dir, instance)
    except OSError as error:
        raise StorageError(f"the send record in {state_dir} cannot be read: {error}") from None
    return enter(database, state_dir, now, behind, is_meant)


def recover(storage: Storage, state_dir: Path, fence: str, now: datetime) -> dict[str, int]:
    """Settle what a killed process left behind, with what its journals prove; returns state -> how many.

    On SQLite every other process is dead; on PostgreSQL those are that kept their state in this folder and live no
    more. Afterwards the record has an end for it too, and the send journals, which the ledger needs no more, are
    gone.
    """
    live, dead = find_presences(state_dir, fence)
    evidence, files = read_evidence(state_dir, live)
    late = _read_late(state_dir, storage.instance)
    # The record is written before the database is told: of one voice's message nothing else knows that it went.
    outcomes = {**evidence.outcomes, **{delivery_id: f"sent {receipt}" for delivery_id, receipt in late.sent}}
    proved = Evidence(outcomes, evidence.complete, evidence.known)
    if storage.database.is_sqlite:
        counts = storage.recovery.recover(proved, [fence], now)
        storage.workers.leave_only(fence)
    else:
        counts = storage.recovery.recover_dead(proved, dead, now)
        storage.workers.leave(dead)
    _close_record(storage, late, SendRecord(state_dir, storage.instance, fence), now)
    remove_journals(files)
    forget_presences(state_dir, dead)
    return counts


@dataclass
class _Late:
    """The end of the record: messages without an end by edition, and the last ones that were accepted."""

    open: dict[str, dict[int, int]] = field(default_factory=dict)
    sent: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=MOST_LATE))


def _read_late(state_dir: Path, instance: str) -> _Late:
    late = _Late()
    try:
        for line in read_in_order(list_files(state_dir)[-OPEN_DAYS:], instance):
            if line.kind in ("b", "s"):
                begun = zip(line.recipients, line.ids, strict=False)
                late.open.setdefault(line.token, {}).update(begun)
            elif line.kind == "e":
                ids = [late.open.get(line.token, {}).pop(recipient, None) for recipient in line.recipients]
                if line.word == "sent":
                    late.sent.extend((one, line.receipt) for one in ids if one is not None)
    except OSError:
        return _Late()
    return late


def _close_record(storage: Storage, late: _Late, record: SendRecord, now: datetime) -> None:
    try:
        for token, recipients in late.open.items():
            if ended := _look_up(storage.database, token, list(recipients)):
                record.note_ended(token, ended, {}, now)
    except OSError:
        return  # without an end they are unknown to whoever restores: safe, and said again at the next start
    finally:
        record.close()


def _look_up(database: Database, token: str, wanted: Sequence[int]) -> dict[str, list[int]]:
    """State -> recipients, of those that nobody holds now."""
    if not wanted:
        return {}
    with database.read() as connection:
        rows = connection.execute(
            select(delivery.c.recipient_id, delivery.c.state)
            .join(edition, edition.c.id == delivery.c.edition_id)
            .where(
                edition.c.token == token,
                is_among(connection, delivery.c.recipient_id, wanted),
                delivery.c.state.not_in(("claimed", "sending")),
            )
            .order_by(delivery.c.id)
        ).all()
    ended: dict[str, list[int]] = {}
    for row in rows:
        ended.setdefault(row.state, []).append(row.recipient_id)
    return ended
