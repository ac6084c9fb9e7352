"""Who came back, and what became of every delivery: the product's own report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape

from distributor.core.reporting import ClickCount, GroupBy
from distributor.demo.pages.frame import name_channel, write_table

_SLOTS = {
    "article": "the story’s own link",
    "more": "“more from this section”",
    "home": "the newsroom’s name",
    "follow_rss": "follow by RSS",
    "follow_telegram": "follow on Telegram",
    "follow_x": "follow on X",
    "overflow": "“more stories”",
}
_NETWORKS = {
    "x": "X",
    "telegram": "Telegram",
    "whatsapp": "WhatsApp",
    "facebook": "Facebook",
    "linkedin": "LinkedIn",
}
_KLASSES = {
    "preview": "link previews",
    "prefetch": "prefetches",
    "scanner": "mail scanners",
    "bot": "bots",
    "self": "the newsroom itself",
    "unknown": "unknown",
}
Clicks = Mapping[GroupBy, Sequence[ClickCount]]


def write_numbers(clicks: Clicks, deliveries: Mapping[tuple[str, str], int], command: str) -> str:
    """`clicks` by "channel", "slot" and "post"."""
    people = sum(row.human for row in clicks["channel"])
    others = sum(row.other for row in clicks["channel"])
    return f"""<h1>Numbers</h1>
<p class="lead">A click is counted when somebody follows a link in a message. Programs that look at links before
any reader does are recognised and counted apart. Follow a link in the mailbox and come back: a click takes a second
or two to get here.</p>
<div id="numbers" data-live><div class="tiles"><p class="tile"><span>People</span><b>{people}</b></p>
<p class="tile"><span>Others</span><b>{others}</b> <small>{_say_classes(clicks["channel"])}</small></p></div>
<div class="halves">
<section><h2>By channel</h2>{_write_clicks(clicks["channel"], "Channel", name_channel)}</section>
<section><h2>By kind of link</h2>{_write_clicks(clicks["slot"], "Link", name_slot)}</section></div>
<section><h2>By story</h2>{_write_clicks(clicks["post"], "Story", str)}</section>
<section><h2>Deliveries</h2>{_write_deliveries(deliveries)}</section></div>
<p class="soft">The same at the terminal: <code>{escape(command)}</code></p>"""


def name_slot(slot: str) -> str:
    """What a reader pressed."""
    kind, _, network = slot.partition("_")
    if kind == "share":
        return f"share button for {_NETWORKS.get(network, network)}"
    if kind == "shared":
        return f"shared on {_NETWORKS.get(network, network)}, followed by a friend"
    return _SLOTS.get(slot, slot)


def _say_classes(rows: Sequence[ClickCount]) -> str:
    sums: dict[str, int] = {}
    for row in rows:
        for klass, number in row.classes.items():
            if klass != "human":
                sums[klass] = sums.get(klass, 0) + number
    return ", ".join(f"{number} {_KLASSES.get(klass, klass)}" for klass, number in sums.items())


def _write_clicks(rows: Sequence[ClickCount], title: str, name: Callable[[str], str]) -> str:
    if not rows:
        return '<p class="empty">No clicks yet.</p>'
    most = max(1, *(row.human for row in rows))
    lines = [
        [
            f'<span dir="auto">{escape(name(row.label))}</span>',
            f'<meter min="0" max="{most}" value="{row.human}">{row.human}</meter>',
            str(row.human),
            str(row.other),
        ]
        for row in rows[:20]
    ]
    return write_table({title: "", "": "rod", "People": "number", "Others": "number"}, lines)


def _write_deliveries(deliveries: Mapping[tuple[str, str], int]) -> str:
    states = ("sent", "queued", "held", "unknown", "failed", "skipped")
    names = sorted({name for name, _ in deliveries})
    if not names:
        return '<p class="empty">No deliveries yet.</p>'
    lines = [
        [escape(name_channel(name)), *(str(deliveries.get((name, state), 0)) for state in states)] for name in names
    ]
    return write_table({"Channel": "", **{state.capitalize(): "number" for state in states}}, lines)
