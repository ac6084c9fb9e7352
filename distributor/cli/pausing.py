"""pause and resume: stopping channels before their next message, and deciding about what waited."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from distributor.cli.output import (
    DEFAULT_CONFIG,
    Config,
    Json,
    command,
    deciding,
    fail,
    opened,
    refuse_usage,
    show_json,
    tell,
    who,
)

if TYPE_CHECKING:
    from distributor.app import App
    from distributor.core.deciding import ResumeMode

Channel = Annotated[str, typer.Argument(help="A channel; without it, all.")]


def register(app: typer.Typer) -> None:
    app.command("pause")(pause)
    app.command("resume")(resume)


@command
def pause(
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    channel: Channel = "",
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Stop a channel, or all, before the next message. What is on the wire finishes.

    Example: distributor pause tg --reason "wrong headline"
    """
    with opened(config) as app:
        names = _find_channels(app, channel)
        now = app.clock()
        if channel:
            app.storage.decisions.pause(channel, reason, who(), now)
            stopped = [channel]
        else:
            stopped = app.storage.decisions.pause_all(names, reason, who(), now)
        waiting = _count_waiting(app, names)
    if as_json:
        show_json({"paused": stopped, "waiting": {name: waiting[name] for name in names}})
    for name in stopped:
        tell(f"{name} is paused; waiting: {waiting[name]}")
    if not stopped:
        tell("every channel is paused already")


@command
def resume(
    channel: Channel = "",
    drop: Annotated[bool, typer.Option("--drop", help="Skip what waited.")] = False,
    newest: Annotated[
        bool, typer.Option("--newest", help="Send only the newest edition of each schedule; skip the older ones.")
    ] = False,
    spread: Annotated[
        int | None, typer.Option(min=1, max=1440, help="Send what waited evenly over so many minutes.")
    ] = None,
    review: Annotated[
        bool, typer.Option("--review", help="Hold what waited; release it with `editions release`.")
    ] = False,
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Open a paused channel, or all. What waited goes out in order, unless you choose otherwise or it is late.

    Example: distributor resume tg --newest
    """
    wishes: list[ResumeMode] = []
    wishes += ["drop"] if drop else []
    wishes += ["newest"] if newest else []
    wishes += ["spread"] if spread is not None else []
    wishes += ["review"] if review else []
    if len(wishes) > 1:
        raise refuse_usage("choose one of --drop, --newest, --spread and --review")
    mode = wishes[0] if wishes else "all"
    with deciding(config) as app:
        paused = app.storage.decisions.list_paused()
        names = [name for name in _find_channels(app, channel) if name in paused]
        found = [app.storage.decisions.resume(one, who(), app.clock(), mode, spread or 0) for one in names]
    done = [one for one in found if one is not None]
    if as_json:
        show_json([asdict(one) for one in done])
    for one in done:
        tell(f"{one.channel} is open: {one.describe()}")
    if channel and not done:
        raise fail(f"{channel} is not paused, so nothing was changed")
    if not done:
        tell("no channel is paused")


def _find_channels(app: App, channel: str) -> list[str]:
    """This one, or all there are."""
    names = [one.name for one in app.settings.channels]
    if channel and channel not in names:
        raise fail(f"there is no channel {channel!r}; there are: {', '.join(names)}")
    return [channel] if channel else names


def _count_waiting(app: App, names: list[str]) -> dict[str, int]:
    counts = app.storage.reports.count_deliveries()
    return {name: counts.get((name, "queued"), 0) for name in names}
