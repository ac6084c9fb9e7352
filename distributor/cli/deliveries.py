"""deliveries: single messages, and what a person decides about those that perhaps went out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from distributor.cli.decide import Limit, SomeIds
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
    show_json,
    tell,
    who,
)
from distributor.core.delivery import State

if TYPE_CHECKING:
    from distributor.app import App


def register(app: typer.Typer) -> None:
    deliveries = typer.Typer(invoke_without_command=True)
    deliveries.callback()(list_deliveries)
    deliveries.command("resolve")(resolve)
    app.add_typer(deliveries, name="deliveries")


@command
def list_deliveries(
    context: typer.Context,
    state: Annotated[State | None, typer.Option(help="Only these.")] = None,
    channel: Annotated[str, typer.Option(help="Only this channel.")] = "",
    edition: Annotated[int | None, typer.Option(help="Only this edition.")] = None,
    limit: Limit = 50,
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Deliveries, newest first; of unknown ones until when you may decide, of held and skipped ones why.

    Example: distributor deliveries --state unknown --json
    """
    refuse_early_config(context, config)
    if context.invoked_subcommand:
        return
    with opened(config) as app:
        rows = app.storage.reports.list_deliveries(
            state=state or "", channel_name=channel, edition_id=edition, limit=limit
        )
    columns = ["id", "edition_id", "channel", "recipient", "state", "attempts", "changed_at", "title", "detail"]
    if any(row.decide_by for row in rows):
        columns.insert(5, "decide_by")
    if any(row.reason for row in rows):
        columns.append("reason")
    show(rows, columns, as_json, empty="no deliveries")


@command
def resolve(
    ids: SomeIds = None,
    edition: Annotated[
        int | None, typer.Option("--edition", "--all-of", help="All unknown ones of this edition.")
    ] = None,
    sent: Annotated[bool, typer.Option("--sent", help="It is there: count it as sent.")] = False,
    resend: Annotated[bool, typer.Option("--resend", help="It is not there: send the same bytes again.")] = False,
    leave: Annotated[bool, typer.Option("--leave", help="Cannot be told: leave it, do not send.")] = False,
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Settle deliveries that may or may not have gone out. Look at the channel first.

    --sent also takes what was presumed and turned up after all.

    Example: distributor deliveries resolve 17 --sent
    """
    chosen = [name for name, is_on in (("sent", sent), ("resend", resend), ("leave", leave)) if is_on]
    if len(chosen) != 1:
        raise refuse_usage("choose one of --sent, --resend and --leave")
    if not ids and edition is None:
        raise refuse_usage("name the deliveries by their numbers, or --all-of for all unknown ones of an edition")
    with deciding(config) as app:
        wanted = ids or _list_unknown(app, edition)
        done = app.storage.decisions.resolve_all(wanted, chosen[0], who(), app.clock())
    if as_json:
        show_json({"decision": chosen[0], "deliveries": done})
    if not done:
        raise fail("none of these deliveries is unknown; see: distributor deliveries --state unknown")
    tell(f"{chosen[0]}: {len(done)}")


def _list_unknown(app: App, edition: int | None) -> list[int]:
    if edition is None:
        return []
    rows = app.storage.reports.list_deliveries(state="unknown", edition_id=edition, limit=1_000_000)
    return sorted(row.id for row in rows)
