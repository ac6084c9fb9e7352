"""The frame around every page, and small words that many of them need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape

NAMES = {"telegram": "Telegram", "x": "X", "letter": "Letter", "harbour": "Harbour alert"}
_PAGES = (
    ("/", "Overview"),
    ("/mailbox", "Mailbox"),
    ("/telegram", "Telegram"),
    ("/x", "X"),
    ("/numbers", "Numbers"),
    ("/inside", "Inside"),
)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the other parts of the demo are."""

    newsroom: str
    product: str


def write_page(title: str, path: str, body: str, places: Places, *, alarm: str = "", live: bool = True) -> bytes:
    """A whole page. Elements with `data-live` and an id are kept fresh while the page is open."""
    links = "".join(
        f'<a href="{href}"{" aria-current=page" if href == path else ""}>{name}</a>' for href, name in _PAGES
    )
    warning = f'<p class="alarm" role="alert">{escape(alarm)}</p>' if alarm else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)} · distributor demo</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">
<link rel="icon" href="{escape(places.newsroom)}/icon.svg"><link rel="stylesheet" href="/look.css">
<script src="/live.js" defer></script></head>
<body{" data-refresh" if live else ""}>
<header class="bar"><a class="mark" href="/">distributor <span>demo</span></a><nav>{links}
<a href="{escape(places.newsroom)}/" target="_blank">Newsroom</a>
<a href="{escape(places.product)}/" target="_blank">Status page</a></nav></header>
<main>{warning}{body}</main></body></html>
""".encode()


def write_clock(at: datetime) -> str:
    """A time of day in this machine's zone."""
    local = at.astimezone()
    return f'<time datetime="{at.isoformat(timespec="seconds")}">{local:%H:%M:%S}</time>'


def write_moment(seconds: float) -> str:
    local = datetime.fromtimestamp(seconds).astimezone()
    return f'<time datetime="{local.isoformat(timespec="seconds")}">{local.day} {local:%b}, {local:%H:%M}</time>'


def count(number: int, one: str, many: str = "") -> str:
    """ "1 story", "3 stories"."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def name_channel(name: str) -> str:
    return NAMES.get(name, name)


def write_table(head: Mapping[str, str], rows: list[list[str]]) -> str:
    """`head` maps a column's title to its class; cells are HTML already."""
    titles = "".join(f'<th scope="col" class="{css}">{title}</th>' for title, css in head.items())
    lines = "".join(
        "<tr>"
        + "".join(f'<td class="{css}">{cell}</td>' for cell, css in zip(row, head.values(), strict=True))
        + "</tr>"
        for row in rows
    )
    table = f"<table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table>"
    return f'<div class="scroll">{table}</div>'
