"""The parts of the status page, each from the same overview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from distributor.core.needs import count, describe_span, total
from distributor.core.reporting import ChannelRow, ClickCount, EditionRow, NoticeRow, ProcessRow, SourceRow
from distributor.pipeline.plan import Forecast
from distributor.web.console.markup import Markup, join, tag
from distributor.web.console.overview import CLICK_DAYS, EDITION_DAYS, Overview
from distributor.web.console.times import Times

#: Heading, states, and how it is coloured when there are some: what may need a person stands first.
GROUPS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("Unknown", ("unknown",), "alarm"),
    ("Held", ("held",), "warning"),
    ("Waiting", ("queued",), ""),
    ("On the way", ("claimed", "sending"), ""),
    ("Sent", ("sent",), "good"),
    ("Failed", ("failed",), "bad"),
    ("Left out", ("skipped",), ""),
    ("Presumed", ("presumed",), ""),
)
_EDITION_STATES = {
    "planned": "to be worded",
    "frozen": "going out",
    "stuck": "waits for you",
    "complete": "done",
    "parked": "cannot be worded",
    "held": "held",
    "dropped": "dropped",
}
_CLASSES = {"preview": "link previews", "prefetch": "prefetches", "scanner": "mail scanners", "bot": "bots"}
MOST_EDITIONS = 12
MOST_COMING = 10
MOST_OF_ONE_SCHEDULE = 2


def draw_figures(view: Overview) -> Markup:
    """All deliveries by state, as a row of figures."""
    figures = []
    for label, states, tone in GROUPS:
        number = total(view.deliveries, *states)
        kind = (tone or "plain") if number else "none"
        figures.append(tag("div", tag("dt", label), tag("dd", f"{number:,}"), class_=kind))
    return tag("dl", figures, class_="figures")


def draw_deliveries(view: Overview) -> Markup:
    names = list(dict.fromkeys([*view.channel_names, *sorted({name for name, _ in view.deliveries})]))
    if not names:
        return _nothing("No channel is set up yet.")
    head = tag("tr", tag("th", "Channel", scope="col"), [tag("th", group[0], scope="col") for group in GROUPS])
    return tag(
        "table", tag("thead", head), tag("tbody", [_channel_counts(view, name) for name in names]), class_="counts"
    )


def _channel_counts(view: Overview, name: str) -> Markup:
    own = {key: number for key, number in view.deliveries.items() if key[0] == name}
    cells = []
    for label, states, tone in GROUPS:
        number = total(own, *states)
        cells.append(
            tag("td", f"{number:,}" if number else "–", data_label=label, class_=tone if number else "none")
        )
    return tag("tr", tag("th", name, scope="row"), cells)


def draw_editions(view: Overview, times: Times) -> Markup:
    if not view.editions:
        return _nothing(f"Nothing in the last {EDITION_DAYS} days.")
    rows = [
        _edition(row, view.readers_by_edition.get(str(row.id), 0), times) for row in view.editions[:MOST_EDITIONS]
    ]
    more = len(view.editions) - MOST_EDITIONS
    rest = tag("p", f"and {more} more: ", tag("code", "distributor editions"), class_="soft") if more > 0 else None
    return join(tag("ul", rows, class_="rows timed"), rest)


def _edition(row: EditionRow, readers: int, times: Times) -> Markup:
    state = "stuck" if _is_stuck(row) else row.state
    where = f"{row.schedule} → {row.channel}, {row.form}"
    facts = [tag("span", f"no. {row.id}"), tag("span", where)]
    if row.audience == 1:
        facts.append(tag("span", _name_counts(row)))
    if readers:
        facts.append(tag("span", f"{count(readers, 'reader')} came back", class_="good"))
    text = tag(
        "div",
        tag(
            "p",
            tag("strong", row.title or "(without a title)"),
            " ",
            tag(
                "span",
                _EDITION_STATES.get(state, state),
                class_=f"state {state if state in _EDITION_STATES else ''}",
            ),
        ),
        tag("p", facts, class_="facts soft"),
        tag("p", row.reason, class_="error") if row.reason else None,
        _progress(row),
    )
    return tag("li", times.at(row.due_at), text)


def _progress(row: EditionRow) -> Markup | None:
    """What became of the audience, as a bar and in words."""
    if row.audience < 2 or not row.counts:
        return None
    parts = _group_counts(row)
    words = f"of {row.audience:,}: {_name_counts(row)}"
    return join(_bar(parts, row.audience), tag("p", words, class_="facts soft"))


def _bar(parts: Sequence[tuple[str, int, str]], audience: int) -> Markup:
    shapes, x = [], 0.0
    for _, number, tone in parts:
        width = 100 * number / audience
        if number and tone:
            shapes.append(tag("rect", x=f"{x:.3f}", y="0", width=f"{width:.3f}", height="4", class_=tone))
        x += width
    return tag("svg", shapes, viewBox="0 0 100 4", preserveAspectRatio="none", class_="bar", aria_hidden="true")


def _group_counts(row: EditionRow) -> list[tuple[str, int, str]]:
    """(label, deliveries, colour), what was sent first."""
    parts = [(label, sum(row.counts.get(state, 0) for state in states), tone) for label, states, tone in GROUPS]
    return sorted(parts, key=lambda part: part[0] != "Sent")


def _name_counts(row: EditionRow) -> str:
    return ", ".join(f"{number:,} {label.lower()}" for label, number, _ in _group_counts(row) if number)


def _is_stuck(row: EditionRow) -> bool:
    """Nothing of it moves any more until a person decides."""
    moving = sum(row.counts.get(state, 0) for state in ("queued", "claimed", "sending"))
    return row.state == "frozen" and not moving and bool(row.counts.get("held") or row.counts.get("unknown"))


def draw_coming(view: Overview, times: Times) -> Markup:
    if not view.coming:
        return _nothing("No schedule is set up yet.")
    shown: dict[str, int] = {}
    rows = []
    for line in view.coming:
        shown[line.schedule] = shown.get(line.schedule, 0) + 1
        if shown[line.schedule] <= MOST_OF_ONE_SCHEDULE:
            rows.append(_coming(line, times))
    return tag("ul", rows[:MOST_COMING], class_="rows timed")


def _coming(line: Forecast, times: Times) -> Markup:
    at = tag("span", "as they come", class_="at soft") if line.due_at is None else times.at(line.due_at)
    where = f"{line.schedule} → {line.channel}, {line.form}"
    if not line.headline:
        return tag("li", at, tag("p", where))
    facts = (tag("span", where), tag("span", f"{count(line.stories, 'story', 'stories')} so far"))
    return tag("li", at, tag("div", tag("p", line.headline), tag("p", facts, class_="facts soft")))


def draw_channels(view: Overview, times: Times) -> Markup:
    names = list(dict.fromkeys([*view.channel_names, *sorted(view.channels)]))
    if not names:
        return _nothing("No channel is set up yet.")
    return tag("ul", [_channel(name, view.channels.get(name), times) for name in names], class_="rows")


def _channel(name: str, row: ChannelRow | None, times: Times) -> Markup:
    if row is None:
        return tag("li", tag("p", tag("strong", name)), tag("p", "not used yet", class_="facts soft"))
    tone = "alarm" if row.is_paused else "warning" if _is_ailing(row) else "good"
    state = tag(
        "span", "paused" if row.is_paused else "failing" if tone == "warning" else "open", class_=f"state {tone}"
    )
    why = tag("p", row.reason, class_="error") if row.is_paused and row.reason else None
    error = None
    if row.last_error and row.last_error != row.reason:
        error = tag(
            "p", times.ago(row.last_error_at), ": ", row.last_error, class_="error" if tone != "good" else "soft"
        )
    accepted = tag("p", tag("span", "last accepted ", times.ago(row.last_ok_at)), class_="facts soft")
    return tag("li", tag("p", tag("strong", name), " ", state), accepted, why, error)


def _is_ailing(row: ChannelRow) -> bool:
    """The last thing that happened was a failure."""
    return row.last_error_at is not None and (row.last_ok_at is None or row.last_ok_at < row.last_error_at)


def draw_sources(view: Overview, times: Times) -> Markup:
    names = list(dict.fromkeys([*view.source_names, *sorted(view.sources)]))
    if not names:
        return _nothing("No source is set up yet.")
    is_known = set(view.source_names)
    return tag("ul", [_source(n, view.sources.get(n), n in is_known, times) for n in names], class_="rows")


def _source(name: str, row: SourceRow | None, is_configured: bool, times: Times) -> Markup:
    if row is None:
        return tag("li", tag("p", tag("strong", name)), tag("p", "not read yet", class_="facts soft"))
    state = (
        tag("span", "failing", class_="state warning") if row.failures else tag("span", "read", class_="state good")
    )
    if not is_configured:
        state = tag("span", "no longer in the configuration", class_="soft")
    facts = [tag("span", "last read ", times.ago(row.last_ok_at))]
    if row.next_poll_at is not None and is_configured:
        facts.append(tag("span", "next ", times.ago(row.next_poll_at)))
    error = tag("p", row.error, class_="error") if row.error and is_configured else None
    return tag("li", tag("p", tag("strong", name), " ", state), tag("p", facts, class_="facts soft"), error)


def draw_clicks(view: Overview) -> Markup:
    if not view.clicks:
        return _nothing(f"No clicks in the last {CLICK_DAYS} days.")
    rows = [
        tag("tr", tag("th", row.label, scope="row"), tag("td", f"{row.human:,}"), tag("td", f"{row.other:,}"))
        for row in view.clicks
    ]
    head = tag("tr", [tag("th", text, scope="col") for text in (f"{CLICK_DAYS} days", "Readers", "Others")])
    stories = [row for row in view.stories if row.human]
    best = tag("ol", [_story(row) for row in stories[:5]], class_="stories") if stories else None
    waiting = view.journal.backlog
    late = (
        tag("p", f"{waiting:,} bytes of clicks are not counted yet.", class_="soft") if waiting > 100_000 else None
    )
    others = tag("p", _name_others(view.clicks), class_="soft")
    return join(tag("table", tag("thead", head), tag("tbody", rows), class_="clicks"), others, best, late)


def _story(row: ClickCount) -> Markup:
    return tag("li", tag("span", row.label), tag("span", f"{row.human:,}", class_="number"))


def _name_others(rows: Sequence[ClickCount]) -> str:
    sums: dict[str, int] = {}
    for row in rows:
        for klass, number in row.classes.items():
            sums[klass] = sums.get(klass, 0) + number
    return f"Others are {_list_others(sums)}." if any(row.other for row in rows) else ""


def _list_others(sums: Mapping[str, int]) -> str:
    others = sorted(((n, klass) for klass, n in sums.items() if klass != "human" and n), reverse=True)
    return ", ".join(f"{number:,} {_CLASSES.get(klass, klass)}" for number, klass in others)


def draw_processes(view: Overview, times: Times) -> Markup:
    if not view.processes:
        return _nothing("No process runs.")
    return tag("ul", [_process(row, times) for row in view.processes], class_="rows")


def _process(row: ProcessRow, times: Times) -> Markup:
    """`times` is this machine's clock and the age the server's; only the age says who is dead."""
    state = tag("span", "taken for dead", class_="state alarm") if row.is_dead else None
    seen = f"seen {describe_span(timedelta(seconds=row.age))} ago"
    facts = (tag("span", row.roles.replace(",", ", ")), tag("span", "started ", times.ago(row.started_at)))
    name = tag("p", tag("strong", f"{row.host} {row.process}"), " ", state)
    return tag("li", name, tag("p", facts, tag("span", seen), class_="facts soft"))


def draw_notices(view: Overview, times: Times) -> Markup:
    if not view.notices:
        return _nothing("Nothing was noted yet.")
    return tag("ul", [_notice(row, times) for row in view.notices[:10]], class_="rows notices")


def _notice(row: NoticeRow, times: Times) -> Markup:
    tone = row.level if row.level in ("alarm", "warning") else "quiet"
    return tag("li", tag("p", row.text), tag("p", times.ago(row.at), class_="facts soft"), class_=tone)


def _nothing(text: str) -> Markup:
    return tag("p", text, class_="soft")
