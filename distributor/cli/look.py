"""report, links, status: what is there, what went out, what came back."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from distributor.cli.output import DEFAULT_CONFIG, Config, Json, command, opened, show, show_json, tell
from distributor.core.reporting import GroupBy

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
    with opened(config) as app:
        reports = app.storage.reports
        counts = reports.count_deliveries()
        paused = app.storage.decisions.list_paused()
        sources = app.storage.posts.load_sources()
        held_posts = reports.count_by_status().get("held", 0)
        stuck = reports.list_editions(state="parked") + reports.list_editions(state="held")
        mismatches = reports.find_mismatches()
    needs = _needs(counts, paused, held_posts, len(stuck), mismatches)
    needs += [f"source {row.name}: {row.error}" for row in sources.values() if row.error]
    states: dict[str, dict[str, int]] = {}
    for (name, state), number in sorted(counts.items()):
        states.setdefault(name, {})[state] = number
    if as_json:
        show_json({"deliveries": states, "paused": paused, "needs": needs})
    else:
        rows = [{"channel": name, "deliveries": found} for name, found in states.items()]
        show(rows, ("channel", "deliveries"), as_json=False, empty="no deliveries yet")
        for line in needs:
            typer.echo(f"! {line}")
    if needs:
        raise typer.Exit(1)
    tell("nothing needs you")


def _needs(
    counts: dict[tuple[str, str], int], paused: dict[str, str], held_posts: int, stuck: int, mismatches: list[int]
) -> list[str]:
    total: dict[str, int] = {}
    for (_, state), number in counts.items():
        total[state] = total.get(state, 0) + number
    lines = []
    if total.get("unknown"):
        lines.append(
            f"{total['unknown']} deliveries may or may not have gone out: distributor deliveries --state unknown, "
            "then: deliveries resolve ID --sent|--resend|--leave"
        )
    if total.get("held"):
        lines.append(f"{total['held']} deliveries are held: distributor deliveries --state held")
    lines += [f"{name} is paused ({why}): distributor resume {name}" for name, why in sorted(paused.items())]
    if held_posts:
        lines.append(f"{held_posts} stories are held: distributor posts --status held, then: posts release ID")
    if stuck:
        lines.append(
            f"{stuck} editions are parked or held: distributor editions, then: editions release ID or drop ID"
        )
    lines += [f"edition {number} does not add up; this is a bug, please report it" for number in mismatches]
    return lines
