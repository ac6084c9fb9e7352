"""What the status page shows, gathered from the stores, and what of it needs a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from distributor.core.reporting import ChannelRow, ClickCount, EditionRow, NoticeRow, SourceRow
from distributor.pipeline.plan import Forecast
from distributor.web.parts import ClickJournalState, WebParts

EDITION_DAYS = 3
CLICK_DAYS = 7
#: Waiting longer than this for a sender is worth a look.
LONG_WAIT = timedelta(minutes=15)


@dataclass(frozen=True)
class Overview:
    """Everything on the page. Deliveries are (channel, state) -> number."""

    now: datetime
    reasons: Mapping[str, str] = field(default_factory=dict)
    deliveries: Mapping[tuple[str, str], int] = field(default_factory=dict)
    oldest: Mapping[str, datetime | None] = field(default_factory=dict)
    editions: Sequence[EditionRow] = ()
    aside: Sequence[EditionRow] = ()
    mismatches: Sequence[int] = ()
    channels: Mapping[str, ChannelRow] = field(default_factory=dict)
    channel_names: Sequence[str] = ()
    sources: Mapping[str, SourceRow] = field(default_factory=dict)
    source_names: Sequence[str] = ()
    held_posts: int = 0
    coming: Sequence[Forecast] = ()
    clicks: Sequence[ClickCount] = ()
    stories: Sequence[ClickCount] = ()
    readers_by_edition: Mapping[str, int] = field(default_factory=dict)
    journal: ClickJournalState = field(default_factory=ClickJournalState)
    notices: Sequence[NoticeRow] = ()


@dataclass(frozen=True)
class Need:
    """One thing that waits for a person: what it is, what to type. `level`: alarm | warning."""

    level: str
    what: str
    commands: tuple[str, ...] = ()


def gather(parts: WebParts, reasons: Mapping[str, str]) -> Overview:
    """Ask the stores. Raises StorageError."""
    now, reports = parts.clock(), parts.stores.reports
    since = now - timedelta(days=EDITION_DAYS)
    week = now - timedelta(days=CLICK_DAYS)
    newest = reports.list_editions(limit=60)
    by_edition = reports.count_clicks("edition", since=week, limit=1000)
    return Overview(
        now=now,
        reasons=reasons,
        deliveries=reports.count_deliveries(),
        oldest={state: reports.oldest(state) for state in ("queued", "held", "unknown")},
        editions=[row for row in newest if row.due_at >= since or row.state in ("planned", "frozen")],
        aside=[*reports.list_editions(limit=20, state="parked"), *reports.list_editions(limit=20, state="held")],
        mismatches=reports.find_mismatches(),
        channels=reports.list_channels(),
        channel_names=parts.channels,
        sources=parts.stores.posts.load_sources(),
        source_names=parts.sources,
        held_posts=reports.count_by_status().get("held", 0),
        coming=parts.forecast(),
        clicks=reports.count_clicks("channel", since=week),
        stories=reports.count_clicks("post", since=week, limit=8),
        readers_by_edition={row.group: row.human for row in by_edition},
        journal=parts.journal(),
        notices=reports.list_notices(limit=20),
    )


def find_needs(view: Overview) -> list[Need]:
    """What waits for a person, the worst first. Pure."""
    found = [*_find_broken(view), *_find_stuck(view), *_find_held(view), *_find_silent(view)]
    return sorted(found, key=lambda need: need.level != "alarm")


def _find_broken(view: Overview) -> Iterator[Need]:
    for reason in view.reasons.values():
        yield Need("alarm", f"This process is not ready: {reason}{'' if reason.endswith(('.', '?')) else '.'}")
    if view.mismatches:
        numbers = ", ".join(map(str, view.mismatches[:5]))
        yield Need(
            "alarm",
            f"The deliveries of edition {numbers} do not add up to its audience.",
            ("distributor db check",),
        )
    if view.journal.lost:
        yield Need("warning", f"{count(view.journal.lost, 'click')} could not be written down and are lost.")


def _find_stuck(view: Overview) -> Iterator[Need]:
    if unknown := total(view.deliveries, "unknown"):
        since = _age(view.now, view.oldest.get("unknown"))
        yield Need(
            "alarm",
            f"{count(unknown, 'message')} may or may not have gone out{since}. Look at the channel, then decide.",
            ("distributor deliveries --state unknown", "distributor deliveries resolve NUMBER --sent"),
        )
    for name, row in sorted(view.channels.items()):
        if row.is_paused:
            why = f": {row.reason}" if row.reason else ""
            yield Need("alarm", f"The channel {name} is paused{why}.", (f"distributor resume {name}",))
    yield from _find_idle(view)


def _find_idle(view: Overview) -> Iterator[Need]:
    """Channels that have messages to send and send none."""
    since = view.oldest.get("queued")
    if since is None or view.now - since < LONG_WAIT:
        return
    for (name, state), number in sorted(view.deliveries.items()):
        row = view.channels.get(name)
        last_ok_at = row.last_ok_at if row else None
        is_idle = last_ok_at is None or view.now - last_ok_at > LONG_WAIT
        if state == "queued" and number and is_idle and not (row and row.is_paused):
            yield Need(
                "warning",
                f"{count(number, 'message')} waiting for {name}, which has accepted nothing for a while.",
                (f"distributor deliveries --state queued --channel {name}",),
            )


def _find_held(view: Overview) -> Iterator[Need]:
    if held := total(view.deliveries, "held"):
        since = _age(view.now, view.oldest.get("held"))
        yield Need(
            "warning",
            f"{count(held, 'message')} held back{since}. Release the edition, or leave it.",
            ("distributor deliveries --state held", "distributor editions release NUMBER"),
        )
    for row in view.aside:
        why = "cannot be worded" if row.state == "parked" else "is held"
        yield Need(
            "warning",
            f"Edition {row.id} for {row.channel} {why}: {row.reason or row.title}",
            (f"distributor editions release {row.id}", f"distributor editions drop {row.id}"),
        )
    if view.held_posts:
        yield Need(
            "warning",
            f"{count(view.held_posts, 'story', 'stories')} held for a person.",
            ("distributor posts --held", "distributor posts release NUMBER"),
        )


def _find_silent(view: Overview) -> Iterator[Need]:
    for name, row in sorted(view.sources.items()):
        if row.failures and name in view.source_names:
            ok = f", last read {describe_span(view.now - row.last_ok_at)} ago" if row.last_ok_at else ""
            times = "once" if row.failures == 1 else f"{row.failures} times in a row"
            yield Need(
                "warning", f"The source {name} failed {times}{ok}: {row.error}", (f"distributor poll {name}",)
            )


def total(deliveries: Mapping[tuple[str, str], int], *states: str) -> int:
    """Deliveries in these states over all channels."""
    return sum(number for (_, state), number in deliveries.items() if state in states)


def count(number: int, one: str, many: str = "") -> str:
    """ "1 story", "2,000 stories"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def describe_span(span: timedelta) -> str:
    """A length of time in its largest unit: "40 s", "5 min", "3 h", "12 days"."""
    seconds = max(int(span.total_seconds()), 0)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 48 * 3600:
        return f"{seconds // 3600} h"
    return f"{seconds // 86400} days"


def _age(now: datetime, then: datetime | None) -> str:
    return "" if then is None else f", the oldest for {describe_span(now - then)}"
