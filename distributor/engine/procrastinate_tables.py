"""The queue's own tables: made when they are missing, brought up to the installed library.

They hold wake-ups only; whoever loses them loses a few seconds.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import procrastinate
from procrastinate.exceptions import ConnectorException
from procrastinate.schema import SchemaManager
from psycopg_pool import PoolTimeout

from distributor.core.errors import StorageError

#: Many processes start at once; one makes the tables.
_LOCK = "SELECT pg_advisory_xact_lock(7235421872736)"
_FIND = (
    "SELECT to_regclass('procrastinate_jobs')::text AS found, "
    "obj_description(to_regclass('procrastinate_jobs')) AS version"
)


def ensure_tables(url: str) -> None:
    """Raises StorageError when the database cannot be reached or refuses."""
    connector = procrastinate.SyncPsycopgConnector(conninfo=url, min_size=1, max_size=1, timeout=10.0)
    try:
        connector.open()
        found = connector.execute_query_one(_FIND)
        if found["version"] != procrastinate.__version__:
            with suppress(ConnectorException):  # another process may have been faster; looked at next
                connector.execute_query(_write_script(found))
            if connector.execute_query_one(_FIND)["version"] != procrastinate.__version__:
                connector.execute_query(_write_script(connector.execute_query_one(_FIND)))
    except (ConnectorException, PoolTimeout) as error:
        raise StorageError(f"the queue's tables cannot be made: {error.__cause__ or error}") from error
    finally:
        connector.close()


def _write_script(found: dict[str, Any]) -> Any:
    """Everything in one transaction."""
    version = procrastinate.__version__
    parts = [_LOCK, *(_list_newer(found["version"]) if found["found"] else [SchemaManager.get_schema()])]
    parts.append(f"COMMENT ON TABLE procrastinate_jobs IS '{version}'")
    return ";\n".join(parts).replace("%", "%%")


def _list_newer(version: str | None) -> list[str]:
    """The library's migrations after this version; files are named 03.04.00_01_pre_what.sql. Without a version the
    tables were made by hand, from the installed library."""
    if not version:
        return []
    after = _sort_key(version)
    files = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    return [path.read_text("utf-8") for path in files if _sort_key(path.name.partition("_")[0]) > after]


def _sort_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
