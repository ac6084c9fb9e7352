"""INSERT that leaves rows alone whose key is taken: what makes doing a step twice the same as once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection


def insert_new(connection: Connection, table: Any) -> Any:
    """An INSERT that leaves rows alone whose key is taken already."""
    # Each dialect is imported where it is spoken: the other one would cost every start a twentieth of its time.
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table).on_conflict_do_nothing()
