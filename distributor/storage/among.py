"""Many keys at once, said the same way for any number, and looked up by index whatever the planner thinks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Connection, Text, any_, func, literal, select


def is_among(connection: Connection, column: Any, values: Sequence[int] | Sequence[str]) -> ColumnElement[bool]:
    """`column IN (values)` with all of them in one parameter: a thousand parameters cost more than their query."""
    if connection.dialect.name == "sqlite":
        listed = func.json_each(json.dumps(values)).table_valued("value")
        return column.in_(select(listed.c.value))  # type: ignore[no-any-return]
    kind = Text() if isinstance(column.type, Text) else column.type
    return column == any_(literal(list(values), ARRAY(kind)))  # type: ignore[no-any-return]


def prefer_indexes(connection: Connection) -> None:
    """For this transaction. PostgreSQL reads a table of millions when it believes that the one row it looks for
    comes soon; but in a table of deliveries what is still open stands at the end."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
