"""The product's database and folder, saved once and put back before each run."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

_numbers = itertools.count(1)


class Keeping(Protocol):
    """What a run changes. `save` and `restore` are called while the product does not run."""

    kind: str
    url: str

    def save(self) -> None: ...
    def restore(self) -> None: ...
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

    def close(self) -> None:
        return


class PostgresKeeping(SqliteKeeping):
    """The database is on a server that may create databases; the journals are in the folder."""

    kind = "PostgreSQL"

    def __init__(self, var: Path, server_url: str) -> None:
        import psycopg

        super().__init__(var)
        self._name = f"chaos_{os.getpid()}_{next(_numbers)}"
        self._connection = psycopg.connect(server_url, autocommit=True)
        self.url = urlsplit(server_url)._replace(path=f"/{self._name}").geturl()
        self._execute(f"CREATE DATABASE {self._name} STRATEGY file_copy")

    def save(self) -> None:
        super().save()
        self._execute(f"DROP DATABASE IF EXISTS {self._name}_saved WITH (FORCE)")
        self._copy(self._name, f"{self._name}_saved")

    def restore(self) -> None:
        super().restore()
        self._execute(f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)")
        self._copy(f"{self._name}_saved", self._name)

    def close(self) -> None:
        for name in (self._name, f"{self._name}_saved"):
            self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self._connection.close()

    def _copy(self, source: str, target: str) -> None:
        self._execute(f"CREATE DATABASE {target} TEMPLATE {source} STRATEGY file_copy")

    def _execute(self, sentence: str) -> None:
        self._connection.execute(sentence.encode())


def open_keeping(kind: str, var: Path, server_url: str) -> Keeping:
    """`kind` is "SQLite" or "PostgreSQL"."""
    var.mkdir(parents=True, exist_ok=True)
    return SqliteKeeping(var) if kind == "SQLite" else PostgresKeeping(var, server_url)
