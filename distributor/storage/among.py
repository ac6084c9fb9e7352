"""Many keys at once, said the same way for any number, and looked up by index whatever the planner thinks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Connection, Text, any_, cast, func, literal, select
from sqlalchemy.types import NullType


def is_among(connection: Connection, column: Any, values: Sequence[int] | Sequence[str]) -> ColumnElement[bool]:
    """`column IN (values)` with all of them in one parameter: a thousand parameters cost more than their query."""
    if connection.dialect.name == "sqlite":
        listed = func.json_each(json.dumps(values)).table_valued("value")
        return column.in_(select(listed.c.value))  # type: ignore[no-any-return]
    kind = Text() if isinstance(column.type, Text) else column.type
    # Without a type of its own, so that the server reads it as what it is cast to.
    array = cast(literal(_write_array(values), NullType()), ARRAY(kind))
    return column == any_(array)  # type: ignore[no-any-return]


def _write_array(values: Sequence[int] | Sequence[str]) -> str:
    """An array as PostgreSQL reads it: the driver takes ten times as long to write a thousand keys one by one."""
    quoted = [str(value).replace("\\", "\\\\").replace('"', '\\"') for value in values]
    return '{"' + '","'.join(quoted) + '"}' if quoted else "{}"


def prefer_indexes(connection: Connection) -> None:
    """For this transaction. PostgreSQL reads a table of millions when it believes that the one row it looks for
    comes soon; but in a table of deliveries what is still open stands at the end."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
