"""Where an import waits to be sorted: a file without a name, gone with its process, never in the product's own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from itertools import chain, islice
from itertools import count as count_up
from operator import itemgetter
from typing import Any

from distributor.core.errors import StorageError
from distributor.core.subscriber import ImportCount, NewSubscriber
from distributor.storage.database import Database

#: The connection that has the file, for as long as nobody else may use it.
Drive = Callable[[], AbstractContextManager[sqlite3.Connection]]
_numbers = count_up(1)

# Four times the usual size: nothing is ever looked up in these pages, they are written and read in their order.
_PAGES = "PRAGMA {schema}.page_size = 16384"
_MAKE = "CREATE TABLE {schema}.person (address TEXT, key TEXT, name TEXT, consent TEXT)"
_PUT = "INSERT INTO {schema}.person VALUES "
# Rows that one statement puts: with one each, most of the time goes into saying it.
_WIDTH = 50
# Readers that are put together: few enough to be in the processor's cache still, and for Python's collector of
# garbage not to look through them.
_PART = 500
# Sorted rows go into the index of addresses side by side; unsorted, a million of them write every page of it a
# hundred times.
_SORT = (
    "CREATE TABLE {schema}.sorted AS SELECT address, key, name, consent FROM {schema}.person ORDER BY key, rowid"
)
_COUNT = "SELECT count(*) FROM {schema}.sorted"
_LIST = "SELECT address, key, name, consent FROM {schema}.sorted WHERE rowid > ? AND rowid <= ? ORDER BY rowid"


class Staging:
    """The people of one import by key, equal keys in the order of lines. `schema` is what SQL calls their file."""

    def __init__(self, schema: str, drive: Drive) -> None:
        self.schema = schema
        self.size = 0
        self._drive = drive
        self._say(_PAGES)
        self._say(_MAKE)

    def take_in(self, people: Iterable[NewSubscriber], chunk: int, count: ImportCount) -> Iterator[None]:
        """Read them to their end; yields after each chunk. Raises StorageError where there is no room."""
        source = iter(people)
        while size := sum(self._put(part) for part in _split(islice(source, chunk))):
            count.read += size
            yield
        with _explain_room():
            self._say(_SORT)
        ((self.size,),) = self._say(_COUNT)

    def _put(self, part: list[NewSubscriber]) -> int:
        part.sort(key=itemgetter(1))
        put, row = _PUT.format(schema=self.schema), "(?, ?, ?, ?)"
        whole = len(part) // _WIDTH * _WIDTH
        values = chain.from_iterable(part[:whole])
        with self._drive() as driver, _explain_room():
            driver.execute("BEGIN")
            try:
                driver.executemany(put + ", ".join([row] * _WIDTH), zip(*[values] * (4 * _WIDTH), strict=True))
                driver.executemany(put + row, part[whole:])
                driver.execute("COMMIT")
            except BaseException:
                driver.rollback()
                raise
        return len(part)

    def list_rows(self, after: int, last: int) -> list[tuple[str, str, str, str]]:
        """Address, key, name and consent of the people with these numbers, from 1 in the order of keys."""
        return self._say(_LIST, after, last)

    def _say(self, sentence: str, *values: int) -> list[Any]:
        with self._drive() as driver:
            return driver.execute(sentence.format(schema=self.schema), values).fetchall()


def _split(people: Iterator[NewSubscriber]) -> Iterator[list[NewSubscriber]]:
    while part := list(islice(people, _PART)):
        yield part


@contextmanager
def open_staging(database: Database) -> Iterator[Staging]:
    """On SQLite beside the writing connection, so that a chunk of people is one statement."""
    if not database.is_sqlite:
        with closing(sqlite3.connect("", isolation_level=None)) as driver:
            yield Staging("main", lambda: nullcontext(driver))
        return
    schema = f"import_{next(_numbers)}"
    with database.drive() as driver:
        driver.execute(f"ATTACH '' AS {schema}")
    try:
        yield Staging(schema, database.drive)
    finally:
        with database.drive() as driver, suppress(sqlite3.OperationalError):
            driver.execute(f"DETACH {schema}")


@contextmanager
def _explain_room() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StorageError(
            f"the folder for temporary files cannot hold the import ({error}); free some space"
        ) from None
