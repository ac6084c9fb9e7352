"""The X timeline as a follower sees it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from urllib.parse import urlsplit

from distributor.channels.x.sandbox_rules import find_links
from distributor.core.sandbox import Sighting
from distributor.demo.cards import Card, Cards
from distributor.demo.newsroom.stories import PAPER
from distributor.demo.pages.frame import count


def write_timeline(posts: Sequence[Sighting], handle: str, cards: Cards) -> str:
    shown = "".join(_write_post(post, handle, cards) for post in reversed(posts))
    empty = '<p class="empty">Nothing yet.</p>'
    return f"""<h1 class="hidden">X</h1>
<p class="lead middle">What followers of the account see. X has looked at each link before them, to draw its card;
the numbers count that apart.</p><div class="timeline">
<header><b>{PAPER}</b><small id="size" data-live>{count(len(posts), "post")}</small></header>
<div id="posts" data-live>{shown or empty}</div></div>"""


def _write_post(post: Sighting, handle: str, cards: Cards) -> str:
    local = datetime.fromtimestamp(post.at)
    text, card_url, accidents = _link_up(post.text)
    card = cards.find(card_url) if card_url else None
    notes = "".join(
        f'<p class="note">X makes a link of “{escape(words)}”, which nobody meant. The product warned the desk.</p>'
        for words in accidents
    )
    return f"""<article><span class="face">HG</span><div><p class="who"><b>{PAPER}</b> <small>@{escape(handle)} ·
{local:%H:%M}</small></p><p class="words" dir="auto">{text}</p>
{_write_card(card, card_url)}{notes}</div></article>"""


def _link_up(text: str) -> tuple[str, str, list[str]]:
    """The words as HTML, the link whose card is shown, and links that came about by accident."""
    pieces, at, card_url, accidents = [], 0, "", []
    for span in find_links(text):
        pieces.append(escape(text[at : span.start]))
        words = text[span.start : span.end]
        if words.startswith("http"):
            card_url = words
            # X shows the card in place of the link that ends a post.
            if text[span.end :].strip():
                pieces.append(_write_link(words))
        else:
            accidents.append(words)
            pieces.append(f"<u>{escape(words)}</u>")
        at = span.end
    pieces.append(escape(text[at:]))
    return "".join(pieces).strip().replace("\n", "<br>"), card_url, accidents


def _write_link(url: str) -> str:
    return f'<a href="{escape(url)}" target="_blank">{escape(urlsplit(url).netloc)}/…</a>'


def _write_card(card: Card | None, url: str) -> str:
    if card is None:
        return f'<p class="words">{_write_link(url)}</p>' if url else ""
    image = (
        f'<img src="{escape(card.image)}" alt="" loading="lazy" width="1200" height="630">' if card.image else ""
    )
    kind = "" if card.image else " flat"
    return f"""<a class="xcard{kind}" href="{escape(url)}" target="_blank">
{image}<span dir="auto">{escape(card.title)}</span></a>
<small class="soft">From {escape(card.host)}</small>"""
