"""subscribers import, export, suppress: who may be written to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distributor.cli.output import DEFAULT_CONFIG, Config, Json, command, fail, opened, show, tell

ListName = Annotated[str, typer.Option("--list", help="The list's name, as the channel's `list` says.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Readers who chose your mail.", no_args_is_help=True)
    group.command("lists")(lists)
    app.add_typer(group, name="subscribers")


@command
def lists(config: Config = DEFAULT_CONFIG, as_json: Json = False) -> None:
    """The lists there are, with their members.

    Example: distributor subscribers lists
    """
    with opened(config) as app:
        found = app.storage.recipients.list_lists()
    rows = [{"list": name, "members": count} for name, count in sorted(found.items())]
    show(rows, ("list", "members"), as_json, empty="no subscribers yet; see: distributor subscribers import --help")


_ = (Path, ListName, fail, tell)
