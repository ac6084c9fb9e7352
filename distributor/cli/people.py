"""subscribers import, export, suppress, lists: who may be written to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from distributor.cli.output import DEFAULT_CONFIG, Config, Json, command, fail, opened, show, tell

ListName = Annotated[str, typer.Option("--list", help="The list's name, as the channel's `list` says.")]
#: Problems told one by one; the rest are counted.
TOLD = 20


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Readers who chose your mail.", no_args_is_help=True)
    group.command("import")(import_file)
    group.command("export")(export_file)
    group.command("suppress")(suppress)
    group.command("lists")(lists)
    app.add_typer(group, name="subscribers")


@command
def import_file(
    file: Annotated[Path, typer.Argument(help="A CSV file; its first line names the columns, `email` is enough.")],
    list_name: ListName,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Add readers from a CSV file to a list. Nobody who left or complained is brought back by it.

    Lines that cannot be read are named with their number and left out; the others are imported. Exit code 1 when
    there were such lines.

    Example: distributor subscribers import readers.csv --list readers
    """
    from distributor.core.subscriber import ImportCount
    from distributor.pipeline.recipients import Problem, import_people

    lost: list[Problem] = []
    told = 0

    def hear(problem: Problem) -> None:
        nonlocal told
        if problem.loss != "nothing":
            lost.append(problem)
        if told < TOLD:
            tell(f"{file}: {problem}")
        told += 1

    count = ImportCount()
    with opened(config) as app:
        for count in import_people(file, app.storage.recipients, list_name, app.clock(), hear):
            if sys.stderr.isatty():
                typer.echo(f"\r{count.read:,} read", err=True, nl=False)
    if sys.stderr.isatty():
        tell("")
    if told > TOLD:
        tell(f"... and {told - TOLD} more like these")
    tell(
        f"{count.read} read: {count.added} added to {list_name}, {count.known} known, {count.repeated} repeated, "
        f"{count.left_before} left before, {count.suppressed} suppressed; {len(lost)} lines not imported"
    )
    if lost:
        raise typer.Exit(1)


@command
def export_file(
    list_name: ListName,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file; default: the terminal.")] = None,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Write everybody who is or was on a list as CSV, with state and suppression.

    Example: distributor subscribers export --list readers --out readers.csv
    """
    from distributor.pipeline.recipients import write_people

    with opened(config) as app:
        rows = app.storage.recipients.iter_rows(list_name)
        if out is None:
            count = write_people(rows, sys.stdout)
        else:
            with out.open("w", encoding="utf-8", newline="") as stream:
                count = write_people(rows, stream)
    tell(f"{count} readers written")


@command
def suppress(
    addresses: Annotated[list[str], typer.Argument(help="Addresses that must not be written to.")],
    list_name: Annotated[str, typer.Option("--list", help="Only on this list; default: on every list.")] = "",
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "by hand",
    undo: Annotated[bool, typer.Option("--undo", help="Take it back. They are not put on any list by it.")] = False,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Never write to these addresses again, also not after an import.

    Example: distributor subscribers suppress reader@example.org --reason "asked by phone"
    """
    from distributor.core.subscriber import address_key

    keys = [address_key(address) for address in addresses]
    wrong = [address for address, key in zip(addresses, keys, strict=True) if not key]
    if wrong:
        raise fail(f"not a mail address: {', '.join(wrong)}")
    with opened(config) as app:
        if undo:
            count = app.storage.recipients.unsuppress(keys, list_name, app.clock())
        else:
            app.storage.recipients.suppress(keys, list_name, reason, app.clock())
            count = len(keys)
    tell(f"{count} {'may be written to again' if undo else 'suppressed'}")


@command
def lists(config: Config = DEFAULT_CONFIG, as_json: Json = False) -> None:
    """The lists there are, with their members.

    Example: distributor subscribers lists
    """
    with opened(config) as app:
        found = app.storage.recipients.list_lists()
    rows = [{"list": name, "members": count} for name, count in sorted(found.items())]
    show(rows, ("list", "members"), as_json, empty="no subscribers yet; see: distributor subscribers import --help")
