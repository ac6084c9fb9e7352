"""run, poll, plan, preview, send-test: the walk of a post, step by step or all at once."""

from __future__ import annotations

import gc
import webbrowser
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from distributor.cli.output import DEFAULT_CONFIG, Config, Json, command, fail, load, opened, show, show_json, tell

if TYPE_CHECKING:
    from distributor.app import App, Draft
    from distributor.core.message import Preview


Form = Literal["each", "digest"]


def register(app: typer.Typer) -> None:
    app.command("run")(run)
    app.command("poll")(poll)
    app.command("plan")(plan)
    app.command("preview")(preview)
    app.command("send-test")(send_test)


@command
def run(
    config: Config = DEFAULT_CONFIG,
    roles: Annotated[str, typer.Option(help="Parts to run here, with commas.")] = "web,clock,worker",
) -> None:
    """Run the newsroom desk until it is stopped: polls, sends, redirects, the status page.

    Ctrl-C or SIGTERM lets what is on the wire finish first; a second one ends it at once.

    Example: distributor run --config config/distributor.yaml
    """
    gc.disable()  # until it has started
    from distributor.run import run_until_stopped

    raise typer.Exit(run_until_stopped(load(config), roles))


@command
def poll(
    source: Annotated[str | None, typer.Argument(help="Only this source; all of them when left out.")] = None,
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Ask the sources now and store what is new or changed. Sends nothing by itself.

    Exit code 1 when a source could not be read.

    Example: distributor poll front
    """
    with opened(config) as app:
        names = [one.name for one in app.settings.sources]
        if source is not None and source not in names:
            raise fail(f"there is no source {source!r}; there are: {', '.join(names) or 'none'}")
        found = []
        for name in [source] if source else names:
            tell(f"polling {name} ...")
            found.append(app.poll(name))
    columns = ("source", "new", "changed", "held", "history", "is_unchanged", "error")
    show(found, columns, as_json, empty="there are no sources in the configuration")
    if any(one.error for one in found):
        raise typer.Exit(1)


@command
def plan(
    days: Annotated[int, typer.Option(min=1, max=31, help="How far to look ahead.")] = 7,
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Forecast: what goes where and when in the next days. Changes nothing.

    Example: distributor plan --days 7
    """
    from distributor.pipeline.plan import forecast

    with opened(config) as app:
        now = app.clock()
        lines = forecast(app.plans, app.waiting(), now, now + timedelta(days=days))
    rows = [
        {
            "due": line.due_at or "as published",
            "local": line.local.strftime("%a %d %b %H:%M") if line.local else "",
            "schedule": line.schedule,
            "channel": line.channel,
            "form": line.form,
            "stories": line.stories if line.stories >= 0 else None,
            "headline": line.headline,
        }
        for line in lines
    ]
    show(rows, ("due", "local", "schedule", "channel", "form", "stories", "headline"), as_json, "no schedules")


@command
def preview(
    channel: Annotated[str, typer.Argument(help="The channel whose words you want to see.")],
    post: Annotated[list[int] | None, typer.Option(help="A post's number (see: posts); may be repeated.")] = None,
    form: Annotated[Form | None, typer.Option(help="Default: as the channel's first schedule.")] = None,
    schedule: Annotated[str, typer.Option(help="Use this schedule's title and marks.")] = "",
    out: Annotated[Path | None, typer.Option(help="Write it to this file (.html: the page, else text).")] = None,
    browser: Annotated[bool, typer.Option("--browser", help="Show it in the browser.")] = False,
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Show exactly what would go out, without sending it and without making links.

    Example: distributor preview letter --form digest --browser
    """
    with opened(config) as app:
        shown = show_draft(make_draft(app, channel, form or "", post or [], schedule))
    if as_json:
        show_json(shown.__dict__ if hasattr(shown, "__dict__") else shown)
    elif out is not None or browser:
        target = out or Path.cwd() / f"preview-{channel}.html"
        target.write_text(_as_file(shown, target), encoding="utf-8")
        tell(f"written to {target}")
        if browser:
            webbrowser.open(target.resolve().as_uri())
    else:
        typer.echo(f"{shown.title}\n" + "-" * min(len(shown.title), 70) if shown.title else "-" * 30)
        typer.echo(shown.text)
        typer.echo(f"\n{shown.measure}" if shown.measure else "")
    for warning in shown.warnings:
        tell(f"warning: {warning}")


@command
def send_test(
    channel: Annotated[str, typer.Argument(help="The channel to try.")],
    to: Annotated[str, typer.Option("--to", help="One address or chat that the channel's `allow` names.")],
    post: Annotated[list[int] | None, typer.Option(help="A post's number; the newest when left out.")] = None,
    form: Annotated[Form | None, typer.Option(help="Default: as the channel's first schedule.")] = None,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Send one real message to one allow-listed address. It can never go to a list.

    Exit code 1 when it was refused.

    Example: distributor send-test letter --to me@example.org
    """
    import secrets

    from distributor.core.message import Accepted
    from distributor.pipeline.send_test import send_test as send

    with opened(config) as app:
        draft = make_draft(app, channel, form or "", post or [], "")
        settings = next(one for one in app.settings.channels if one.name == channel)
        own = app.open_channel(channel)
        slots = {"name": "", "address": to, "unsubscribe_url": app.site.public_url}
        try:
            outcome = send(own, draft.content, to, settings.allow, slots, secrets.token_hex(8))
        finally:
            own.close()
    if not isinstance(outcome, Accepted):
        raise fail(f"not accepted: {outcome} {getattr(outcome, 'detail', '')}".rstrip())
    tell(f"accepted: {outcome.receipt}")


def make_draft(app: App, channel: str, form: str, posts: list[int], schedule: str) -> Draft:
    """The words of the given posts, or of the newest; exits with a sentence when there are none."""
    names = [one.name for one in app.settings.channels]
    if channel not in names:
        raise fail(f"there is no channel {channel!r}; there are: {', '.join(names) or 'none'}")
    form = form or next((one.form for one in app.plans if one.channel == channel), "each")
    count = 1 if form == "each" else app.find_plan(channel, form, schedule).max_items
    ids = posts or [row.id for row in app.storage.posts.list_recent(50) if row.status != "held"][:count]
    if not ids:
        raise fail("there are no posts yet; run: distributor poll")
    try:
        return app.draft(channel, form, ids, schedule)
    except LookupError as error:
        raise fail(str(error)) from None


def show_draft(draft: Draft) -> Preview:
    from distributor.core.message import Recipient

    return draft.channel.preview(draft.content, Recipient(0, "reader@example.org", "A. Reader"))


def _as_file(shown: Preview, target: Path) -> str:
    from html import escape

    if target.suffix not in (".html", ".htm"):
        return shown.text
    body = shown.html or f"<pre style='white-space:pre-wrap;font:16px/1.5 sans-serif'>{escape(shown.text)}</pre>"
    return body if "<html" in body.lower() else f"<!doctype html><meta charset=utf-8><title>Preview</title>{body}"
