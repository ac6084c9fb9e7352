"""INSERT that leaves rows alone whose key is taken: what makes doing a step twice the same as once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection


def insert_new(connection: Connection, table: Any) -> Any:
    """An INSERT that leaves rows alone whose key is taken already."""
    return say_insert(connection, table).on_conflict_do_nothing()


def say_insert(connection: Connection, table: Any) -> Any:
    """An INSERT in the words of the database at hand, which can say what happens where a key is taken."""
    # Each dialect is imported where it is spoken: the other one would cost every start a twentieth of its time.
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)
