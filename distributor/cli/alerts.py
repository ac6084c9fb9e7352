"""alerts: what is wrong enough to call somebody, and whether the ways to that person work."""

from __future__ import annotations

from typing import Annotated

import typer

from distributor.cli.output import DEFAULT_CONFIG, Config, Json, command, fail, load, opened, show, show_json, tell

NO_WAY = "no way is set: fill in alerts.webhook, alerts.email or alerts.ping in the configuration"


def register(app: typer.Typer) -> None:
    app.command("alerts")(alerts)


@command
def alerts(
    test: Annotated[bool, typer.Option("--test", help="Send one message by each way that is set.")] = False,
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """What is wrong now, since when, and whether somebody was told. With --test: try every way to tell.

    Exit code 1 when something is wrong, or when a test did not get through.

    Example: distributor alerts --test
    """
    if test:
        _try_ways(config, as_json)
        return
    with opened(config) as app:
        found = list(app.storage.alerts.load().values())
    show(found, ("since", "told_at", "text"), as_json, empty="nothing is wrong")
    if found:
        raise typer.Exit(1)


def _try_ways(config: Config, as_json: bool) -> None:
    from distributor import __version__
    from distributor.alerts import try_routes

    results = try_routes(load(config), f"distributor/{__version__}")
    if as_json:
        show_json({name: problem or "delivered" for name, problem in results.items()})
    for name, problem in {} if as_json else results.items():
        tell(f"{name}: {problem or 'delivered'}")
    if not results:
        raise fail(NO_WAY)
    if any(results.values()):
        raise typer.Exit(1)
