"""The sandboxes are as strict as the services: what they let pass, a real one may not refuse."""

from __future__ import annotations

import http.client
import json
import smtplib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from distributor.channels.email.sandbox_sendgrid import SendgridSandbox
from distributor.channels.email.sandbox_smtp import SmtpSandbox

Ask = Callable[[bytes], bytes]


@pytest.fixture
def ask(smtp: SmtpSandbox) -> Iterator[Ask]:
    """Sends a line and reads one reply line."""
    with (
        socket.create_connection(("127.0.0.1", smtp.port), timeout=5) as connection,
        connection.makefile("rb") as lines,
    ):
        assert lines.readline().startswith(b"220 ")

        def talk(line: bytes) -> bytes:
            connection.sendall(line)
            reply = lines.readline()
            while reply[3:4] == b"-":
                reply = lines.readline()
            return reply

        yield talk


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"MAIL FROM:<a@x.example>\n", b"500"),
        (b"MAIL FROM: <a@x.example>\r\n", b"501"),
        (b"MAIL FROM:<a@x.example> <b@x.example>\r\n", b"501"),
        (b"MAIL FROM:a@x.example\r\n", b"501"),
        (b"RCPT TO:<b@x.example>\r\n", b"503"),
        (b"DATA\r\n", b"503"),
        (b"EHLO\r\n", b"501"),
        (b"WIZ\r\n", b"502"),
        (b"STARTTLS\r\n", b"502"),
        (b"NOOP\r\n", b"250"),
        (b"QUIT\r\n", b"221"),
    ],
)
def test_the_relay_knows_its_grammar(ask: Ask, line: bytes, reply: bytes) -> None:
    assert ask(b"EHLO me\r\n").startswith(b"250 ")
    assert ask(line).startswith(reply)


def test_the_relay_wants_a_greeting_and_one_recipient(ask: Ask) -> None:
    assert ask(b"MAIL FROM:<a@x.example>\r\n").startswith(b"503")
    ask(b"EHLO me\r\n")
    assert ask(b"MAIL FROM:<a@x.example>\r\n").startswith(b"250")
    assert ask(b"MAIL FROM:<a@x.example>\r\n").startswith(b"503")
    assert ask(b"RCPT TO:<b@x.example>, <c@x.example>\r\n").startswith(b"501")
    assert ask(b"RCPT TO:<b@x.example>\r\n").startswith(b"250")
    assert ask(b"RCPT TO:<c@x.example>\r\n").startswith(b"452")


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        (b"Subject: x\r\n\r\nx\r\n.\r\n", b"250"),
        (b"Subject: x\n\r\nx\r\n.\r\n", b"554"),
        (b"Subject: x\r\ry\r\n\r\nx\r\n.\r\n", b"554"),
        (b"Subject: \xc3\xa9\r\n\r\n.\r\n", b"554"),
        (b"Subject: " + b"x" * 1000 + b"\r\n\r\n.\r\n", b"554"),
    ],
)
def test_the_relay_reads_mails_at_their_word(ask: Ask, smtp: SmtpSandbox, body: bytes, reply: bytes) -> None:
    ask(b"EHLO me\r\n")
    ask(b"MAIL FROM:<a@x.example>\r\n")
    ask(b"RCPT TO:<b@x.example>\r\n")
    assert ask(b"DATA\r\n").startswith(b"354")
    assert ask(body).startswith(reply)
    assert smtp.count == (1 if reply == b"250" else 0)


def test_the_relay_refuses_what_is_too_large() -> None:
    with SmtpSandbox(size=2000) as smtp, smtplib.SMTP("127.0.0.1", smtp.port) as client:
        with pytest.raises(smtplib.SMTPDataError) as caught:
            client.sendmail("a@x.example", ["b@x.example"], "Subject: x\r\n\r\n" + "x\r\n" * 2000)
        assert caught.value.smtp_code == 552


def test_the_relay_keeps_a_mail_as_its_reader_sees_it(smtp: SmtpSandbox) -> None:
    mail = (
        "Subject: =?utf-8?q?Caf=C3=A9?=\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        "<img src='http://x.example/i.png'>\r\n.<a href='http://x.example/?a=1&amp;b=2'>x</a>\r\n"
    )
    with smtplib.SMTP("127.0.0.1", smtp.port) as client:
        client.sendmail("a@x.example", ["b@x.example"], mail)
    (sight,) = smtp.seen
    assert (sight.recipient, sight.subject, sight.text) == ("b@x.example", "Café", "")
    assert (sight.image, sight.links) == ("http://x.example/i.png", ("http://x.example/?a=1&b=2",))
    assert sight.raw == mail.encode()


def test_the_relay_takes_both_ways_to_log_in() -> None:
    with SmtpSandbox(username="news", password="s3cret") as smtp:
        for way in ("auth_plain", "auth_login"):
            with smtplib.SMTP("127.0.0.1", smtp.port) as client:
                client.ehlo()
                client.user, client.password = "news", "s3cret"
                assert client.auth(way.removeprefix("auth_").upper(), getattr(client, way))[0] == 235
        with smtplib.SMTP("127.0.0.1", smtp.port) as client:
            client.ehlo()
            assert client.docmd("MAIL FROM:<a@x.example>")[0] == 530


def test_what_was_seen_outlives_a_restart(smtp: SmtpSandbox) -> None:
    with smtplib.SMTP("127.0.0.1", smtp.port) as client:
        client.sendmail("a@x.example", ["b@x.example"], "Subject: x\r\n\r\n")
    smtp.stop()
    smtp.stop()
    smtp.start()
    assert len(smtp.seen) == 1


@pytest.mark.parametrize("sandbox", [SmtpSandbox, SendgridSandbox])
def test_an_answer_nobody_knows_is_refused(sandbox: Any) -> None:
    with pytest.raises(ValueError, match="no answer called 'shrug'"):
        sandbox().script("shrug")


def make_call(**changes: Any) -> dict[str, Any]:
    return {
        "personalizations": [{"to": [{"email": "a@x.example"}]}],
        "from": {"email": "news@x.example"},
        "subject": "x",
        "content": [{"type": "text/plain", "value": "x"}],
        **changes,
    }


def post(sendgrid: SendgridSandbox, body: Any, **headers: str) -> tuple[int, str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", sendgrid.port, timeout=5)
    head = {"Authorization": f"Bearer {sendgrid.api_key}", "Content-Type": "application/json", **headers}
    connection.request("POST", "/v3/mail/send", body if isinstance(body, bytes) else json.dumps(body), head)
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    errors = (
        json.loads(answer)["errors"][0] if answer else {"message": "", "field": response.headers["X-Message-Id"]}
    )
    return response.status, errors["message"], errors["field"]


def people(*addresses: str, **more: Any) -> list[dict[str, Any]]:
    return [{"to": [{"email": address}], **more} for address in addresses]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"personalizations": []}, "personalizations"),
        ({"personalizations": people(*[f"r{at}@x.example" for at in range(1001)])}, "personalizations"),
        ({"personalizations": people("a@x.example", "b@x.example", "A@X.example")}, "personalizations"),
        ({"personalizations": people("a@x.example", "no address")}, "personalizations.1.to.0.email"),
        ({"personalizations": [{"to": []}]}, "personalizations.0.to"),
        (
            {"personalizations": [{"to": [{"email": "a@x.example", "name": "a, b"}]}]},
            "personalizations.0.to.0.name",
        ),
        (
            {"personalizations": people("a@x.example", headers={"Subject": "x"})},
            "personalizations.0.headers.Subject",
        ),
        (
            {"personalizations": people("a@x.example", headers={"List-Id": "é"})},
            "personalizations.0.headers.List-Id",
        ),
        ({"personalizations": people("a@x.example", substitutions={"-a-": 1})}, "personalizations.0.substitutions"),
        (
            {"personalizations": people("a@x.example", substitutions={"-a-": "x" * 10_000})},
            "personalizations.0.substitutions",
        ),
        ({"personalizations": people("a@x.example", colour="red")}, "personalizations.0"),
        ({"from": {}}, "from.email"),
        ({"reply_to": {"email": "x"}}, "reply_to.email"),
        ({"subject": ""}, "subject"),
        ({"content": []}, "content"),
        ({"content": [{"type": "text/plain", "value": ""}]}, "content.0.value"),
        ({"content": [{"type": "text/html", "value": "x"}, {"type": "text/plain", "value": "x"}]}, "content"),
    ],
)
def test_sendgrid_refuses_what_its_documents_refuse(
    sendgrid: SendgridSandbox, changes: dict[str, Any], field: str
) -> None:
    status, message, found = post(sendgrid, make_call(**changes))
    assert (status, found) == (400, field)
    assert message
    assert sendgrid.seen == []


def test_sendgrid_names_the_address_that_stands_twice(sendgrid: SendgridSandbox) -> None:
    _, message, _ = post(sendgrid, make_call(personalizations=people("a@x.example", "a@x.example")))
    assert message == (
        "Each unique email address in the personalizations array should only be included once. "
        "You have included [a@x.example] more than once."
    )


def test_sendgrid_wants_its_key_and_json(sendgrid: SendgridSandbox) -> None:
    assert post(sendgrid, make_call(), Authorization="Bearer no")[0] == 401
    assert post(sendgrid, make_call(), **{"Content-Type": "text/plain"})[0] == 415
    assert post(sendgrid, b"not json")[0] == 400
    assert post(sendgrid, {**make_call(), "colour": "red"})[0] == 400
    assert post(sendgrid, make_call())[0] == 202


def test_sendgrid_fills_in_what_each_reader_has(sendgrid: SendgridSandbox) -> None:
    call = make_call(
        personalizations=people("a@x.example", substitutions={"-n-": "Ann"}),
        subject="Hi -n-",
        content=[{"type": "text/plain", "value": "Dear -n-, see https://x.example/1"}],
    )
    status, _, receipt = post(sendgrid, call)
    (sight,) = sendgrid.seen
    assert status == 202
    assert (sight.subject, sight.text, sight.receipt) == ("Hi Ann", "Dear Ann, see https://x.example/1", receipt)
    assert sight.links == ("https://x.example/1",)
