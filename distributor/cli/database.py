"""db upgrade, db backup, db check, db move."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from distributor.cli import restoring
from distributor.cli.output import DEFAULT_CONFIG, Config, Json, command, fail, load, refuse_usage, show_json, tell


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Look after the database.", no_args_is_help=True)
    group.command("upgrade")(upgrade)
    group.command("backup")(backup)
    group.command("check")(check)
    group.command("move")(move)
    restoring.register(group)
    app.add_typer(group, name="db")


@command
def upgrade(config: Config = DEFAULT_CONFIG) -> None:
    """Create the tables, or bring them to this program's version. An SQLite file is copied first.

    Example: distributor db upgrade
    """
    from distributor.app import read_clock
    from distributor.storage.backup import upgrade_with_backup
    from distributor.storage.database import Database

    database = Database(load(config).database_url.get_secret_value())
    try:
        before, after, copy = upgrade_with_backup(database, read_clock())
    finally:
        database.close()
    if copy is not None:
        tell(f"copied the database to {copy}")
    tell(f"{database.label}: " + ("is current" if before == after else f"{before or 'empty'} -> {after}"))


@command
def backup(
    target: Annotated[Path | None, typer.Argument(help="Where to write it; default: named by the time.")] = None,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Copy the database while it is in use, and verify the copy.

    Example: distributor db backup /backups/today.db
    """
    from distributor.app import read_clock
    from distributor.storage.backup import backup_sqlite, name_backup
    from distributor.storage.database import Database

    database = Database(load(config).database_url.get_secret_value())
    try:
        typer.echo(str(backup_sqlite(database, target or name_backup(database, read_clock()))))
    finally:
        database.close()


@command
def check(config: Config = DEFAULT_CONFIG, as_json: Json = False) -> None:
    """Look the database over without changing it. Exit code 1 when something is wrong.

    Example: distributor db check --json
    """
    from distributor.app import read_clock
    from distributor.storage.checking import check as check_database

    settings = load(config)
    with restoring.database_of(settings) as database:
        result = check_database(database, settings.state_dir, read_clock())
    if as_json:
        names = ("version", "rows", "problems", "notes")
        show_json({name: getattr(result, name) for name in names})
    else:
        for name, count in result.rows.items():
            typer.echo(f"{name:16} {count}")
        for note in result.notes:
            tell(note)
    if result.problems:
        raise fail("\n".join(result.problems))
    tell("the database is sound")


@command
def move(
    target: Annotated[str, typer.Argument(help="postgresql://user:password@host/database, empty.")],
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Move from the SQLite file to PostgreSQL: everything is copied and compared, then the file sends no more. Stop
    the program first. When it fails the file is in charge, and the same command tries again.

    Example: distributor db move postgresql://desk:secret@db.internal/distributor
    """
    from distributor.storage.database import Database
    from distributor.storage.move import move as move_database

    settings = load(config)
    if not target.startswith(("postgresql://", "postgresql+psycopg://")):
        raise refuse_usage("name a PostgreSQL database: postgresql://user:password@host/database")
    with restoring.database_of(settings) as old, contextlib.closing(Database(target)) as new:
        moved = move_database(old, new, settings.state_dir, _tell_progress)
    tell(f"moved: {sum(moved.rows.values())} rows of {len(moved.rows)} tables, all compared")
    tell(f"now name it in {config} as database.url and start the program; {settings.state_dir} stays as it is")


def _tell_progress(table: str, done: int, total: int) -> None:
    tell(f"{table:16} {done:>12,} of {total:,}")
