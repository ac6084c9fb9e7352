"""The first page: what one sees, what one can do, and what went where."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from html import escape

from distributor.demo.board import Board, Cell, Row
from distributor.demo.newsroom.pages import picture_path
from distributor.demo.newsroom.stories import PAPER
from distributor.demo.pages.frame import Places, count, write_clock

_COLUMNS = {
    "telegram-now": "Telegram",
    "x-now": "X",
    "harbour-alert": "Harbour alert",
    "briefing": "Letter",
}


@dataclass(frozen=True, slots=True)
class Overview:
    """What the page shows besides the board. `next_story` is when a story comes by itself."""

    board: Board
    can_break: bool
    can_correct: bool
    next_story: datetime | None
    mails: int
    mailboxes: int
    posts: int
    tweets: int
    people: int


def write_overview(view: Overview, places: Places) -> str:
    return f"""<section class="intro"><h1>A newsroom publishes. Watch where it goes.</h1>
<p>On this machine runs <b>{PAPER}</b>, a small invented newspaper, and beside it the product with an ordinary
configuration. It polls the paper’s feed, words each story for each channel, and sends it: to Telegram and X at
once, to those who asked for harbour news by mail, and to all readers as a letter with everything new.</p>
<p>Telegram, X and the mail servers are stand-ins on loopback that answer like the real ones. No account is needed
and nothing leaves this machine; only a share button opens the real network’s page. Press a button, look at what
arrives, and follow a link there: you will be counted.</p>
</section>
<div class="desk">{_write_buttons(view)}{_write_letter(view.board)}</div>
{_write_tiles(view, places)}
<section><h2>What went where</h2><div id="board" data-live>{_write_board(view.board, places)}</div></section>"""


def _write_buttons(view: Overview) -> str:
    return f"""<section class="card" id="buttons" data-live><h2>The newsroom’s desk</h2><div class="buttons">
{_write_button("publish", "Publish the next story", True, "first")}
{_write_button("breaking", "Breaking story", view.can_break)}
{_write_button("correct", "Correct a story", view.can_correct)}</div>
<p class="soft">{_say_next(view.next_story)}</p></section>"""


def _write_button(action: str, label: str, is_on: bool, kind: str = "") -> str:
    off = "" if is_on else " disabled"
    return f'<form method="post" action="/{action}"><button class="{kind}"{off}>{label}</button></form>'


def _say_next(at: datetime | None) -> str:
    if at is None:
        return "A story comes by itself every minute while somebody is looking."
    return f"The next one comes by itself in {_write_countdown(at)}."


def _write_countdown(at: datetime) -> str:
    return f'<b data-until="{at.timestamp():.0f}">a moment</b>'


def _write_letter(board: Board) -> str:
    if board.next_letter is None:
        words = "<p>The product is starting.</p>"
    elif board.waiting < board.fewest:
        words = (
            f"<p>{count(board.waiting, 'story waits', 'stories wait')} for it. It needs {board.fewest}, so that "
            "nobody gets a letter for next to nothing.</p>"
        )
    else:
        words = (
            f"<p>{count(board.waiting, 'story leaves', 'stories leave')} in {_write_countdown(board.next_letter)}, "
            f"at {write_clock(board.next_letter)}.</p>"
        )
    return f"""<section class="card" id="letter" data-live><h2>The next letter</h2>{words}
<p class="soft">Its schedule says <code>every: 1m</code>. There is no back door: the demo waits as readers do.</p>
</section>"""


def _write_tiles(view: Overview, places: Places) -> str:
    tiles = (
        ("/mailbox", "Mailbox", count(view.mails, "mail"), f"in {count(view.mailboxes, 'mailbox', 'mailboxes')}"),
        ("/telegram", "Telegram", count(view.posts, "post"), "in the channel"),
        ("/x", "X", count(view.tweets, "post"), "on the timeline"),
        ("/numbers", "Numbers", count(view.people, "click"), "by people"),
    )
    shown = "".join(
        f'<a class="tile" href="{href}"><span>{name}</span><b>{number}</b> <small>{words}</small></a>'
        for href, name, number, words in tiles
    )
    return f'<div class="tiles" id="tiles" data-live>{shown}</div>'


def _write_board(board: Board, places: Places) -> str:
    if not board.rows:
        return '<p class="empty">Nothing yet. The first stories come in a few seconds.</p>'
    heads = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS.values())
    rows = "".join(_write_row(row, places) for row in board.rows[:25])
    return f"""<div class="scroll"><table class="board"><thead><tr><th scope="col">Story</th>{heads}</tr></thead>
<tbody>{rows}</tbody></table></div>
<p class="soft">“–”: the schedule does not take this story. X leaves out the weather, alerts are for the harbour
only. The number behind an arrow is how many people came back from there.</p>"""


def _write_row(row: Row, places: Places) -> str:
    article = row.article
    address = escape(places.newsroom)
    picture = (
        f'<img src="{address}{picture_path(article)}" alt="" loading="lazy">'
        if article.story.picture
        else "<i></i>"
    )
    badges = '<em class="hot">Breaking</em>' if article.story.is_breaking else ""
    badges += "<em>Corrected</em>" if article.is_corrected else ""
    cells = "".join(_write_cell(row.cells.get(name), name, bool(row.cells)) for name in _COLUMNS)
    return f"""<tr><th scope="row"><a href="{address}{article.path}" target="_blank">{picture}
<span><b dir="auto">{escape(article.story.headline)}</b><small><bdi>{escape(article.story.section)}</bdi> ·
{write_clock(article.published_at)} {badges}</small></span></a></th>{cells}</tr>"""


def _write_cell(cell: Cell | None, name: str, is_known: bool) -> str:
    return f'<td data-label="{_COLUMNS[name]}"><div>{_say_cell(cell, name, is_known)}</div></td>'


def _say_cell(cell: Cell | None, name: str, is_known: bool) -> str:
    if cell is None:
        return "–" if is_known else "<small>not polled yet</small>"
    if cell.trouble:
        return f'<span class="bad">{escape(cell.trouble)}</span>'
    if not cell.audience or (cell.audience == 1 and not cell.sent):
        return f"<small>{'waits for the letter' if name == 'briefing' else 'on its way'}</small>"
    at = write_clock(cell.at) if cell.at else ""
    number = f" ×{cell.sent}" if cell.audience > 1 else ""
    shown = (
        f'<span class="good">✓</span> {at}{number}'
        if cell.is_out
        else f"<small>{cell.sent} of {cell.audience}</small>"
    )
    back = f' <b class="back" title="people who came back">↩ {cell.people}</b>' if cell.people else ""
    notes = '<small class="note">words before the correction</small>' if cell.is_outdated else ""
    notes += f'<small class="note">{escape(cell.warning)}</small>' if cell.warning else ""
    return f"{shown}{back}{notes}"
