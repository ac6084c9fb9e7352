"""The Telegram channel as a follower sees it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

from distributor.channels.telegram.sandbox_html import render_html
from distributor.channels.telegram.sandbox_posts import Post
from distributor.demo.cards import Cards
from distributor.demo.newsroom.stories import PAPER
from distributor.demo.pages.frame import count


def write_telegram(posts: Sequence[Post], chat: str, cards: Cards) -> str:
    """Newest first, so that what just came is where one looks."""
    bubbles = "".join(_write_bubble(post, cards) for post in reversed(posts))
    empty = '<p class="empty">Nothing yet.</p>'
    return f"""<h1 class="hidden">Telegram</h1>
<p class="lead middle">What followers of the channel see. Press a headline or a button: you land in the newsroom and
are counted.</p><div class="phone">
<header><span class="face">HG</span><p><b>{PAPER}</b><small id="size" data-live>{escape(chat)} ·
{count(len(posts), "post")}, newest first</small></p></header>
<div class="chat" id="chat" data-live>{bubbles or empty}</div></div>"""


def _write_bubble(post: Post, cards: Cards) -> str:
    photo = (
        f'<img src="{escape(post.photo)}" alt="" loading="lazy" width="1200" height="630">' if post.photo else ""
    )
    words = render_html(post.words.text, post.words.entities).replace("<a ", '<a target="_blank" ')
    local = datetime.fromtimestamp(post.at)
    edited = "edited " if post.edited else ""
    rows = "".join(_write_buttons(row) for row in post.buttons)
    return f"""<article><div class="bubble">{photo}<div class="words"><p dir="auto">{words}</p>
{_write_card(post, cards)}<small>{edited}{local:%H:%M}</small></div></div>{rows}</article>"""


def _write_buttons(row: Sequence[dict[str, str]]) -> str:
    links = "".join(
        f'<a href="{escape(button.get("url", ""))}" target="_blank">{escape(button["text"])}</a>' for button in row
    )
    return f'<div class="keys">{links}</div>'


def _write_card(post: Post, cards: Cards) -> str:
    """Telegram looks at the story's own page, which `link_preview_options` names."""
    url = str(post.preview.get("url", ""))
    card = cards.find(url) if url and not post.photo else None
    if card is None:
        return ""
    image = f'<img src="{escape(card.image)}" alt="">' if card.image else ""
    return f"""<a class="preview" href="{escape(url)}" target="_blank"><span>{escape(card.host)}</span>
<b dir="auto">{escape(card.title)}</b><small dir="auto">{escape(card.description)}</small>{image}</a>"""
