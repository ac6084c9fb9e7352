"""An edition compiled once into bytes; a recipient's copy is one join.

Nothing is counted, escaped or folded again per copy except the recipient's own few values: the literal parts
are quoted-printable already, no encoded line begins with a dot, and every value stands on soft-broken lines of
its own. `email.message` is the oracle in the tests, never the builder.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from distributor.channels.email.headers import CRLF, encode_mailbox, encode_subject
from distributor.channels.email.readers import Reader
from distributor.core.errors import Unsupported
from distributor.core.message import SLOT_END, SLOT_NAMES, SLOT_START, Edition

#: Longest encoded line without its soft break (RFC 2045 allows 76 with it).
_LINE = 75
_SLOT = re.compile(f"{SLOT_START}([a-z_]+){SLOT_END}")
_OCTETS = [bytes([i]) if (33 <= i <= 126 and i != 61) or i in (9, 32) else b"=%02X" % i for i in range(256)]
#: What `compose` leaves in for the web page; readers of the mail have no use for it.
_TEMPLATE_MARKS = re.compile(r"<!--/?personal-->")
_SHORT_PLAIN = re.compile(rb"(?!\.)[ -<>-~]{0,75}")


def read_slot(reader: Reader, name: str) -> str:
    """The text that stands in a slot for this reader."""
    return str(getattr(reader, name))


def split_slots(text: str) -> list[str]:
    """Text and slot names in turn, text first and last. Raises Unsupported for a slot nobody fills."""
    parts = _SLOT.split(text)
    for name in parts[1::2]:
        if name not in SLOT_NAMES:
            raise Unsupported(
                f'the edition has a personal slot "{name}", but a reader has only {", ".join(SLOT_NAMES)}: '
                "take it out of the template"
            )
    return parts


def fill_slots(text: str, values: Mapping[str, str]) -> str:
    """The text with each slot replaced; names not in `values` become ""."""
    return _SLOT.sub(lambda match: values.get(match[1], ""), text)


#: A piece of a compiled mail: bytes for everyone, or what makes a reader's own bytes.
Field = Callable[[Reader], bytes]
Piece = bytes | tuple[str, Field]
Escape = Callable[[str], str]


class Letter:
    """One edition for SMTP. `join` makes a copy with its final dot, ready for the wire after DATA."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._pieces: list[bytes] = []
        self._places: list[tuple[int, int]] = []
        self._fields: list[Field] = []
        known: dict[str, int] = {}
        for piece in _merge(pieces):
            if isinstance(piece, tuple):
                key, field = piece
                if key not in known:
                    known[key] = len(self._fields)
                    self._fields.append(field)
                self._places.append((len(self._pieces), known[key]))
                piece = b""
            self._pieces.append(piece)

    def join(self, reader: Reader) -> bytes:
        """The same bytes for the same reader at every try."""
        values = [field(reader) for field in self._fields]
        pieces = self._pieces.copy()
        for place, field in self._places:
            pieces[place] = values[field]
        return b"".join(pieces)


def _merge(pieces: Iterable[Piece]) -> list[Piece]:
    merged: list[Piece] = []
    for piece in pieces:
        if merged and isinstance(piece, bytes) and isinstance(last := merged[-1], bytes):
            merged[-1] = last + piece
        else:
            merged.append(piece)
    return merged


@dataclass(frozen=True)
class Letterhead:
    """The headers that are the same for every edition of a channel, encoded."""

    sender: bytes
    domain: str
    reply_to: bytes = b""
    list_id: bytes = b""
    feedback_id: str = ""


def compile_letter(edition: Edition, head: Letterhead) -> Letter:
    """Encode an edition once. Its payload holds subject, html, text, language and date (RFC 5322 text).

    Raises Unsupported when it has nothing to say or a slot that no reader has.
    """
    boundary = f"=_{_to_token(edition.token)}".encode("ascii")
    pieces = _compile_head(edition, head)
    pieces += [b'Content-Type: multipart/alternative;\r\n boundary="', boundary, b'"\r\n\r\n']
    for kind, text, escape in list_bodies(edition):
        # "=_" in the boundary cannot occur in quoted-printable, so no body can hold it.
        pieces += [b"--", boundary, b"\r\nContent-Type: text/", kind.encode(), b"; charset=utf-8\r\n"]
        pieces += [b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"]
        pieces += encode_body(text, escape, kind)
        pieces.append(CRLF)
    pieces += [b"--", boundary, b"--\r\n.\r\n"]
    return Letter(pieces)


def list_bodies(edition: Edition) -> list[tuple[str, str, Escape]]:
    """(subtype, text with slots, how a value is escaped in it) for each part, the plain one first."""
    payload = edition.content.payload
    bodies: list[tuple[str, str, Escape]] = [
        ("plain", payload.get("text", ""), str),
        ("html", _TEMPLATE_MARKS.sub("", payload.get("html", "")), html.escape),
    ]
    if not any(text for _, text, _ in bodies):
        raise Unsupported("the edition is empty: it has neither text nor html")
    return [body for body in bodies if body[1]]


def _to_token(token: str) -> str:
    """Edition tokens are 16 hex characters; whatever else arrives must not break a header."""
    if token.isascii() and token.isalnum() and len(token) <= 40:
        return token
    return hashlib.blake2b(token.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _compile_head(edition: Edition, head: Letterhead) -> list[Piece]:
    payload = edition.content.payload
    ident = f".{_to_token(edition.token)}@{head.domain}>\r\n".encode("ascii")
    lines: list[Piece] = [b"From: ", head.sender, b"\r\nTo: ", ("to", _write_to)]
    lines += [b"\r\nSubject: ", *_compile_subject(payload["subject"]), CRLF]
    if date := payload.get("date"):
        lines.append(b"Date: " + _to_line(date) + CRLF)
    lines += [b"Message-ID: <", ("id", lambda reader: b"%d" % reader.delivery), ident]
    if head.reply_to:
        lines += [b"Reply-To: ", head.reply_to, CRLF]
    if head.list_id:
        lines += [b"List-Id: ", head.list_id, CRLF]
    if head.feedback_id:
        lines.append(
            _to_line(f"Feedback-ID: {edition.id}:{edition.channel}:{edition.form}:{head.feedback_id}") + CRLF
        )
    if language := payload.get("language"):
        lines.append(b"Content-Language: " + _to_line(language) + CRLF)
    # RFC 3834 section 5: a periodic process says so, and List-Id above keeps vacation notices away.
    # Precedence is left out, RFC 2076 discourages it.
    lines.append(b"Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n")
    lines.append(("list-unsubscribe", _write_unsubscribe))
    return lines


def _to_line(text: str) -> bytes:
    return re.sub(r"[^ -~]+", "", text).encode("ascii")


def _write_to(reader: Reader) -> bytes:
    return encode_mailbox(reader.name, reader.address)


def _write_unsubscribe(reader: Reader) -> bytes:
    """RFC 8058: both headers or none, the address on one line of its own whatever its length."""
    if not reader.unsubscribe_url:
        return b""
    url = reader.unsubscribe_url.encode("ascii")
    return b"List-Unsubscribe: <" + url + b">\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"


def _compile_subject(text: str) -> list[Piece]:
    parts = split_slots(text)
    if len(parts) == 1:
        return [encode_subject(text)]

    def write(reader: Reader) -> bytes:
        filled = [part if at % 2 == 0 else read_slot(reader, part) for at, part in enumerate(parts)]
        return encode_subject("".join(filled))

    return [("subject", write)]


def encode_body(text: str, escape: Escape, key: str) -> list[Piece]:
    """Quoted-printable pieces: slots atomic on lines of their own, CRLF, no line that begins with a dot."""
    pieces: list[Piece] = []
    is_line_open = False
    for at, part in enumerate(split_slots(text)):
        if at % 2 == 0:
            literal = encode_text(part)
            pieces.append(literal)
            is_line_open = bool(literal) and not literal.endswith(CRLF)
        else:
            if is_line_open:
                pieces.append(b"=\r\n")
            pieces += [(f"{key}:{part}", _write_slot(part, escape)), b"=\r\n"]
    return pieces


def _write_slot(name: str, escape: Escape) -> Field:
    return lambda reader: encode_value(escape(read_slot(reader, name)))


def encode_value(value: str) -> bytes:
    """A slot's value in quoted-printable, soft-broken where it is long."""
    raw = value.encode("utf-8", "replace")
    return raw if _SHORT_PLAIN.fullmatch(raw) else CRLF.join(_wrap(raw))


def encode_text(text: str) -> bytes:
    """Quoted-printable with CRLF line ends; a blank at a line's end is encoded, or a relay may strip it."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").split(b"\n")
    return CRLF.join(part for line in lines for part in _guard_blank_end(_wrap(line)))


def _wrap(raw: bytes) -> list[bytes]:
    """One hard line as encoded lines of at most 76 octets."""
    quoted = b"".join(map(_OCTETS.__getitem__, raw))
    lines: list[bytes] = []
    while True:
        if quoted.startswith(b"."):
            quoted = b"=2E" + quoted[1:]
        if len(quoted) <= _LINE:
            lines.append(quoted)
            return lines
        escape = quoted.rfind(b"=", _LINE - 2, _LINE)
        end = _LINE if escape < 0 else escape
        lines.append(quoted[:end] + b"=")
        quoted = quoted[end:]


def _guard_blank_end(lines: list[bytes]) -> list[bytes]:
    last = lines[-1]
    if last.endswith((b" ", b"\t")):
        lines[-1:] = [last[:-1] + b"=", b"=%02X" % last[-1]]
    return lines
