"""db restore, merge-journal, adopt, hold: after a backup was restored, or when a database may be a copy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distributor.cli.output import DEFAULT_CONFIG, Config, command, deciding, fail, load, refuse_usage, tell, who

if TYPE_CHECKING:
    from distributor.settings import Settings
    from distributor.storage.adoption import Waiting
    from distributor.storage.database import Database
    from distributor.storage.merging import Merged

Others = Annotated[
    list[Path] | None,
    typer.Option("--record", help="The folder sent of another node's state_dir, or a copy of it; may be repeated."),
]


def register(group: typer.Typer) -> None:
    group.command("restore")(restore)
    group.command("merge-journal")(merge_journal)
    group.command("adopt")(adopt)
    group.command("hold")(hold)


@contextlib.contextmanager
def database_of(settings: Settings) -> Iterator[Database]:
    from distributor.storage.database import Database

    database = Database(settings.database_url.get_secret_value())
    try:
        yield database
    finally:
        database.close()


@command
def restore(
    backup: Annotated[Path, typer.Argument(help="The copy to put in the database's place.")],
    record: Others = None,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Put a backup in the place of the database, which is kept aside. Stop the program first; nothing is sent
    afterwards before you have typed `db adopt`.

    Example: distributor db restore var/backups/distributor-20261123T141500Z.db
    """
    from distributor.app import read_clock
    from distributor.storage.restore import restore_sqlite

    settings = load(config)
    with database_of(settings) as database:
        done = restore_sqlite(database, backup, settings.state_dir, record or (), read_clock())
    if done.aside is not None:
        tell(f"the database that was there is kept in {done.aside}")
    _tell_merged(done.merged)


@command
def merge_journal(record: Others = None, config: Config = DEFAULT_CONFIG) -> None:
    """Tell a database that was restored by pg_restore, or by hand, what went out after it was copied. Stop all
    nodes first, and name the records of the others; nothing is sent before you have typed `db adopt`.

    Example: distributor db merge-journal --record /mnt/node2/sent --record /mnt/node3/sent
    """
    from distributor.app import read_clock
    from distributor.storage.restore import merge_journal as merge

    settings = load(config)
    with database_of(settings) as database:
        merged = merge(database, settings.state_dir, record or (), read_clock())
    _tell_merged(merged)


def _tell_merged(merged: Merged) -> None:
    typer.echo(f"proved sent by the send record  {merged.sent}")
    typer.echo(f"proved failed                   {merged.failed}")
    typer.echo(f"unknown, look at the channel    {merged.unknown}")
    typer.echo(f"held, not known to have gone    {merged.held}")
    typer.echo(f"editions begun after the copy   {merged.later_editions}")
    typer.echo(f"editions held without words     {merged.held_editions}")
    typer.echo(f"readers who have left since     {merged.left}")
    if merged.lost:
        tell(f"of {len(merged.lost)} editions the record has only a part; compare with the channels")
    tell("start the program, look at what waits (status, editions, deliveries), then type: distributor db adopt")


@command
def adopt(
    release: Annotated[bool, typer.Option("--release", help="Send what waits.")] = False,
    hold: Annotated[bool, typer.Option("--hold", help="Keep it held, edition by edition.")] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Never send what waits.")] = False,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Say that this database, here, is the one that sends. Without an option it only shows what waits.

    Make sure that no other copy of it runs: they do not see each other.

    Example: distributor db adopt --hold
    """
    from distributor.storage import adoption

    choices: dict[adoption.Choice, bool] = {"release": release, "hold": hold, "drop": drop}
    chosen = [choice for choice, is_on in choices.items() if is_on]
    if len(chosen) > 1:
        raise refuse_usage("choose one of --release, --hold and --drop")
    with deciding(config) as app:
        database, state_dir, now = app.storage.database, app.state_dir, app.clock()
        if adoption.is_adopted(database, state_dir, now):
            tell("this database sends from here; there is nothing to decide")
            return
        if not chosen:
            _tell_waiting(adoption.count_waiting(database))
            raise fail("type it again with --release, --hold or --drop")
        waiting = adoption.adopt(database, state_dir, chosen[0], who(), now)
    done = {"release": "released", "hold": "held", "drop": "dropped"}[chosen[0]]
    tell(f"adopted; {done}: {waiting.total} deliveries, {waiting.total_editions} editions without words")
    if waiting.unknown:
        tell(f"{waiting.unknown} are unknown: distributor deliveries --state unknown")


def _tell_waiting(waiting: Waiting) -> None:
    for name in sorted({*waiting.deliveries, *waiting.editions}):
        deliveries, editions = waiting.deliveries.get(name, 0), waiting.editions.get(name, 0)
        typer.echo(f"{name:20} {deliveries} deliveries wait, {editions} editions without words")
    typer.echo(f"{'':20} {waiting.total} deliveries, {waiting.total_editions} editions, {waiting.unknown} unknown")


@command
def hold(
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "by hand",
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Put the database into safe mode: nothing more is sent before `db adopt`. For a machine that was rolled back
    to a snapshot, before its program starts; nobody can tell that from a power cut.

    Example: distributor db hold --reason "snapshot of 08:00"
    """
    from distributor.app import read_clock
    from distributor.storage import schema
    from distributor.storage.instance import enter_safe_mode

    with database_of(load(config)) as database:
        schema.require_current(database)
        sentence = f"{who()} put it into safe mode: {reason}; look at what waits, then type: distributor db adopt"
        tell(enter_safe_mode(database, sentence, read_clock()))
