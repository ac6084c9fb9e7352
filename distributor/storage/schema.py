"""The version of the database: read, compared, raised."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from distributor.core.errors import StorageError
from distributor.storage.database import Database

if TYPE_CHECKING:
    from alembic.config import Config

#: The newest migration this program knows. A test compares it with the folder of migrations.
HEAD = "0003"
KNOWN = ("0001", "0002", "0003")

#: What the file of a backup is called besides the database's name while it takes the database's place.
RESTORING = ".restoring"


def read_version(database: Database) -> str | None:
    """The migration the database stands at; None when it is empty."""
    with database.read() as connection:
        return _version(connection)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def require_current(database: Database) -> None:
    """Stop with a sentence unless the database is what this program understands, and the one to work with."""
    refuse_half_restored(database)
    version = read_version(database)
    if version is None:
        raise StorageError(f"{database.label}: the database is empty; run: distributor db upgrade")
    if version not in KNOWN:
        raise StorageError(
            f"{database.label}: the database (version {version}) is newer than this program (version {HEAD}); "
            "install the newer program, nothing was changed"
        )
    if version != HEAD:
        raise StorageError(
            f"{database.label}: the database is at version {version}, this program needs {HEAD}; "
            "run: distributor db upgrade"
        )
    _refuse_moved(database)


def refuse_half_restored(database: Database) -> None:
    """Stop when a restore was killed while the files changed places. Asked before a database is opened or made."""
    waiting = Path(f"{database.path}{RESTORING}")
    if database.is_sqlite and waiting.exists():
        raise StorageError(
            f"{database.label}: a restore was broken off; type the same `distributor db restore FILE` again"
        )


def _refuse_moved(database: Database) -> None:
    rows = dict(database.look("SELECT key, value FROM meta WHERE key IN ('moved_to', 'arriving')"))
    if "moved_to" in rows:
        raise StorageError(
            f"{database.label}: this database has moved to {rows['moved_to']}; name that one in database.url. "
            "To go back to a copy of this one, see docs/operations.md, Moving"
        )
    if "arriving" in rows:
        raise StorageError(
            f"{database.label}: the move into this database was broken off; type `distributor db move` again, with "
            "database.url still naming the old one"
        )


def upgrade(database: Database) -> tuple[str | None, str]:
    """Bring the database to HEAD in one transaction; returns (before, after). A newer database is refused."""
    with database.write("schema.upgrade") as connection:
        before = _version(connection)
        if before is not None and before not in KNOWN:
            raise StorageError(
                f"{database.label}: the database (version {before}) is newer than this program (version {HEAD}); "
                "install the newer program, nothing was changed"
            )
        if before != HEAD:
            _run_migrations(connection)
    return before, HEAD


def _run_migrations(connection: Connection) -> None:
    from alembic import command

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def alembic_config() -> Config:
    """Alembic pointed at our migrations; the connection is put into `attributes` by the caller."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config
