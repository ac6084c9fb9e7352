"""posts and editions: lists to look at, and what a person decides about them."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from distributor.cli.output import (
    DEFAULT_CONFIG,
    Config,
    Json,
    command,
    deciding,
    fail,
    opened,
    refuse_early_config,
    refuse_usage,
    show,
    tell,
    who,
)
from distributor.core.planning import AUDIENCE

Limit = Annotated[int, typer.Option(min=1, max=100_000, help="At most this many rows.")]
PostStatus = Literal["live", "held", "baseline", "dropped"]
EditionState = Literal["planned", "frozen", "complete", "parked", "held", "dropped"]
#: What a database takes for a number.
LARGEST = 2**63 - 1
Ids = Annotated[list[int], typer.Argument(min=1, max=LARGEST, help="Their numbers.")]
SomeIds = Annotated[list[int] | None, typer.Argument(min=1, max=LARGEST, help="Their numbers.")]


def register(app: typer.Typer) -> None:
    posts = typer.Typer(invoke_without_command=True)
    posts.callback()(list_posts)
    posts.command("release")(release_posts)
    posts.command("drop")(drop_posts)
    app.add_typer(posts, name="posts")
    editions = typer.Typer(invoke_without_command=True)
    editions.callback()(list_editions)
    editions.command("release")(release_edition)
    editions.command("drop")(drop_edition)
    app.add_typer(editions, name="editions")


@command
def list_posts(
    context: typer.Context,
    status: Annotated[PostStatus | None, typer.Option(help="Only these.")] = None,
    held: Annotated[bool, typer.Option("--held", help="The same as --status held.")] = False,
    limit: Limit = 30,
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Stories, newest first.

    Example: distributor posts --held
    """
    refuse_early_config(context, config)
    if context.invoked_subcommand:
        return
    with opened(config) as app:
        found = app.storage.posts.list_recent(limit, "held" if held else status or "")
    rows = [
        {
            "id": row.id,
            "status": row.status,
            "reason": row.reason,
            "source": row.post.source,
            "first_seen_at": row.first_seen_at,
            "revision": row.revision,
            "section": row.post.section,
            "headline": row.post.headline,
            "url": row.post.link,
            "byline": row.post.byline,
            "provenance": dict(row.post.provenance),
        }
        for row in found
    ]
    show(
        rows, ("id", "status", "reason", "source", "first_seen_at", "section", "headline"), as_json, "no posts yet"
    )


@command
def release_posts(
    ids: SomeIds = None,
    source: Annotated[str, typer.Option(help="All held stories of this source.")] = "",
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Let held stories go out as if they had just been published.

    Example: distributor posts release 41 42
    """
    if not ids and not source:
        raise refuse_usage("name the stories by their numbers, or --source for all held ones of it")
    with opened(config) as app:
        wanted = ids or app.storage.posts.list_held_ids(source)
        count = app.storage.posts.release(wanted, who(), app.clock())
    if not count:
        raise fail("no held story has one of these numbers; see: distributor posts --held")
    tell(f"released: {count}")


@command
def drop_posts(
    ids: SomeIds = None,
    source: Annotated[str, typer.Option(help="All held stories of this source.")] = "",
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Never send these held stories.

    Example: distributor posts drop --source archive
    """
    if not ids and not source:
        raise refuse_usage("name the stories by their numbers, or --source for all held ones of it")
    with opened(config) as app:
        wanted = ids or app.storage.posts.list_held_ids(source)
        count = app.storage.posts.drop(wanted, who(), app.clock())
    if not count:
        raise fail("no held story has one of these numbers; see: distributor posts --held")
    tell(f"dropped: {count}")


@command
def list_editions(
    context: typer.Context,
    state: Annotated[EditionState | None, typer.Option(help="Only these.")] = None,
    channel: Annotated[str, typer.Option(help="Only this channel.")] = "",
    limit: Limit = 30,
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Editions, newest first, with the sums of their deliveries.

    Example: distributor editions --state parked
    """
    refuse_early_config(context, config)
    if context.invoked_subcommand:
        return
    with opened(config) as app:
        rows = app.storage.reports.list_editions(limit=limit, state=state or "", channel_name=channel)
    columns = ("id", "due_at", "channel", "form", "state", "audience", "counts", "title", "reason")
    show(rows, columns, as_json, empty="no editions")


@command
def release_edition(ids: Ids, config: Config = DEFAULT_CONFIG) -> None:
    """Let held or parked editions go: words are made anew where there are none yet, held deliveries are queued.
    One that was held for its audience goes to as many readers as it says, not to many more.

    Example: distributor editions release 12
    """
    count = 0
    with deciding(config) as app:
        for number in ids:
            why = app.storage.editions.find_hold(number)
            if app.storage.editions.unpark(number, None):
                count += 1
                if why.startswith(AUDIENCE):
                    tell(f"edition {number} goes to {why.removeprefix(AUDIENCE)}")
            else:
                count += app.storage.decisions.release(number, None, who(), app.clock())
    if not count:
        raise fail("nothing of these editions is held; see: distributor editions")
    tell(f"released: {count}")


@command
def drop_edition(
    ids: Ids,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "dropped by hand",
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Give up editions, or what of them has not gone out; their stories do not come again on that schedule.

    Example: distributor editions drop 12 --reason "wrong picture"
    """
    given_up = 0
    with opened(config) as app:
        done = [number for number in ids if app.storage.editions.drop(number, f"{who()}: {reason}", app.clock())]
        for number in ids:
            given_up += app.storage.decisions.give_up(number, reason, who(), app.clock())
    if not done and not given_up:
        raise fail("nothing of these editions waits any more; see: distributor editions")
    tell(f"dropped: {len(done)} editions, {given_up} waiting deliveries")
