"""An edition compiled once into bytes; a recipient's copy is one join.

Nothing is counted, escaped or folded again per copy except the recipient's own few values: the literal parts
are quoted-printable already, no encoded line begins with a dot, and every value stands on soft-broken lines of
its own. `email.message` is the oracle in the tests, never the builder.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from distributor.channels.email.headers import CRLF, encode_mailboxes, encode_subject
from distributor.channels.email.readers import Reader, Readers
from distributor.core.errors import Unsupported
from distributor.core.message import SLOT_END, SLOT_NAMES, SLOT_START, Edition

#: Longest encoded line without its soft break (RFC 2045 allows 76 with it).
_LINE = 75
_SLOT = re.compile(f"{SLOT_START}([a-z_]+){SLOT_END}")
_OCTETS = [bytes([i]) if (33 <= i <= 126 and i != 61) or i in (9, 32) else b"=%02X" % i for i in range(256)]
#: What `compose` leaves in for the web page; readers of the mail have no use for it.
_TEMPLATE_MARKS = re.compile(r"<!--/?personal-->")
_SHORT_PLAIN = re.compile(rb"(?!\.)[ -<>-~]{0,75}")
_SHORT_PLAIN_LINES = re.compile(rb"(?:(?!\.)[ -<>-~]{0,75}+\n)*+")


#: Slot -> the column of Readers that fills it.
_COLUMNS = {"name": "names", "address": "addresses", "unsubscribe_url": "links"}


def read_slot(readers: Readers, name: str) -> Sequence[str]:
    """The texts that stand in a slot for these readers."""
    texts: Sequence[str] = getattr(readers, _COLUMNS[name])
    return texts


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


#: A piece of a compiled mail: bytes for everyone, or what makes the bytes of each of many readers.
Field = Callable[[Readers], Sequence[bytes]]
Piece = bytes | tuple[str, Field]
Escape = Callable[[str], str]
#: One reader's own bytes, in the order in which they stand in the mail.
Row = tuple[bytes, ...]
#: The place of its message, the address for the envelope, what is personal in the copy.
Mail = tuple[int, str, Row]
#: So many copies are made ready together.
_TOGETHER = 100


class Letter:
    """One edition for SMTP. A copy has its final dot and is ready for the wire after DATA."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._fields: list[Field] = []
        self._order: list[int] = []
        known: dict[str, int] = {}
        form = bytearray()
        for piece in pieces:
            if isinstance(piece, tuple):
                key, field = piece
                if key not in known:
                    known[key] = len(self._fields)
                    self._fields.append(field)
                self._order.append(known[key])
                form += b"%b"
            else:
                form += piece.replace(b"%", b"%%")
        self._form = bytes(form + b"%b")

    def list_mails(self, readers: Readers) -> Iterator[Mail]:
        """The copies for these readers, made ready some at a time as they are asked for."""
        for start in range(0, len(readers.places), _TOGETHER):
            some = readers.cut(start, start + _TOGETHER)
            yield from zip(some.places, some.addresses, self.list_rows(some), strict=True)

    def list_rows(self, readers: Readers) -> Iterator[Row]:
        """What is personal in each one's copy. Made for many at once: per reader that costs a fraction."""
        columns = [field(readers) for field in self._fields]
        return zip(*(columns[at] for at in self._order), strict=True)

    def write(self, row: Row, behind: bytes = b"") -> bytes:
        """A copy, and what else shall be said in the same breath. The same bytes for the same row at every try."""
        return self._form % (*row, behind)

    def join(self, reader: Reader) -> bytes:
        """One copy."""
        one = Readers((0,), (reader.name,), (reader.address,), (reader.unsubscribe_url,), (reader.delivery,))
        (row,) = self.list_rows(one)
        return self.write(row)


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
    lines += [b"Message-ID: <", ("id", lambda readers: [b"%d" % one for one in readers.deliveries]), ident]
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
    lines.append(("list-unsubscribe", lambda readers: [_write_unsubscribe(link) for link in readers.links]))
    return lines


def _to_line(text: str) -> bytes:
    return re.sub(r"[^ -~]+", "", text).encode("ascii")


def _write_to(readers: Readers) -> list[bytes]:
    return encode_mailboxes(readers.names, readers.addresses)


def _write_unsubscribe(link: str) -> bytes:
    """RFC 8058: both headers or none, the address on one line of its own whatever its length."""
    if not link:
        return b""
    url = link.encode("ascii")
    return b"List-Unsubscribe: <" + url + b">\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"


def _compile_subject(text: str) -> list[Piece]:
    parts = split_slots(text)
    if len(parts) == 1:
        return [encode_subject(text)]

    def write(readers: Readers) -> list[bytes]:
        slots = [read_slot(readers, name) for name in parts[1::2]]
        return [encode_subject(_fill_in(parts, values)) for values in zip(*slots, strict=True)]

    return [("subject", write)]


def _fill_in(parts: Sequence[str], values: Sequence[str]) -> str:
    filled = list(parts)
    filled[1::2] = values
    return "".join(filled)


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
    return lambda readers: encode_values(read_slot(readers, name), escape)


def encode_values(values: Sequence[str], escape: Escape) -> list[bytes]:
    """As `encode_value` of each escaped one, but escaped together, and looked at together where all are plain."""
    together = escape("\n".join([*values, ""])).encode("utf-8", "replace")
    lines = together.split(b"\n")[:-1]
    if len(lines) != len(values):
        return [encode_value(escape(value)) for value in values]
    return lines if _SHORT_PLAIN_LINES.fullmatch(together) else list(map(_encode_line, lines))


def encode_value(value: str) -> bytes:
    """A slot's value in quoted-printable, soft-broken where it is long."""
    return _encode_line(value.encode("utf-8", "replace"))


def _encode_line(raw: bytes) -> bytes:
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
