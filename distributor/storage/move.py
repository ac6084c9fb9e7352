"""From one SQLite file to PostgreSQL: everything, compared row by row, and then the file sends no more.

The copy is one transaction of the server, and until it is compared the file is in charge; a target that was left
half way says so and is emptied by the next try.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Boolean, Connection, Table, func, select

from distributor.core.errors import StorageError
from distributor.core.points import reach
from distributor.storage import schema
from distributor.storage.database import Database
from distributor.storage.identity import read_or_make
from distributor.storage.instance import Mark, forget_value, raise_fence, read_values, write_mark, write_value
from distributor.storage.lock import lock_database
from distributor.storage.place import find_home
from distributor.storage.recreating import reset_counts
from distributor.storage.tables import lane, metadata, worker

_MANY = 10_000
#: About processes, which end with the move.
_LEFT_BEHIND = (worker.name, lane.name)
#: What an empty database gets by being looked at.
_MADE_BY_LOOKING = {"secret", "instance", "home", "fence"}

#: Told with a table's name, how many of its rows are done, and how many there are.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Moved:
    """Rows by table; each was compared."""

    rows: dict[str, int]
    label: str


def move(source: Database, target: Database, state_dir: Path, progress: Progress) -> Moved:
    """Copy everything, compare counts and contents, fence the file. When it raises the file is still in charge.

    StorageError says why. The program must be stopped. The target must hold nothing, or what a move of this
    database left there half way.
    """
    if not source.is_sqlite or target.is_sqlite:
        raise StorageError("a move goes from an SQLite file to PostgreSQL: distributor db move postgresql://...")
    unlock = lock_database(source)
    try:
        instance = read_or_make(source, "instance", 8)
        if _is_nearly_done(source, target, instance):
            return _finish(source, target, state_dir, instance)
        schema.require_current(source)
        _prepare(target, instance)
        with source.read() as rows, _explained(target):
            _copy(rows, target, instance, progress)
        return _finish(source, target, state_dir, instance)
    finally:
        unlock()


def list_tables() -> list[Table]:
    """What is copied, each table after those it points to."""
    return [table for table in metadata.sorted_tables if table.name not in _LEFT_BEHIND]


@contextlib.contextmanager
def _explained(target: Database) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise StorageError(
            f"{target.label}: the copy failed and was taken back, the old database is in charge: {error}"
        ) from error


def _is_nearly_done(source: Database, target: Database, instance: str) -> bool:
    """Whether all was copied and the file fenced, and only the last word is missing."""
    with source.read() as connection:
        is_fenced = "moved_to" in read_values(connection)
    if not is_fenced or schema.read_version(target) != schema.HEAD:
        return False
    with target.read() as connection:
        return read_values(connection).get("arriving") == instance


def _prepare(target: Database, instance: str) -> None:
    """Tables without rows, or a sentence about what is in the way."""
    schema.upgrade(target)
    with target.write("move.prepare") as connection:
        values = read_values(connection)
        if values.get("arriving") != instance:
            _require_empty(connection, values, target.label)
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
        write_value(connection, "arriving", instance)


def _require_empty(connection: Connection, values: Mapping[str, str], label: str) -> None:
    tables = [table for table in metadata.sorted_tables if table.name != "meta"]
    full = [table.name for table in tables if _count(connection, table)]
    if full or not values.keys() <= _MADE_BY_LOOKING:
        held = ", ".join(full[:5]) or "meta"
        raise StorageError(f"{label} holds something already ({held}); name an empty database")


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _copy(source: Connection, target: Database, instance: str, progress: Progress) -> None:
    with target.write("move.copy") as connection:
        for table in list_tables():
            if table.name == "meta":
                connection.execute(table.delete())
            _copy_table(source, connection, table, progress)
        reset_counts(connection)
        write_value(connection, "arriving", instance)


def _copy_table(source: Connection, target: Connection, table: Table, progress: Progress) -> None:
    """Copy, read back, compare. Raises StorageError."""
    ours, theirs, total = Digest(), Digest(), _count(source, table)
    raw: Any = target.connection.driver_connection
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    with raw.cursor() as cursor, cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
        for row in read_rows(source, table):
            ours.add(row)
            copy.write_row(_typed(table, row))
            if ours.count % _MANY == 0:
                progress(table.name, ours.count, total)
    for row in read_rows(target, table):
        theirs.add(row)
    if ours != theirs or ours.count != total:
        raise StorageError(
            f"{table.name}: {ours.count} rows there and {theirs.count} here differ; all was taken back"
        )
    progress(table.name, ours.count, total)


def _typed(table: Table, row: Sequence[Any]) -> list[Any]:
    return [
        bool(value) if value is not None and isinstance(column.type, Boolean) else value
        for column, value in zip(table.columns, row, strict=True)
    ]


def read_rows(connection: Connection, table: Table) -> Iterator[tuple[Any, ...]]:
    """Every row as plain numbers and texts, the same for both databases; never more than some thousands at once."""
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    sentence = f'SELECT {names} FROM "{table.name}"'  # noqa: S608 - our own names
    raw: Any = connection.connection.driver_connection
    is_server = connection.dialect.name == "postgresql"
    with contextlib.closing(raw.cursor("move") if is_server else raw.cursor()) as cursor:
        cursor.execute(sentence)
        while rows := cursor.fetchmany(_MANY):
            for row in rows:
                yield tuple(int(value) if isinstance(value, bool) else value for value in row)


class Digest:
    """Rows and their contents in any order. Two that are equal hold the same rows."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, row: Iterable[Any]) -> None:
        mark = hashlib.blake2b(repr(row).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        self._sum = (self._sum + int.from_bytes(mark, "big")) % 2**128
        self.count += 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Digest) and (self.count, self._sum) == (other.count, other._sum)

    __hash__ = None  # type: ignore[assignment]


def _finish(source: Database, target: Database, state_dir: Path, instance: str) -> Moved:
    """The file first: whatever happens between, there is never a moment in which both would send."""
    with source.write("move.leave") as connection:
        write_value(connection, "moved_to", target.label)
    with target.write("move.arrive") as connection:
        fence = raise_fence(connection, find_home(target, connection))
        forget_value(connection, "arriving")
        rows = {table.name: _count(connection, table) for table in list_tables()}
    reach("move.done")
    write_mark(state_dir, Mark(instance, fence))
    return Moved(rows, target.label)
