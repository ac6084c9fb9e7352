"""The mailbox: each reader's letters, and one letter as page, as text and with its header."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from distributor.core.sandbox import Sighting
from distributor.demo.letters import find_header, find_unsubscribe, read_headers
from distributor.demo.pages.frame import count, write_moment
from distributor.demo.setting import HARBOUR_READERS, READERS

#: Everybody who could get something, those with both lists first.
BOXES = tuple(
    sorted({*READERS, *HARBOUR_READERS}, key=lambda box: (box not in HARBOUR_READERS or box not in READERS, box))
)
VIEWS = {"letter": "Letter", "text": "Plain text", "header": "Header lines"}


def write_mailbox(mails: Sequence[Sighting], chosen: str) -> str:
    """The letters of one reader, newest first."""
    counts = Counter(mail.recipient for mail in mails)
    boxes = "".join(_write_box(box, counts[box], box == chosen) for box in BOXES)
    own = [(number, mail) for number, mail in enumerate(mails) if mail.recipient == chosen]
    lines = "".join(_write_line(number, mail) for number, mail in reversed(own))
    empty = '<p class="empty">No letters yet. The first one comes with the next due time of the schedule.</p>'
    return f"""<h1>Mailbox</h1>
<p class="lead">Every reader has their own. Choose one, open a letter, follow a link.</p>
<div class="mail"><nav class="boxes" id="boxes" data-live aria-label="Readers">{boxes}</nav>
<div class="letters" id="letters" data-live>{lines or empty}</div></div>"""


def _write_box(box: str, number: int, is_chosen: bool) -> str:
    here = " aria-current=page" if is_chosen else ""
    words = f"<span>{escape(box.partition('@')[0])}</span><b>{number or ''}</b>"
    return f'<a href="/mailbox?reader={quote(box)}"{here} title="{escape(box)}">{words}</a>'


def _write_line(number: int, mail: Sighting) -> str:
    sender = escape(find_header(mail, "from").partition(" <")[0])
    start = escape(_read_start(mail))
    return f"""<a class="line" href="/mailbox/{number}"><span class="from">{sender}</span> {write_moment(mail.at)}
<b dir="auto">{escape(mail.subject)}</b><small>{start}</small></a>"""


def _read_start(mail: Sighting) -> str:
    """The first sentences, without the newspaper's name, headlines and addresses."""
    lines = (line.strip() for line in mail.text.splitlines())
    return " ".join(line for line in lines if line.endswith((".", "!", "?", "…")))[:160]


def write_letter(mails: Sequence[Sighting], number: int, view: str) -> str:
    """One letter in one of its views."""
    mail = mails[number]
    tabs = "".join(
        f'<a href="?as={name}"{" aria-current=page" if name == view else ""}>{label}</a>'
        for name, label in VIEWS.items()
    )
    reader, sender = escape(mail.recipient), escape(find_header(mail, "from"))
    return f"""<p><a class="up" href="/mailbox?reader={quote(mail.recipient)}">Mailbox of {reader}</a></p>
<h1 class="subject" dir="auto">{escape(mail.subject)}</h1>
<div class="envelope"><p><b>{sender}</b><br>to {reader}, {write_moment(mail.at)}</p>{_write_leaving(mail)}</div>
<nav class="tabs">{tabs}</nav>{_write_view(mail, number, view)}"""


def _write_leaving(mail: Sighting) -> str:
    """The button that mail programs show beside the sender when a letter offers it."""
    address = escape(find_unsubscribe(mail))
    if not address:
        return ""
    return f"""<form method="post" action="{address}" target="_blank">
<input type="hidden" name="List-Unsubscribe" value="One-Click"><button class="small">Unsubscribe</button></form>"""


def _write_view(mail: Sighting, number: int, view: str) -> str:
    if view == "text":
        return f'<pre class="sheet">{escape(mail.text)}</pre>'
    if view == "header":
        rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in read_headers(mail))
        size = count(round(len(mail.html.encode()) / 1024) or 1, "kilobyte")
        note = f"The page of this letter has {size}; Gmail clips at 102."
        return f'<dl class="sheet">{rows}</dl><p class="soft">{note}</p>'
    return (
        f'<iframe class="sheet" src="/mailbox/{number}/page" title="The letter as its reader sees it" '
        'sandbox="allow-same-origin allow-popups allow-popups-to-escape-sandbox"></iframe>'
    )


def write_letter_page(mail: Sighting) -> bytes:
    """The letter's own HTML for the frame: links open beside the demo."""
    return mail.html.replace("<head>", '<head><base target="_blank">', 1).encode()
