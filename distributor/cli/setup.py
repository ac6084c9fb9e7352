"""init, check, demo: from nothing to a desk that works."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distributor.cli.output import DEFAULT_CONFIG, Config, Json, command, load, show_json, tell

if TYPE_CHECKING:
    from distributor.settings import Settings


def register(app: typer.Typer) -> None:
    app.command("init")(init)
    app.command("check")(check)
    app.command("demo")(demo)


@command
def init(config: Config = DEFAULT_CONFIG) -> None:
    """Write a commented configuration file for a new newsroom. Never overwrites.

    Example: distributor init --config config/distributor.yaml
    """
    from distributor.settings import write_starter

    write_starter(config)
    tell(
        f"wrote {config}; fill in your site, a source and a channel, then run: distributor check --config {config}"
    )


@command
def check(
    config: Config = DEFAULT_CONFIG,
    online: Annotated[bool, typer.Option(help="Also ask every source and channel.")] = True,
    as_json: Json = False,
) -> None:
    """Check the configuration, the database, the templates, and ask every source and channel who they are.

    Sends nothing. Exit code 1 when something would not work, 3 when the configuration cannot be read.

    Example: distributor check --no-online
    """
    settings = load(config)
    problems, doubts = _look_over(settings, online)
    if as_json:
        show_json({"problems": problems, "warnings": doubts})
    else:
        for line in doubts:
            typer.echo(f"warning: {line}")
        for line in problems:
            typer.echo(f"problem: {line}")
    if problems:
        raise typer.Exit(1)
    tell("everything that was asked answers" if online else "the configuration is sound")


def _look_over(settings: Settings, online: bool) -> tuple[list[str], list[str]]:
    from distributor.checks import check_all

    return check_all(settings, online), list(settings.doubts)


@command
def demo(
    once: Annotated[bool, typer.Option("--once", help="Without a browser: play it through and report.")] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where the demo's pages are; 0 finds a free one.")
    ] = 8800,
    folder: Annotated[
        Path | None, typer.Option(help="Keep the demo's files here; a fresh temporary folder when left out.")
    ] = None,
) -> None:
    """A whole newsroom on this machine: stories, mailbox, Telegram and X to look at, without any account.

    Example: distributor demo --once
    """
    from distributor.demo import play_once, run_demo

    raise typer.Exit(play_once(folder) if once else run_demo(port, folder))
