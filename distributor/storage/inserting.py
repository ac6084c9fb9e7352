"""INSERT that leaves rows alone whose key is taken: what makes doing a step twice the same as once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(connection: Connection, table: Any) -> Any:
    """An INSERT that leaves rows alone whose key is taken already."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(table).on_conflict_do_nothing()
