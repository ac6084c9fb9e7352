"""The product's database and folder, saved once and put back before each run."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import time
from collections import namedtuple
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

_numbers = itertools.count(1)
#: Tenths of a second that a question waits for a server that is away.
TRIES = 300


class Keeping(Protocol):
    """What a run changes. `save` and `restore` are called while the product does not run."""

    kind: str
    url: str

    def save(self) -> None: ...
    def restore(self) -> None: ...
    def empty(self) -> None: ...
    def ask(self, sentence: str) -> list[Any]: ...
    def tell(self, sentence: str) -> None: ...
    def close(self) -> None: ...


class SqliteKeeping:
    """Everything is in one folder."""

    kind = "SQLite"

    def __init__(self, var: Path) -> None:
        self._var = var
        self._saved = var.with_name(f"{var.name}-saved")
        self.url = f"sqlite:///{var / 'distributor.db'}"

    def save(self) -> None:
        shutil.rmtree(self._saved, ignore_errors=True)
        shutil.copytree(self._var, self._saved)

    def restore(self) -> None:
        shutil.rmtree(self._var, ignore_errors=True)
        shutil.copytree(self._saved, self._var)

    def empty(self) -> None:
        """As on a new machine: no database, no journals."""
        shutil.rmtree(self._var)
        self._var.mkdir()

    def ask(self, sentence: str) -> list[Any]:
        """A connection that comes and goes, as a command beside the running product has it."""
        with closing(sqlite3.connect(self._var / "distributor.db", timeout=10.0)) as connection:
            cursor = connection.execute(sentence)
            row = namedtuple("Row", [column[0] for column in cursor.description], rename=True)  # type: ignore[misc]
            return [row(*values) for values in cursor.fetchall()]

    def tell(self, sentence: str) -> None:
        with closing(sqlite3.connect(self._var / "distributor.db", timeout=10.0)) as connection, connection:
            connection.execute(sentence)

    def close(self) -> None:
        return


class PostgresKeeping(SqliteKeeping):
    """The database is on a server that may create databases; the journals are in the folder."""

    kind = "PostgreSQL"

    def __init__(self, var: Path, server_url: str) -> None:
        import psycopg

        super().__init__(var)
        self._server_url = server_url
        self._name = f"chaos_{os.getpid()}_{next(_numbers)}"
        self._connection = psycopg.connect(server_url, autocommit=True)
        self._asking: Any = None
        self.url = urlsplit(server_url)._replace(path=f"/{self._name}").geturl()
        self._execute(f"CREATE DATABASE {self._name} STRATEGY file_copy")

    def save(self) -> None:
        super().save()
        self._hang_up()
        self._execute(f"DROP DATABASE IF EXISTS {self._name}_saved WITH (FORCE)")
        self._copy(self._name, f"{self._name}_saved")

    def restore(self) -> None:
        super().restore()
        self._hang_up()
        self._execute(f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)")
        self._copy(f"{self._name}_saved", self._name)

    def empty(self) -> None:
        super().empty()
        self._hang_up()
        self._execute(f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)")
        self._execute(f"CREATE DATABASE {self._name} STRATEGY file_copy")

    def ask(self, sentence: str) -> list[Any]:
        import psycopg
        from psycopg.rows import namedtuple_row

        for is_last in (*[False] * TRIES, True):
            try:
                with self._connected().cursor(row_factory=namedtuple_row) as cursor:
                    return list(cursor.execute(sentence.encode()).fetchall())
            except psycopg.OperationalError:
                # The server is killed, too.
                self._hang_up()
                if is_last:
                    raise
                time.sleep(0.1)
        raise AssertionError

    def tell(self, sentence: str) -> None:
        self._connected().execute(sentence.encode())

    def _connected(self) -> Any:
        import psycopg

        if self._asking is None:
            self._asking = psycopg.connect(self.url, autocommit=True)
        return self._asking

    def _hang_up(self) -> None:
        if self._asking is not None:
            self._asking.close()
            self._asking = None

    def close(self) -> None:
        self._hang_up()
        for name in (self._name, f"{self._name}_saved"):
            self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self._connection.close()

    def _copy(self, source: str, target: str) -> None:
        self._execute(f"CREATE DATABASE {target} TEMPLATE {source} STRATEGY file_copy")

    def _execute(self, sentence: str) -> None:
        import psycopg

        if self._connection.closed:
            self._connection = psycopg.connect(self._server_url, autocommit=True)
        try:
            self._connection.execute(sentence.encode())
        except psycopg.OperationalError:
            self._connection = psycopg.connect(self._server_url, autocommit=True)
            self._connection.execute(sentence.encode())


def open_keeping(kind: str, var: Path, server_url: str) -> Keeping:
    """`kind` is "SQLite" or "PostgreSQL"."""
    var.mkdir(parents=True, exist_ok=True)
    return SqliteKeeping(var) if kind == "SQLite" else PostgresKeeping(var, server_url)
