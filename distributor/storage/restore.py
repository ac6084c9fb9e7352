"""Putting a backup in place of the database, or telling a database that was put there what it missed.

A backup is a journey back in time: what went out after it was made is not in it. So it learns that from the send
record, whatever is not proven to have gone is held, and nothing is sent before a person has adopted it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from distributor.core.errors import StorageError
from distributor.core.points import reach
from distributor.storage import leavings, schema
from distributor.storage.copying import copy_sqlite, find_damage, sync
from distributor.storage.database import Database
from distributor.storage.identity import read_or_make
from distributor.storage.instance import Mark, raise_fence, read_mark, read_values, write_mark, write_value
from distributor.storage.kept import Kept, read_kept
from distributor.storage.lock import lock_database
from distributor.storage.merging import Merged, is_open_edition, merge
from distributor.storage.notices import add_notice
from distributor.storage.place import describe_home, find_home
from distributor.storage.send_journal import read_evidence
from distributor.storage.send_record import list_files

_HOW = "nothing is sent until you have looked at what waits and typed: distributor db adopt"


@dataclass(frozen=True)
class Restored:
    """What a restore did. `aside`: the folder with the database that was there; None when none was."""

    merged: Merged
    aside: Path | None


def restore_sqlite(
    database: Database, backup: Path, state_dir: Path, others: Sequence[Path], now: datetime
) -> Restored:
    """Put a backup in the place of the database, which is kept aside; `others` are send records of other folders.

    All is prepared beside the database first; when that fails nothing has changed. Raises StorageError, also while
    the program runs.
    """
    if not database.is_sqlite:
        raise StorageError("restore PostgreSQL with pg_restore, then type: distributor db merge-journal")
    if not backup.is_file() or backup.resolve() == database.path.resolve():
        raise StorageError(f"{backup} is not a backup of this database; see the folder backups beside it")
    part = Path(f"{database.path}.restore-part")
    with _locked(database):
        try:
            _copy_and_verify(backup, part)
            merged, mark = _prepare(part, database.path, state_dir, others, now)
            aside = _swap(database.path, part, state_dir, now)
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"{backup} could not be restored: {error}") from None
        finally:
            _remove(part)
        write_mark(state_dir, mark)
    return Restored(merged, aside)


def merge_journal(database: Database, state_dir: Path, others: Sequence[Path], now: datetime) -> Merged:
    """The same for a database that somebody has put in place already, with pg_restore or by hand."""
    with _locked(database):
        schema.require_current(database)
        with database.read() as connection:
            here = find_home(database, connection)
        merged, mark = _merge(database, here, state_dir, others, "restored", now)
        write_mark(state_dir, mark)
    return merged


@contextlib.contextmanager
def _locked(database: Database) -> Iterator[None]:
    if database.is_sqlite:
        database.path.parent.mkdir(parents=True, exist_ok=True)
    unlock = lock_database(database)
    try:
        yield
    finally:
        unlock()


def _copy_and_verify(backup: Path, part: Path) -> None:
    _remove(part)
    copy_sqlite(backup, part)
    if problem := find_damage(part):
        raise StorageError(f"{backup} is damaged ({problem}); nothing was changed, take an older backup")
    with contextlib.closing(Database(f"sqlite:///{part}")) as database:
        version = schema.read_version(database)
        if version is None:
            raise StorageError(f"{backup} holds no database of this program; nothing was changed")
        if version not in schema.KNOWN:
            raise StorageError(
                f"{backup} (version {version}) is newer than this program (version {schema.HEAD}); install the "
                "newer program, nothing was changed"
            )


def _prepare(
    part: Path, final: Path, state_dir: Path, others: Sequence[Path], now: datetime
) -> tuple[Merged, Mark]:
    with contextlib.closing(Database(f"sqlite:///{part}")) as database:
        schema.upgrade(database)
        done = _merge(database, describe_home(part, final), state_dir, others, "restored", now)
        with database.write("restore.fold") as connection:
            connection.exec_driver_sql("DELETE FROM meta WHERE key IN ('moved_to', 'arriving')")
    with contextlib.closing(sqlite3.connect(part)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sync(part)
    return done


def _merge(
    database: Database, home: str, state_dir: Path, others: Sequence[Path], word: str, now: datetime
) -> tuple[Merged, Mark]:
    instance = read_or_make(database, "instance", 8)
    secret = bytes.fromhex(read_or_make(database, "secret"))
    kept = _read_kept(database, instance, state_dir, others)
    evidence, _ = read_evidence(state_dir)
    seen = read_mark(state_dir)
    with database.write("restore.merge") as connection:
        merged = merge(connection, kept, evidence, now)
        merged.left = leavings.apply(connection, leavings.gather(kept.leavings, secret))
        if seen is not None and seen.instance == instance:
            _catch_up(connection, seen.fence)
        fence = raise_fence(connection, home)
        sentence = f"the database was {word} on {now:%Y-%m-%d at %H:%M} UTC; {_HOW}"
        write_value(connection, "safe_mode", sentence)
        add_notice(connection, "alarm", "safe mode", sentence, now)
    return merged, Mark(instance, fence)


def _catch_up(connection: Connection, fence: int) -> None:
    """Higher than any fence that the replaced database had."""
    own = int(read_values(connection).get("fence", "0"))
    write_value(connection, "fence", str(max(own, fence)))


def _read_kept(database: Database, instance: str, state_dir: Path, others: Sequence[Path]) -> Kept:
    files = list_files(state_dir)
    for folder in others:
        found = [*folder.glob("????-??-??.log"), *list_files(folder)]
        if not found:
            raise StorageError(f"{folder} holds no send record; it is the folder sent in a node's state_dir")
        files += found
    with database.read() as connection:
        try:
            return read_kept(files, instance, lambda token: is_open_edition(connection, token))
        except OSError as error:
            raise StorageError(f"the send record cannot be read: {error}") from None


def _swap(path: Path, part: Path, state_dir: Path, now: datetime) -> Path | None:
    """From the first line to the last one the program refuses to start: a database without its -wal would be a
    third one, neither old nor new."""
    waiting = Path(f"{path}{schema.RESTORING}")
    reach("restore.begin")
    part.replace(waiting)
    sync(path.parent)
    present = [one for one in (path, Path(f"{path}-wal"), Path(f"{path}-shm")) if one.exists()]
    aside = path.parent / f"replaced-{now:%Y%m%dT%H%M%SZ}" if present else None
    if aside is not None:
        aside.mkdir(mode=0o700, exist_ok=True)
        for one in present:
            reach("restore.set_aside")
            one.replace(aside / one.name)
        sync(aside)
    reach("restore.put_in_place")
    waiting.replace(path)
    sync(path.parent)
    reach("restore.done")
    if aside is not None:
        for journal in state_dir.glob("sends-*.log"):
            journal.replace(aside / journal.name)
    return aside


def _remove(part: Path) -> None:
    for one in (part, Path(f"{part}-wal"), Path(f"{part}-shm")):
        reach("restore.remove")
        one.unlink(missing_ok=True)
