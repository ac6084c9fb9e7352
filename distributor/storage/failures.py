"""What a database's errors mean, in an operator's words."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, OperationalError

from distributor.core.errors import StorageError


@contextmanager
def explain(label: str) -> Iterator[None]:
    """What the database raises within becomes StorageError with what to do; our own mistakes stay as they are."""
    try:
        yield
    except _list_database_errors() as error:
        sentence = explain_failure(error)
        if sentence is None:
            raise
        raise StorageError(f"{label}: {sentence}") from error


def _list_database_errors() -> tuple[type[Exception], ...]:
    """What SQLAlchemy raises, and the drivers spoken to directly; PostgreSQL's only where it is in use."""
    psycopg = sys.modules.get("psycopg")
    return (DBAPIError, sqlite3.Error, psycopg.Error) if psycopg is not None else (DBAPIError, sqlite3.Error)


def explain_failure(error: Exception) -> str | None:
    """What an operator should do about a database's error; None when it is a mistake of ours and must be seen."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlstate", None) or ""
    for begin, sentence in _CODES:
        if code.startswith(begin):
            return sentence
    text = str(cause).lower()
    for mark, sentence in _SENTENCES:
        if mark in text:
            return sentence
    is_vague = isinstance(error, OperationalError) or type(error).__name__ == "OperationalError"
    is_away = is_vague and not code and not isinstance(cause, sqlite3.Error)
    is_lost = is_away or (isinstance(error, DBAPIError) and error.connection_invalidated)
    return "the database server cannot be reached" if is_lost else None


_BUSY = "the database is busy with other work; try again, nothing was changed"
#: Beginnings of PostgreSQL's error codes (its manual, appendix A): unlike its sentences they have one language.
_CODES = (
    ("55P03", _BUSY),
    ("40", _BUSY),
    ("57014", _BUSY),
    ("57P", "the database server is stopping or starting; try again, nothing was changed"),
    ("53100", "the database server's disk is full; free some space, nothing was changed"),
    ("53", "the database server has no connections or memory left; nothing was changed"),
    ("58", "the disk of the database server answers with errors; nothing was changed"),
    ("25006", "the database server takes no changes; it is a copy, or set to read only"),
    ("42501", "the database user may not do this; give it the rights on these tables"),
)

_SENTENCES = (
    (
        "database is locked",
        "the database is locked by another program; close it or wait, nothing was changed",
    ),
    ("database or disk is full", "the disk is full; free some space, nothing was changed"),
    ("no space left", "the disk is full; free some space, nothing was changed"),
    ("attempt to write a readonly", "the database file may not be written; check its owner and permissions"),
    (
        "unable to open database file",
        "the database file cannot be opened; check the folder and its permissions",
    ),
    ("file is not a database", "this file is not a database; restore a backup or choose another file"),
    ("malformed", "the database file is damaged; restore the latest backup"),
    ("disk i/o error", "the disk answers with errors; nothing was changed"),
    ("connection refused", "the database server cannot be reached; is it running?"),
    ("connection failed", "the database server cannot be reached; check address, user and password"),
    ("could not translate host", "the database server's name cannot be resolved"),
    ("password authentication failed", "the database server refused the user or password"),
)
