"""What SQLAlchemy has compiled, kept from one test's database to the next.

An engine compiles each statement for itself when it meets it, which is a fifth of what tests over databases cost.
The key of its cache is the dialect, so the dialect is shared with the cache: it knows only what all databases of
one server, or all SQLite files, have in common.
"""

from __future__ import annotations

from typing import Any

from distributor.storage.database import Database

_kept: dict[tuple[str, bool], tuple[Any, Any]] = {}


def share_compiled(database: Database) -> None:
    """Let this database use what earlier ones of its kind have compiled."""
    for name in ("_writer", "_reader"):
        engine: Any = getattr(database, name)
        kept = _kept.setdefault((name, database.is_sqlite), (engine.dialect, engine._compiled_cache))
        engine.dialect, engine._compiled_cache = kept
