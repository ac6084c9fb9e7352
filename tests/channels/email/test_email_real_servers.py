"""Mails through real mail servers: every one arrives, once, and says byte for byte what was composed.

With --long: ten thousand mails each.
"""

from __future__ import annotations

import email.message
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from email_support import ADDRESS, LINK, NAME, MakeChannel, RecordingWire, make_edition, make_message, read_mailbox
from mail_servers import WRITERS, MailServer, run_mail_server, why_not

from distributor.core.errors import RecipientGone, SendError
from distributor.core.message import Accepted, Message

TEXT = (
    f"Hello {NAME}\n\n.hidden dot\n..two\nFrom here: Žluťoučký kůň, שלום, 新聞.\n{'long ' * 300}\n\nStop: {LINK}\n"
)
HTML = (
    f'<p dir="rtl">שלום {NAME}</p>\n<p>.</p>\n<a href="{LINK}">Stop</a>\n<p>{ADDRESS}</p>' + "<p>Wort</p>\n" * 200
)


@pytest.fixture(scope="module", params=sorted(WRITERS))
def running(request: pytest.FixtureRequest) -> Iterator[MailServer]:
    if reason := why_not(request.param):
        pytest.skip(reason)
    # Not below pytest's own folder, which is closed to the users that servers turn into.
    with (
        tempfile.TemporaryDirectory(prefix=request.param) as name,
        run_mail_server(request.param, Path(name)) as it,
    ):
        yield it


@pytest.fixture
def server(running: MailServer) -> MailServer:
    """With an empty mailbox."""
    for path in running.list_mails():
        path.unlink()
    return running


@pytest.fixture(params=["pipelined", "plain"])
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["none", "starttls"])
def tls(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def make_readers(count: int) -> list[Message]:
    edition = make_edition(text=TEXT, html=HTML, subject=f"Žluť {NAME}")
    names = ("Ada Example", "Zoë Ünïcode", "שרה", 'O\'Hara, "Bob"', "")
    return [make_message(number, edition, name=names[number % len(names)]) for number in range(1, count + 1)]


def read_part(mail: email.message.Message, kind: str) -> str:
    (part,) = (one for one in mail.walk() if one.get_content_type() == kind)
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode("utf-8").replace("\r\n", "\n")


def fill(text: str, message: Message, escape: bool) -> str:
    for name, slot in (("name", NAME), ("address", ADDRESS), ("unsubscribe_url", LINK)):
        value = message.slots[name]
        text = text.replace(slot, value.replace("'", "&#x27;").replace('"', "&quot;") if escape else value)
    return text


def test_every_mail_arrives_once_and_unchanged(
    server: MailServer, make_channel: MakeChannel, is_long: bool, client: str, tls: str
) -> None:
    if tls == "starttls" and (reason := server.say_why_no_tls()):
        pytest.skip(reason)
    count = 10_000 if is_long and client == "pipelined" else 40
    messages = make_readers(count)
    trust = {"tls": tls, "tls_ca": server.certificate if tls == "starttls" else None}
    channel = make_channel(host="127.0.0.1", port=server.port, connections=8, per_connection=300, **trust)
    for start in range(0, count, 1000):
        outcomes = channel.send(messages[start : start + 1000], RecordingWire())
        assert [outcome for outcome in outcomes if not isinstance(outcome, Accepted)] == []
        assert all(outcome.receipt for outcome in outcomes if isinstance(outcome, Accepted))
    mails = server.wait_for_mails(count, 900 if is_long else 30)
    by_address = {read_mailbox(str(mail["To"]))[1]: mail for mail in mails}
    assert (len(mails), len(by_address)) == (count, count)
    for message in messages:
        mail = by_address[message.recipient.address]
        assert read_part(mail, "text/plain").rstrip("\n") == fill(TEXT, message, escape=False).rstrip("\n")
        assert read_part(mail, "text/html").rstrip("\n") == fill(HTML, message, escape=True).rstrip("\n")
        assert message.slots["unsubscribe_url"] in str(mail["List-Unsubscribe"])


def test_refusals_of_some_readers_leave_the_others_alone(server: MailServer, make_channel: MakeChannel) -> None:
    edition = make_edition()
    gone = {2, 3, 7}
    messages = [
        make_message(number, edition, address="gone@example.com" if number in gone else None)
        for number in range(1, 11)
    ]
    outcomes = make_channel(host="127.0.0.1", port=server.port, tls="none", connections=1).send(
        messages, RecordingWire()
    )
    for message, outcome in zip(messages, outcomes, strict=True):
        assert isinstance(outcome, RecipientGone if message.delivery_id in gone else Accepted), outcome
    assert len(server.wait_for_mails(7, 30)) == 7


def test_a_mail_that_is_too_large_is_refused_and_said_so(server: MailServer, make_channel: MakeChannel) -> None:
    edition = make_edition(html="<p>x</p>\n" * 60_000)
    outcomes = make_channel(host="127.0.0.1", port=server.port, tls="none", connections=1).send(
        [make_message(1, edition), make_message(2, edition)], RecordingWire()
    )
    assert all(isinstance(outcome, SendError) for outcome in outcomes)
    assert server.list_mails() == []
