"""report, links, status: what is there, what went out, what came back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distributor.cli.output import DEFAULT_CONFIG, Config, Json, command, opened, show, show_json, tell
from distributor.core.reporting import GroupBy

if TYPE_CHECKING:
    from distributor.app import App
    from distributor.core.needs import Situation

Limit = Annotated[int, typer.Option(min=1, max=100_000, help="At most this many rows.")]


def register(app: typer.Typer) -> None:
    app.command("report")(report)
    app.command("links")(links)
    app.command("status")(status)


@command
def report(
    by: Annotated[GroupBy, typer.Option(help="What is counted together.")] = "post",
    days: Annotated[int, typer.Option(min=1, help="Clicks of the last days.")] = 30,
    edition: Annotated[int | None, typer.Option(help="Only this edition.")] = None,
    limit: Limit = 50,
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Clicks that came back. People are counted apart from previews, scanners and bots.

    A slot says which link was used: "article" is the story's own, "share_x" the share button, "shared_x" the link
    that readers shared on.

    Example: distributor report --by slot --edition 12
    """
    with opened(config) as app:
        since = app.clock() - timedelta(days=days)
        rows = app.storage.reports.count_clicks(by, since=since, edition_id=edition, limit=limit)
    plain = [
        {by: row.label, "people": row.human, "others": row.other, "classes": row.classes, "id": row.group}
        for row in rows
    ]
    show(plain, (by, "people", "others", "classes"), as_json, empty="no clicks yet")


@command
def links(
    post: Annotated[int | None, typer.Option(help="Only links to this post.")] = None,
    edition: Annotated[int | None, typer.Option(help="Only links of this edition.")] = None,
    limit: Limit = 100,
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Tracked links, newest first, with their clicks.

    Example: distributor links --post 7
    """
    with opened(config) as app:
        rows = app.storage.reports.list_links(post_id=post, edition_id=edition, limit=limit)
        prefix = f"{app.site.public_url.rstrip('/')}/l/"
    plain = [
        {
            "link": prefix + row.slug,
            "slot": row.slot,
            "channel": row.channel,
            "people": row.human,
            "others": row.other,
            "headline": row.headline,
            "target": row.target,
            "edition": row.edition_id,
            "post": row.post_id,
        }
        for row in rows
    ]
    show(plain, ("link", "slot", "channel", "people", "others", "headline"), as_json, empty="no links yet")


@command
def status(config: Config = DEFAULT_CONFIG, as_json: Json = False) -> None:
    """What is stuck, why, and what to type. Exit code 1 when something needs a person.

    Example: distributor status
    """
    from distributor.core.needs import find_needs, list_notes

    with opened(config) as app:
        view = _read_situation(app)
        processes = [_describe_process(one) for one in app.storage.workers.list_all(app.clock())]
    needs, notes = find_needs(view), list_notes(view)
    states: dict[str, dict[str, int]] = {}
    for (name, state), number in sorted(view.deliveries.items()):
        states.setdefault(name, {})[state] = number
    if as_json:
        paused = {name: row.reason for name, row in view.channels.items() if row.is_paused}
        shown = [{"level": one.level, "what": one.what, "type": one.commands} for one in needs]
        told = {"deliveries": states, "paused": paused, "processes": processes, "needs": shown, "notes": notes}
        show_json(told)
    else:
        rows = [{"channel": name, "deliveries": found} for name, found in states.items()]
        show(rows, ("channel", "deliveries"), as_json=False, empty="no deliveries yet")
        if processes:
            typer.echo()
        show(processes, ("process", "roles", "since", "seen"), as_json=False, empty="no process runs")
        for line in notes:
            typer.echo(f"- {line}")
        for one in needs:
            typer.echo(f"! {one.what}")
            for words in one.commands:
                typer.echo(f"    {words}")
    if needs:
        raise typer.Exit(1)
    tell("nothing needs you")


def _describe_process(one: Any) -> dict[str, object]:
    """Who says that it is there; one that fell silent is listed for a day."""
    from distributor.core.needs import describe_span

    seen = f"{describe_span(timedelta(seconds=one.age))} ago{', taken for dead' if one.is_dead else ''}"
    return {
        "process": f"{one.host} {one.process}",
        "roles": one.roles,
        "since": one.started_at,
        "seen": seen,
        "is_dead": one.is_dead,
        "version": one.version,
    }


def _read_situation(app: App) -> Situation:
    from distributor.pipeline.needs import read_situation

    storage = app.storage
    limits = {one.name: app.words_channel(one.name).limits for one in app.settings.channels}
    names = [one.name for one in app.settings.sources]
    stamps = storage.figures.load_paces()
    return read_situation(storage.reports, storage.posts, stamps, limits, names, app.clock())
