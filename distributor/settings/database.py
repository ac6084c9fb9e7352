"""Where everything is kept, and how often it is copied."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from distributor.settings.model import Duration, Section

_LEAST_GAP = timedelta(minutes=5)


def _check_database(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    if url.startswith(("postgresql://", "postgresql+psycopg://")):
        return value
    if url.startswith("postgres://"):
        raise ValueError("begins with postgres://; write postgresql://")
    if not url.startswith("sqlite:///") or len(url) <= len("sqlite:///"):
        raise ValueError('must be "sqlite:///path/to/file.db" or "postgresql://user:password@host/database"')
    return value


def _check_gap(value: timedelta) -> timedelta:
    if value < _LEAST_GAP:
        raise ValueError("must be at least 5m")
    return value


class DatabaseSettings(Section):
    """Where everything is kept."""

    url: Annotated[SecretStr, AfterValidator(_check_database)] | None = Field(
        default=None,
        description='"sqlite:///path/to/file.db" or "postgresql://user:password@host/database". '
        "Default: the SQLite file distributor.db in state_dir.",
    )
    backup_every: Annotated[Duration, AfterValidator(_check_gap)] = Field(
        default=timedelta(hours=1),
        description="How often a running program copies the SQLite file to the folder backups beside it. "
        "PostgreSQL is backed up by its own tools.",
    )
    backups_kept: int = Field(
        default=24, ge=0, le=10_000, description="How many of these copies are kept; 0 makes none."
    )
