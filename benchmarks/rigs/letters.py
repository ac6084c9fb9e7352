"""One edition of 12 stories in two shapes: frozen content for us, Jinja2 sources for the usual way."""

from __future__ import annotations

from collections.abc import Iterator

from distributor.channels.email.segments import Letterhead
from distributor.core.message import Content, Edition, Message, Recipient, make_slot

STORIES = 12
DATE = "Mon, 23 Nov 2026 07:30:00 +0000"
SENDER = "The Daily Example <news@example.org>"
HEAD = Letterhead(
    b"The Daily Example <news@example.org>", "example.org", list_id=b"The Daily <readers.example.org>"
)
_STYLE = "font-family:Georgia,'Times New Roman',serif;font-size:17px;line-height:1.5;color:#1a1a1a;margin:0 0 12px"
_WORDS = (
    "The council voted late on Tuesday to keep the old bridge open through the winter while engineers look at its "
    "cables – a decision that divides the town’s two halves. Café owners on the left bank had asked for a year. "
)
_NAMES = ("Ada Example", "Zoë Exempel", "Олена Приклад", "Example, Kim", "", "O'Example")


def make_page(name: str, address: str, link: str) -> str:
    """The HTML part with the given personal values, or marks in their place."""
    stories = "".join(
        f'<tr><td style="padding:16px 24px"><h2 style="{_STYLE}">Story {at}: the bridge, the river & the town</h2>'
        f'<p style="{_STYLE}">{_WORDS * 4}</p><a style="{_STYLE}" href="https://go.example.org/l/story{at:04d}AbCd">'
        f'Read on</a> <a style="{_STYLE}" href="https://go.example.org/l/share{at:04d}EfGh?to=x&amp;u=1">Share</a>'
        "</td></tr>\n"
        for at in range(STORIES)
    )
    return (
        f'<!doctype html><html lang="en"><body><p style="{_STYLE}">Good morning, {name}</p>'
        f'<table role="presentation">{stories}</table>'
        f'<p style="{_STYLE}">Sent to {address}. <a href="{link}">Unsubscribe</a> or '
        f'<a href="{link}">change what you get</a>.</p></body></html>\n'
    )


def make_text(name: str, address: str, link: str) -> str:
    stories = "".join(
        f"Story {at}: the bridge, the river & the town\n{_WORDS * 2}\nhttps://go.example.org/l/text{at:04d}IjKl\n\n"
        for at in range(STORIES)
    )
    return f"Good morning, {name}\n\n{stories}Sent to {address}.\nUnsubscribe: {link}\n"


def make_edition() -> Edition:
    slots = (make_slot("name"), make_slot("address"), make_slot("unsubscribe_url"))
    payload = {
        "subject": "Five things before breakfast: the bridge stays open",
        "html": make_page(*slots),
        "text": make_text(*slots),
        "language": "en",
        "date": DATE,
    }
    return Edition(1, "letter", "morning", "digest", "0123456789abcdef", Content(payload))


def make_messages(edition: Edition, count: int, start: int = 0) -> Iterator[Message]:
    for number in range(start, start + count):
        link = f"https://go.example.org/u/{number:08d}kQ7xTfP2mN9vB4wZ/0123456789abcdef"
        recipient = Recipient(number, f"reader{number}@example.com", _NAMES[number % len(_NAMES)])
        yield Message(number, edition, recipient, {"unsubscribe_url": link})


class UsualWay:
    """Jinja2 twice and an EmailMessage per recipient: what most programs do."""

    def __init__(self) -> None:
        import jinja2

        environment = jinja2.Environment(autoescape=True, keep_trailing_newline=True)
        marks = ("{{ name }}", "{{ address }}", "{{ link }}")
        self._page = environment.from_string(make_page(*marks))
        self._text = jinja2.Environment(keep_trailing_newline=True).from_string(make_text(*marks))

    def build(self, message: Message) -> object:
        from email.headerregistry import Address
        from email.message import EmailMessage
        from email.policy import SMTP

        reader = message.recipient
        link = message.slots["unsubscribe_url"]
        values = {"name": reader.name, "address": reader.address, "link": link}
        mail = EmailMessage(policy=SMTP.clone(max_line_length=998))
        mail["From"] = SENDER
        mail["To"] = Address(reader.name, addr_spec=reader.address)
        mail["Subject"] = message.edition.content.payload["subject"]
        mail["Date"] = DATE
        mail["Message-ID"] = f"<{message.delivery_id}.{message.edition.token}@example.org>"
        mail["List-Id"] = "The Daily <readers.example.org>"
        mail["List-Unsubscribe"] = f"<{link}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        mail.set_content(self._text.render(values), cte="quoted-printable")
        mail.add_alternative(self._page.render(values), subtype="html", cte="quoted-printable")
        return mail
