"""What waits for a person: what it is, why, and what to type. One list for the command line and the status page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from distributor.core import remedies
from distributor.core.delivery import BYTES, CLOSED, LATE
from distributor.core.reporting import ChannelRow, EditionRow, HeldRow, SourceRow

#: Waiting longer than this for a sender is worth a look.
LONG_WAIT = timedelta(minutes=15)
#: Editions whose held messages are named one by one.
NAMED = 5


@dataclass(frozen=True)
class Situation:
    """What is known of everything that may need somebody. Deliveries are (channel, state) -> number.

    `reasons`: why this process is not ready. `oldest`: state -> since when its oldest delivery is in it.
    `deadlines`: channel -> when the first of its unknown deliveries is presumed. `aside`: editions that are parked
    or held before they were worded. `capped`: channel -> when its next message may go, where its cap is used up.
    """

    now: datetime
    reasons: Mapping[str, str] = field(default_factory=dict)
    deliveries: Mapping[tuple[str, str], int] = field(default_factory=dict)
    oldest: Mapping[str, datetime | None] = field(default_factory=dict)
    deadlines: Mapping[str, datetime] = field(default_factory=dict)
    held: Sequence[HeldRow] = ()
    aside: Sequence[EditionRow] = ()
    mismatches: Sequence[int] = ()
    channels: Mapping[str, ChannelRow] = field(default_factory=dict)
    capped: Mapping[str, datetime] = field(default_factory=dict)
    sources: Mapping[str, SourceRow] = field(default_factory=dict)
    source_names: Sequence[str] = ()
    held_posts: int = 0


@dataclass(frozen=True)
class Need:
    """One thing that waits for a person: what it is, what to type. `level`: alarm | warning."""

    level: str
    what: str
    commands: tuple[str, ...] = ()


def find_needs(view: Situation) -> list[Need]:
    """What waits for a person, the worst first. Pure."""
    found = [*_find_broken(view), *_find_unknown(view), *_find_paused(view), *_find_idle(view)]
    found += [*_find_held(view), *_find_aside(view), *_find_silent(view)]
    return sorted(found, key=lambda need: need.level != "alarm")


def _find_broken(view: Situation) -> Iterator[Need]:
    for reason in view.reasons.values():
        yield Need("alarm", f"This process is not ready: {reason}{'' if reason.endswith(('.', '?')) else '.'}")
    if view.mismatches:
        numbers = ", ".join(map(str, view.mismatches[:5]))
        yield Need(
            "alarm",
            f"The deliveries of edition {numbers} do not add up to its audience. This is a bug, please report it.",
            remedies.MISMATCH,
        )


def _find_unknown(view: Situation) -> Iterator[Need]:
    since = view.oldest.get("unknown")
    for name, number in _list_by_channel(view, "unknown"):
        age = f", the oldest for {describe_span(view.now - since)}" if since else ""
        left = view.deadlines.get(name)
        time = f" within {describe_span(left - view.now)}; then it counts as presumed" if left else ""
        yield Need(
            "alarm",
            f"{count(number, 'message')} may or may not have gone out on {name}{age}. Look at the channel, "
            f"then decide{time}.",
            remedies.for_unknown(name),
        )


def _find_paused(view: Situation) -> Iterator[Need]:
    for name, row in sorted(view.channels.items()):
        if not row.is_paused:
            continue
        why = f": {row.reason}" if row.reason else ""
        waiting = view.deliveries.get((name, "queued"), 0)
        waits = (
            f" {count(waiting, 'message')} {'waits' if waiting == 1 else 'wait'} for its end." if waiting else ""
        )
        look = (f"distributor deliveries --state failed --channel {name}",) if row.by == "the breaker" else ()
        choices: tuple[str, ...] = (f"distributor resume {name}",)
        if waiting > 1:
            choices += (f"distributor resume {name} --newest", f"distributor resume {name} --drop")
        yield Need("alarm", f"The channel {name} is paused{why}.{waits}", look + choices)


def _find_idle(view: Situation) -> Iterator[Need]:
    """Channels that have messages to send and send none."""
    since = view.oldest.get("queued")
    if since is None or view.now - since < LONG_WAIT:
        return
    for name, number in _list_by_channel(view, "queued"):
        row = view.channels.get(name)
        last_ok_at = row.last_ok_at if row else None
        is_idle = last_ok_at is None or view.now - last_ok_at > LONG_WAIT
        if is_idle and name not in view.capped and not (row and row.is_paused):
            yield Need(
                "warning",
                f"{count(number, 'message')} waiting for {name}, which has accepted nothing for a while.",
                (f"distributor deliveries --state queued --channel {name}",),
            )


def _find_held(view: Situation) -> Iterator[Need]:
    named = view.held[:NAMED]
    for row in named:
        yield Need(
            "alarm" if row.reason.startswith(BYTES) else "warning",
            f"{count(row.count, 'message')} of edition {row.edition_id} for {row.channel} held: {_say_held(row)}.",
            _choose_held(row),
        )
    total_held = total(view.deliveries, "held")
    rest = total_held - sum(row.count for row in named)
    if rest > 0:
        since = view.oldest.get("held")
        age = f", the oldest for {describe_span(view.now - since)}" if since else ""
        more = "more " if named else ""
        yield Need(
            "warning",
            f"{rest:,} {more}{'message' if rest == 1 else 'messages'} held back{age}.",
            (
                "distributor deliveries --state held",
                "distributor editions release NUMBER",
                "distributor editions drop NUMBER",
            ),
        )


def _say_held(row: HeldRow) -> str:
    title = f" ({row.title})" if row.title else ""
    return f"{'too late to go by itself' if row.reason == LATE else row.reason or 'no reason is known'}{title}"


def _choose_held(row: HeldRow) -> tuple[str, ...]:
    drop = f"distributor editions drop {row.edition_id}"
    if row.reason.startswith(BYTES):
        return (drop,)
    if row.reason.startswith(CLOSED):
        return (f"distributor resume {row.channel}", drop)
    return remedies.for_edition(row.edition_id)


def _find_aside(view: Situation) -> Iterator[Need]:
    for row in view.aside:
        why = "cannot be worded" if row.state == "parked" else "is held"
        yield Need(
            "warning",
            f"Edition {row.id} for {row.channel} {why}: {row.reason or row.title}",
            remedies.for_edition(row.id),
        )
    if view.held_posts:
        yield Need(
            "warning",
            f"{count(view.held_posts, 'story', 'stories')} held for a person.",
            remedies.HELD_STORIES,
        )


def _find_silent(view: Situation) -> Iterator[Need]:
    for name, row in sorted(view.sources.items()):
        if row.failures and name in view.source_names:
            ok = f", last read {describe_span(view.now - row.last_ok_at)} ago" if row.last_ok_at else ""
            times = "once" if row.failures == 1 else f"{row.failures} times in a row"
            yield Need("warning", f"The source {name} failed {times}{ok}: {row.error}", remedies.for_source(name))


def list_notes(view: Situation) -> list[str]:
    """What waits by itself and needs nobody."""
    return [
        f"{count(number, 'message')} for {name} {'waits' if number == 1 else 'wait'} for its cap, the next one for "
        f"{describe_span(view.capped[name] - view.now)}"
        for name, number in _list_by_channel(view, "queued")
        if name in view.capped
    ]


def _list_by_channel(view: Situation, wanted: str) -> list[tuple[str, int]]:
    return sorted((name, number) for (name, state), number in view.deliveries.items() if state == wanted and number)


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
