"""A compiled letter against `email.message`, which is the oracle here and never the builder."""

from __future__ import annotations

import html
from email import message_from_bytes, policy
from email.headerregistry import Address
from email.message import EmailMessage

import pytest
from email_support import ADDRESS, DATE, LINK, NAME, TOKEN, make_edition, make_message, read_mailbox
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from distributor.channels.email.readers import Reader, read_recipients
from distributor.channels.email.segments import Letterhead, compile_letter, encode_text, fill_slots
from distributor.core.errors import MessageRefused, RecipientGone, Unsupported
from distributor.core.message import SLOT_END, SLOT_START, Edition, Message, make_slot
from distributor.core.text_clean import clean_text

HEAD = Letterhead(b"The Daily <news@example.org>", "example.org", b"desk@example.org", b"<readers.example.org>")
ORACLE = policy.SMTP.clone(max_line_length=998)

# fmt: off
words = st.one_of(
    st.text(st.characters(exclude_categories=("Cs", "Co"), exclude_characters="\r"), max_size=120),
    st.sampled_from([
        ".", "..", "\n.", "\n..\n", ".\n", " \n", "\t\n", "=", "==\n", "=E9", "x" * 200, "é" * 60, "From me\n",
        "\n\n", "--=_" + TOKEN, "שלום עולם", "مرحبا", "a" * 74 + ".", "a" * 75 + "..", " " * 80,
        "<a href='x'>&amp;</a>", "😀" * 30,
    ]),
)
# fmt: on
bodies = st.lists(st.one_of(words, st.sampled_from([NAME, ADDRESS, LINK])), max_size=12).map("".join)
names = st.one_of(
    st.text(st.characters(exclude_categories=("Cs", "Co", "Cc", "Cn")), max_size=40),
    st.sampled_from(["", "Ada Example", 'O\'Hara, "Jr"', "Zoë", "שרה", ".", "=?utf-8?q?x?=", "<b>&amp;", "..=="]),
)
links = st.sampled_from(
    ["https://go.example.org/u/1?a=1&b=2", "https://go.example.org/" + "x=." * 100, "http://127.0.0.1:8/u"]
)


def read(message: Message) -> Reader:
    readers, refused = read_recipients([message])
    assert not refused
    ((_, reader),) = readers.list_rows()
    return reader


def build(edition: Edition, message: Message) -> bytes:
    return compile_letter(edition, HEAD).join(read(message))


def parse(data: bytes) -> EmailMessage:
    message = message_from_bytes(data.removesuffix(b".\r\n"), policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def build_oracle(edition: Edition, reader: Reader) -> EmailMessage:
    payload = edition.content.payload
    plain = {"name": reader.name, "address": reader.address, "unsubscribe_url": reader.unsubscribe_url}
    mail = EmailMessage(policy=ORACLE)
    mail["From"] = "The Daily <news@example.org>"
    mail["To"] = Address(reader.name, addr_spec=reader.address)
    mail["Subject"] = " ".join(fill_slots(payload["subject"], plain).split())
    mail["Date"] = DATE
    mail["Message-ID"] = f"<{reader.delivery}.{TOKEN}@example.org>"
    mail["Reply-To"] = "desk@example.org"
    mail["List-Id"] = "<readers.example.org>"
    mail["Auto-Submitted"] = "auto-generated"
    if reader.unsubscribe_url:
        mail["List-Unsubscribe"] = f"<{reader.unsubscribe_url}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content(fill_slots(payload["text"], plain) + "\n", cte="quoted-printable")
    escaped = {name: html.escape(value) for name, value in plain.items()}
    mail.add_alternative(fill_slots(payload["html"], escaped) + "\n", subtype="html", cte="quoted-printable")
    # Set before, it would move into the first part.
    mail["Content-Language"] = "en"
    return mail


def read_headers(mail: EmailMessage) -> dict[str, str | tuple[str, str]]:
    headers: dict[str, str | tuple[str, str]] = {key: str(value) for key, value in mail.items()}
    for key, value in mail.raw_items():
        if key == "To":
            headers[key] = read_mailbox(str(value))
    return {key: value for key, value in headers.items() if key not in ("Content-Type", "MIME-Version")}


def read_body(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


@given(bodies, bodies, names, links)
@settings(max_examples=150, deadline=None)
@example(f".{NAME}\n.{NAME}.{LINK}.", f"{NAME}{NAME}", ".", "https://go.example.org/u/1")
@example("x" * 75 + NAME, "é" * 25 + NAME + " ", "", "https://go.example.org/u/1")
def test_a_letter_reads_as_the_oracle_reads(text: str, page: str, name: str, link: str) -> None:
    edition = make_edition(text=text + "\nend", html=page + "\n<end>")
    # The oracle writes such a name as it is, and programs then decode it; test_email_headers.py has ours.
    assume("=?" not in name)
    message = make_message(name=name, link=link)
    ours = parse(build(edition, message))
    oracle = parse(build_oracle(edition, read(message)).as_bytes() + b".\r\n")
    for kind in ("plain", "html"):
        assert read_body(ours, kind) + "\n" == read_body(oracle, kind)
    assert read_headers(ours) == read_headers(oracle)


@given(bodies, bodies, names, links)
@settings(max_examples=100, deadline=None)
def test_a_letter_is_ready_for_the_wire(text: str, page: str, name: str, link: str) -> None:
    data = build(make_edition(text="x" + text, html="x" + page), make_message(name=name, link=link))
    assert data.endswith(b"\r\n.\r\n")
    lines = data[:-3].split(b"\r\n")
    assert data.isascii()
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert not any(line.startswith(b".") for line in lines)
    head = lines.index(b"")
    assert max(map(len, lines[head:])) <= 76
    assert max(map(len, lines)) <= 998


@given(st.text(st.characters(exclude_categories=("Cs", "Co")), max_size=200), names)
@settings(deadline=None)
def test_a_subject_may_hold_a_name(subject: str, name: str) -> None:
    edition = make_edition(subject=f"{subject} {NAME} {subject}")
    message = make_message(name=name)
    ours = parse(build(edition, message))
    assert len(ours.get_all("Subject", [])) == 1
    assert len(ours.get_all("To", [])) == 1
    assert str(ours["Subject"]) == " ".join(clean_text(f"{subject} {read(message).name} {subject}").split())


def test_the_unsubscribe_headers_follow_rfc_8058_however_long_the_address() -> None:
    link = "https://go.example.org/unsubscribe/" + "x" * 300
    lines = build(make_edition(), make_message(link=link)).split(b"\r\n")
    assert b"List-Unsubscribe: <" + link.encode() + b">" in lines
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in lines
    assert b"List-Id: <readers.example.org>" in lines


def test_without_an_unsubscribe_address_neither_header_is_there() -> None:
    assert b"List-Unsubscribe" not in build(make_edition(text="x", html="x"), make_message(link=""))


def test_the_message_id_is_the_deliverys_own_at_every_try() -> None:
    first, again = (build(make_edition(), make_message(7, attempt=attempt)) for attempt in (1, 2))
    assert first == again
    assert f"Message-ID: <7.{TOKEN}@example.org>\r\n".encode() in first
    assert f"<8.{TOKEN}@example.org>".encode() in build(make_edition(), make_message(8))


def test_every_value_is_escaped_for_its_place() -> None:
    edition = make_edition(
        subject=f"Hi {NAME}", text=NAME, html=f'<p title="{NAME}">{NAME}</p><a href="{LINK}">x</a>'
    )
    mail = parse(build(edition, make_message(name="<b>\"'&", link="https://x.example/?a=1&b=2")))
    assert str(mail["Subject"]) == "Hi <b>\"'&"
    assert read_body(mail, "plain") == "<b>\"'&"
    safe = "&lt;b&gt;&quot;&#x27;&amp;"
    assert read_body(mail, "html") == f'<p title="{safe}">{safe}</p><a href="https://x.example/?a=1&amp;b=2">x</a>'


def test_a_name_with_line_ends_cannot_add_a_header_or_a_reader() -> None:
    data = build(make_edition(), make_message(name="Eve\r\nBcc: all@example.com\0\u2028x"))
    mail = parse(data)
    assert "Bcc" not in mail
    (address,) = mail["To"].addresses
    assert (address.display_name, address.addr_spec) == ("Eve Bcc: all@example.com x", "reader1@example.com")


def test_the_marks_of_the_template_are_not_sent() -> None:
    edition = make_edition(html="<p>a</p><!--personal--><p>b</p><!--/personal-->")
    assert read_body(parse(build(edition, make_message())), "html") == "<p>a</p><p>b</p>"


def test_an_edition_with_one_part_has_one_part() -> None:
    mail = parse(build(make_edition(html=""), make_message()))
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain"]


@pytest.mark.parametrize(
    ("text", "page"), [("", ""), (make_slot("phone"), "x"), ("x", f"{SLOT_START}iban{SLOT_END}")]
)
def test_an_empty_edition_or_an_unknown_slot_is_unsupported(text: str, page: str) -> None:
    with pytest.raises(Unsupported):
        compile_letter(make_edition(text=text, html=page), HEAD)


def test_an_odd_token_cannot_break_a_header() -> None:
    edition = make_edition()
    odd = Edition(1, "letter", "s", "each", 'x"\r\nBcc: y', edition.content)
    mail = parse(build(odd, make_message(edition=odd)))
    assert "Bcc" not in mail
    assert read_body(mail, "plain").startswith("Hello Ada")


def test_a_feedback_id_names_edition_channel_and_form() -> None:
    head = Letterhead(b"news@example.org", "example.org", feedback_id="dailyexample")
    data = compile_letter(make_edition(), head).join(read(make_message()))
    assert b"Feedback-ID: 1:letter:digest:dailyexample\r\n" in data


@pytest.mark.parametrize(
    ("text", "encoded"), [("a \n", b"a=\r\n=20\r\n"), ("a\r\nb\rc", b"a\r\nb\r\nc"), (".a", b"=2Ea")]
)
def test_blanks_and_line_ends_are_written_so_that_relays_keep_them(text: str, encoded: bytes) -> None:
    assert encode_text(text) == encoded


def test_readers_that_cannot_be_written_to_are_sorted_out() -> None:
    messages = [make_message(1), make_message(2, address="a@x>, <evil@y"), make_message(3, link="ftp://x")]
    messages.append(make_message(4, address="anna@приклад.укр"))
    readers, refused = read_recipients(messages)
    assert {place: type(error) for place, error in refused.items()} == {1: RecipientGone, 2: MessageRefused}
    assert list(readers.places) == [0, 3]
    assert readers.addresses == ["reader1@example.com", "anna@xn--80aikifvh.xn--j1amh"]
    assert "evil" not in str(refused[1])
