"""The status page as HTML: one page, no script, the same facts at 320 and at 1200 pixels."""

from __future__ import annotations

from distributor.core.contracts import Site
from distributor.core.needs import Need, count
from distributor.web.console import sections
from distributor.web.console.markup import Child, Markup, join, tag
from distributor.web.console.overview import Overview, find_needs
from distributor.web.console.times import Times

REFRESH_SECONDS = 60


def draw_page(site: Site, view: Overview, style: str) -> str:
    """The whole page. Pure."""
    needs, times = find_needs(view), Times(view.now, site.timezone)
    body = join(
        _header(site, times),
        tag("main", _verdict(view, needs), sections.draw_figures(view), _columns(view, times)),
        tag("footer", tag("p", "More: ", tag("code", "distributor --help"), ". This page changes nothing.")),
    )
    mark = f"({len(needs)}) " if needs else ""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", http_equiv="refresh", content=str(REFRESH_SECONDS)),
        tag("title", f"{mark}{site.name}: status"),
        tag("style", Markup(style)),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', body), lang='en')}\n"


def _header(site: Site, times: Times) -> Markup:
    clock = f"{times.local(times.now):%H:%M}, {times.zone_name}"
    return tag("header", tag("p", site.name, class_="name"), tag("p", f"Status at {clock}", class_="soft"))


def _verdict(view: Overview, needs: list[Need]) -> Markup:
    if not needs and not view.channel_names and not view.source_names:
        text = tag(
            "p", "Fill in sources, channels and schedules, then type ", tag("code", "distributor check"), "."
        )
        return tag("section", tag("h1", "Nothing is set up yet."), text, class_="verdict")
    if not needs:
        return tag(
            "section",
            tag("h1", "All is well."),
            tag("p", "Nothing waits for you.", class_="lead"),
            class_="verdict",
        )
    things = count(len(needs), "thing needs you", "things need you")
    return tag(
        "section",
        tag("h1", f"{things}."),
        tag("ul", [_need(need) for need in needs], class_="needs"),
        class_="verdict",
    )


def _need(need: Need) -> Markup:
    commands = [tag("code", command) for command in need.commands]
    return tag(
        "li", tag("p", need.what), tag("p", commands, class_="type") if commands else None, class_=need.level
    )


def _columns(view: Overview, times: Times) -> Markup:
    wide = (
        _section("Editions", sections.draw_editions(view, times)),
        _section("Coming up", sections.draw_coming(view, times)),
        _section("Deliveries by channel", sections.draw_deliveries(view)),
    )
    narrow = (
        _section("Channels", sections.draw_channels(view, times)),
        _section("Sources", sections.draw_sources(view, times)),
        _section("Readers who came back", sections.draw_clicks(view)),
        _section("Processes", sections.draw_processes(view, times)),
        _section("Lately", sections.draw_notices(view, times)),
    )
    return tag("div", tag("div", wide, class_="wide"), tag("div", narrow, class_="narrow"), class_="columns")


def _section(title: str, content: Child) -> Markup:
    return tag("section", tag("h2", title), content)
