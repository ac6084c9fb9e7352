"""What SQLAlchemy has compiled, kept from one test's database to the next.

An engine compiles each statement for itself when it meets it, which is a quarter of what tests over databases cost.
The key of its cache is the dialect, so the dialect is shared with the cache: it knows only what all databases of
one server, or all SQLite files, have in common.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, event

_kept: dict[type, tuple[Any, Any]] = {}


def keep_compiled() -> None:
    """From now on, for every engine of this process."""
    event.listen(Engine, "engine_connect", _share)


def _share(connection: Connection) -> None:
    engine: Any = connection.engine
    kept = _kept.setdefault(type(engine.dialect), (engine.dialect, engine._compiled_cache))
    if engine.dialect is not kept[0]:
        engine.dialect, engine._compiled_cache = kept
        connection.dialect = engine.dialect
