from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.header import decode_header, make_header
from email.utils import parseaddr

from distributor.channels.email.channel import EmailChannel
from distributor.core.contracts import Site, Wire
from distributor.core.message import Content, Edition, Message, Outcome, Recipient, make_slot

SITE = Site("The Daily Example", "https://go.example.org")
DATE = "Mon, 23 Nov 2026 07:30:00 +0000"
TOKEN = "0123456789abcdef"
NAME, ADDRESS, LINK = (make_slot(name) for name in ("name", "address", "unsubscribe_url"))


#: What the fixture `make_channel` is: a sandbox and changes of its settings -> an open channel.
MakeChannel = Callable[..., EmailChannel]


@dataclass
class RecordingWire(Wire):
    """The pipeline's side: what was asked and told, in order."""

    says_yes: Callable[[int], bool] = lambda index: True
    started: list[list[int]] = field(default_factory=list)
    settled: dict[int, Outcome] = field(default_factory=dict)

    def start(self, indexes: Sequence[int]) -> bool:
        self.started.append(list(indexes))
        return all(map(self.says_yes, indexes))

    def settle(self, index: int, outcome: Outcome) -> None:
        assert index not in self.settled, "an outcome is told once"
        self.settled[index] = outcome


def make_edition(
    text: str = f"Hello {NAME}\n\nRead: https://go.example.org/l/abc\n.hidden dot\n\nStop: {LINK}\n",
    html: str = f'<p>Hello {NAME}</p><a href="https://x.example/a?a=1&amp;b=2">Read</a> <a href="{LINK}">Stop</a>',
    subject: str = "Rain by noon",
    **more: str,
) -> Edition:
    payload = {"subject": subject, "text": text, "html": html, "language": "en", "date": DATE, **more}
    return Edition(1, "letter", "morning", "digest", TOKEN, Content(payload))


def make_message(
    number: int = 1,
    edition: Edition | None = None,
    address: str | None = None,
    name: str = "Ada Example",
    link: str | None = None,
    attempt: int = 1,
) -> Message:
    url = f"https://go.example.org/u/{number}/{TOKEN}" if link is None else link
    recipient = Recipient(number, address or f"reader{number}@example.com", name)
    slots = {"name": name, "address": recipient.address, "unsubscribe_url": url}
    return Message(number, edition or make_edition(), recipient, slots, attempt)


def make_messages(count: int) -> list[Message]:
    edition = make_edition()
    return [make_message(number, edition) for number in range(1, count + 1)]


def read_mailbox(value: str) -> tuple[str, str]:
    """Name and address of an unparsed To value. Not by the parser of `email.policy.default`: up to 3.13 it keeps
    the blank between two encoded words of a name, which RFC 2047 section 6.2 takes out."""
    unfolded = "".join(value.splitlines())
    phrase, _, address = unfolded.rpartition("<")
    if "=?" in phrase and not phrase.startswith('"'):
        return str(make_header(decode_header(phrase.strip()))), address.removesuffix(">")
    return parseaddr(unfolded)


@contextmanager
def one_conversation(*says: bytes, greeting: bytes = b"220 odd\r\n") -> Iterator[int]:
    """A server for one connection: the greeting, then one saying for each line it is sent, then it hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def talk() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(greeting)
            for saying in says:
                if not lines.readline():
                    return
                connection.sendall(saying)

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        thread.join(5)
