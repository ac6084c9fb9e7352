"""What is said for each batch, in SQL: SQLAlchemy takes longer to build a sentence than a database to do it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection

_VALUE = re.compile(r"(?<!:):([a-z_]+)")
_AMONG = re.compile(r"AMONG :([a-z_]+)")


def ask(connection: Connection, sentence: str, values: Mapping[str, object]) -> list[Any]:
    """The rows of a query or of what RETURNING says, as plain tuples.

    Values are texts, numbers or None, and stand as `:name`; `AMONG :name` is one of many numbers (`write_numbers`).
    """
    said = connection.exec_driver_sql(_translate(sentence, connection.dialect.name == "sqlite"), dict(values))
    rows = list(said.cursor.fetchall())
    said.close()
    return rows


def ask_together(
    connection: Connection, sentence: str, columns: Sequence[str], values: Mapping[str, object]
) -> list[Any]:
    """As `ask`, these columns (texts, whole numbers) of a query for many rows, on SQLite in one piece: its driver
    lets go of Python's lock at each row, and the thread that sends takes it and makes this one wait."""
    if connection.dialect.name != "sqlite":
        return ask(connection, sentence, values)
    whole = f"SELECT {', '.join(map('json_group_array({})'.format, columns))} FROM ({sentence})"  # noqa: S608
    (row,) = ask(connection, whole, values)
    return list(zip(*map(json.loads, row), strict=True))


def say(connection: Connection, sentence: str, values: Mapping[str, object]) -> int:
    """How many rows a statement changed; its words are those of `ask`."""
    said = connection.exec_driver_sql(_translate(sentence, connection.dialect.name == "sqlite"), dict(values))
    return said.rowcount


def write_numbers(connection: Connection, numbers: Sequence[int]) -> str:
    """Many numbers as one value: a thousand parameters cost more than their query."""
    written = str(list(numbers))
    return written if connection.dialect.name == "sqlite" else "{" + written[1:-1] + "}"


@lru_cache
def _translate(sentence: str, is_sqlite: bool) -> str:
    """In the words of the database at hand."""
    if is_sqlite:
        return _AMONG.sub(r"IN (SELECT value FROM json_each(:\1))", sentence)
    return _VALUE.sub(r"%(\1)s", _AMONG.sub(r"= ANY(CAST(:\1 AS bigint[]))", sentence))
