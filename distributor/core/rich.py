"""Text with formatting beside it: offsets in UTF-16 code units, as Telegram counts them."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from distributor.core.text import Piece, find_cut, fit_pieces

Links = Literal["none", "inline", "notes"]
#: Outer kinds first, where two cover the same words.
KINDS = ("quote", "link", "bold", "italic", "underline", "strike", "code", "pre")


@dataclass(frozen=True, slots=True)
class Entity:
    """Formatting of one stretch of a text; `url` for a link, `language` for a pre that names one."""

    kind: str
    offset: int
    length: int
    url: str | None = None
    language: str | None = None

    @property
    def end(self) -> int:
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class Rich:
    """A text and its entities, by offset, outer before inner. Any two are nested or apart; none is empty."""

    text: str
    entities: tuple[Entity, ...] = ()


def make_rich(text: str, spans: Iterable[Entity]) -> Rich:
    """Rich from spans that count code points: white space at their edges goes, empty ones go."""
    trimmed = [span for span in (_trim(text, span) for span in spans) if span.length > 0]
    raw = [span for span in trimmed if span.kind == "pre"]
    trimmed = [_embrace(span, raw) if span.kind == "quote" else span for span in trimmed]
    to_units = _Units(text).from_points
    entities = [_move(span, to_units(span.offset), to_units(span.end)) for span in trimmed]
    return Rich(text, tuple(sorted(entities, key=reading_order)))


def reading_order(entity: Entity) -> tuple[int, int, int]:
    """Sorts entities by where they begin, outer before inner."""
    return entity.offset, -entity.length, KINDS.index(entity.kind)


def point_spans(rich: Rich) -> list[Entity]:
    """The entities, counted in code points: what slices of a Python string need."""
    to_points = _Units(rich.text).to_points
    return [_move(entity, to_points(entity.offset), to_points(entity.end)) for entity in rich.entities]


def utf16_length(text: str) -> int:
    """Length in UTF-16 code units: letters beyond U+FFFF count two."""
    return len(text) + (0 if text.isascii() else sum(char > "\uffff" for char in text))


def clip_rich(rich: Rich, limit: int, measure: Callable[[str], int] = len) -> Rich:
    """The longest fair beginning that measures at most `limit`, as `cut_text` cuts.

    Formatting ends where the kept words end: the ellipsis carries none.
    """
    cut = find_cut(rich.text, limit, measure)
    return _rebuild(rich, [Piece(rich.text[: cut.end], 0), Piece(cut.tail)])


def fit_rich(rich: Rich, limit: int, measure: Callable[[str], int] = len) -> tuple[Rich, bool]:
    """As `fit_text`, formatting kept: (the text without markers, whether a flexible span was shortened)."""
    pieces, was_cut = fit_pieces(rich.text, limit, measure)
    return _rebuild(rich, pieces), was_cut


def _rebuild(rich: Rich, pieces: Sequence[Piece]) -> Rich:
    """A new text from pieces of the old one, and the formatting moved to where its words are now."""
    starts: list[int] = []
    size = 0
    for piece in pieces:
        starts.append(size)
        size += len(piece.text)
    spans = []
    for span in point_spans(rich):
        kept = [
            (
                start + max(span.offset, piece.start) - piece.start,
                start + min(span.end, piece.start + len(piece.text)) - piece.start,
            )
            for start, piece in zip(starts, pieces, strict=True)
            if piece.start >= 0 and piece.start < span.end and piece.start + len(piece.text) > span.offset
        ]
        if kept:
            spans.append(_move(span, kept[0][0], kept[-1][1]))
    return make_rich("".join(piece.text for piece in pieces), spans)


def _move(span: Entity, start: int, end: int) -> Entity:
    return Entity(span.kind, start, end - start, span.url, span.language)


def _embrace(quote: Entity, raw: Iterable[Entity]) -> Entity:
    """A quote holds all of the code in it, also the indentation of its first line."""
    for span in raw:
        if span.offset < quote.end and quote.offset < span.end:
            start = min(quote.offset, span.offset)
            quote = _move(quote, start, max(quote.end, span.end))
    return quote


def _trim(text: str, span: Entity) -> Entity:
    """A pre keeps the indentation of its first line."""
    words = text[span.offset : span.end]
    blanks = "\n" if span.kind == "pre" and words.strip() else None
    start = span.end - len(words.lstrip(blanks))
    return _move(span, start, max(start, span.offset + len(words.rstrip(blanks))))


def render_plain(rich: Rich, links: Links = "none") -> str:
    """Rich as plain text: quotes get "> " before each line, links what `links` says.

    "none" drops addresses; "inline" writes "words (address)", or the address on a line of its own under words
    that fill theirs; "notes" numbers the links and lists their addresses at the end.
    """
    spans = point_spans(rich)
    notes: dict[str, int] = {}
    after: dict[int, str] = {}
    for span in spans:
        address = re.sub("^(?:mailto|tel):", "", span.url or "")
        if links == "none" or span.kind != "link" or _says(rich.text[span.offset : span.end], address):
            continue
        if links == "notes":
            after[span.end] = f" [{notes.setdefault(address, len(notes) + 1)}]"
        else:
            after[span.end] = f"\n{address}" if _fills_line(rich.text, span) else f" ({address})"
    text = _quote_lines(rich.text, [span for span in spans if span.kind == "quote"], after)
    listed = "\n".join(f"[{number}] {address}" for address, number in notes.items())
    return f"{text}\n\n{listed}" if listed else text


def _quote_lines(text: str, quotes: Sequence[Entity], after: dict[int, str]) -> str:
    """The text with the inserts, in quotes every line behind "> "."""
    parts = []
    at = 0
    stops = sorted({*after, *(stop for quote in quotes for stop in (quote.offset, quote.end)), len(text)})
    quoted = False
    for stop in stops:
        words = text[at:stop] + after.get(stop, "")
        parts.append(words.replace("\n", "\n> ") if quoted else words)
        quoted = any(quote.offset <= stop < quote.end for quote in quotes)
        if quoted and any(quote.offset == stop for quote in quotes):
            parts.append("> ")
        at = stop
    return "".join(parts)


def _says(label: str, address: str) -> bool:
    """The words are the address already."""
    short = re.sub("^https?://(?:www\\.)?", "", address)
    return label.strip().rstrip("/") in (address.rstrip("/"), short.rstrip("/"))


def _fills_line(text: str, span: Entity) -> bool:
    before = text[text.rfind("\n", 0, span.offset) + 1 : span.offset]
    return not before.strip(" •") and text[span.end : span.end + 1] in ("", "\n")


class _Units:
    """Code points and UTF-16 code units of one text."""

    def __init__(self, text: str) -> None:
        is_narrow = text.isascii() or max(text) <= "\uffff"
        self._wide = [] if is_narrow else [at for at, char in enumerate(text) if char > "\uffff"]
        self._wide_units = [at + index for index, at in enumerate(self._wide)]

    def from_points(self, at: int) -> int:
        return at + bisect_left(self._wide, at)

    def to_points(self, unit: int) -> int:
        return unit - bisect_left(self._wide_units, unit)
