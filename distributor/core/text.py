"""Text as readers see it: cleaned at the boundary, and fitted to what a channel allows."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from distributor.core.cutting import Cut, cut_text, find_cut, graphemes
from distributor.core.errors import Unsupported
from distributor.core.text_clean import strip_controls

__all__ = [
    "FIT_END",
    "FIT_START",
    "Cut",
    "Fitted",
    "Piece",
    "clean_text",
    "cut_text",
    "find_cut",
    "fit_pieces",
    "fit_text",
    "graphemes",
]

FIT_START = "\ue000"
FIT_END = "\ue001"

_C1 = re.compile("[\x80-\x9f]")
_BIDI_CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_MAX_BIDI_DEPTH = 125


@dataclass(frozen=True, slots=True)
class Fitted:
    """A text within its limit, without markers; `was_cut` says that a flexible span was shortened."""

    text: str
    was_cut: bool


def clean_text(text: str) -> str:
    """Text of any number of lines without what no reader should get and no database or service accepts.

    C1 controls, in feeds always mis-declared windows-1252, become the characters that were meant. Other
    controls except newline and tab, half surrogate pairs, byte order marks, private-use characters (the
    markers of `fit_text` among them) and noncharacters go; every line break becomes "\\n". Directional
    overrides and unpaired embeddings or isolates go: they would turn round what follows them. Idempotent.
    """
    text = strip_controls(_C1.sub(_read_windows_1252, text))
    if _BIDI_CONTROLS.search(text):
        text = "\n".join(_drop_loose_bidi(line) for line in text.split("\n"))
    return text


def _read_windows_1252(control: re.Match[str]) -> str:
    return control.group().encode("latin-1").decode("windows-1252", "ignore")


def _drop_loose_bidi(line: str) -> str:
    """One paragraph without overrides, openers or closers that lack a partner, or depth over 125 (UAX 9)."""
    opened: list[tuple[int, str]] = []
    dropped: set[int] = set()
    for at, char in enumerate(line):
        if char in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068":
            if len(opened) < _MAX_BIDI_DEPTH:
                opened.append((at, char))
            else:
                dropped.add(at)
        elif char == "\u202c":
            _close_embedding(at, opened, dropped)
        elif char == "\u2069":
            _close_isolate(at, opened, dropped)
    dropped.update(at for at, _ in opened)
    return "".join(char for at, char in enumerate(line) if at not in dropped)


def _close_embedding(at: int, opened: list[tuple[int, str]], dropped: set[int]) -> None:
    if not opened or opened[-1][1] >= "\u2066":
        dropped.add(at)
        return
    start, opener = opened.pop()
    if opener in "\u202d\u202e":
        dropped.update((start, at))


def _close_isolate(at: int, opened: list[tuple[int, str]], dropped: set[int]) -> None:
    if not any(opener >= "\u2066" for _, opener in opened):
        dropped.add(at)
        return
    while opened[-1][1] < "\u2066":
        dropped.add(opened.pop()[0])
    opened.pop()


def fit_text(marked: str, limit: int, measure: Callable[[str], int] = len) -> Fitted:
    """Bring a text with flexible spans (between FIT_START and FIT_END) down to its limit.

    The last flexible span gives way first, then the one before it; each is cut as `cut_text` cuts and
    may vanish wholly, with the empty line it would leave. Everything else stays as it is.

    Raises Unsupported when the fixed part alone is too long.
    """
    pieces, was_cut = fit_pieces(marked, limit, measure)
    return Fitted(_join(pieces), was_cut)


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of the fitted text; `start` is where it stood in the marked text, -1 for what was put in."""

    text: str
    start: int = -1
    is_flexible: bool = False


def fit_pieces(marked: str, limit: int, measure: Callable[[str], int] = len) -> tuple[list[Piece], bool]:
    """As `fit_text`, but in pieces that tell where they come from, for texts with formatting beside them."""
    pieces = _split_spans(marked)
    closed = _close_gaps(pieces)
    if measure(_join(closed)) <= limit:
        return closed, False
    for index in reversed(range(len(pieces))):
        piece = pieces[index]
        if not piece.is_flexible:
            continue

        def replace_span(*span: Piece, index: int = index) -> list[Piece]:
            return _close_gaps([*pieces[:index], *span, *pieces[index + 1 :]])

        def measure_with(words: str, replace_span: Callable[..., list[Piece]] = replace_span) -> int:
            return measure(_join(replace_span(Piece(words, is_flexible=True))))

        cut = find_cut(piece.text, limit, measure_with)
        kept = Piece(piece.text[: cut.end], piece.start, is_flexible=True)
        closed = replace_span(kept, Piece(cut.tail)) if cut.tail else replace_span(kept)
        if measure(_join(closed)) <= limit:
            return closed, True
        pieces[index] = Piece("", piece.start, is_flexible=True)
    left = measure(_join(closed))
    raise Unsupported(
        f"the text measures {left} where at most {limit} is allowed, and nothing in it is left to "
        "shorten: shorten the template, or mark more of it with the fit filter"
    )


def _join(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def _split_spans(marked: str) -> list[Piece]:
    """Runs of text, flexible or not; spans inside a span belong to it, loose markers are ignored."""
    pieces: list[Piece] = []
    depth = at = 0
    parts = re.split(f"([{FIT_START}{FIT_END}])", marked)
    for index, part in enumerate(parts):
        if part == FIT_START:
            depth += 1
        elif part == FIT_END:
            depth = max(0, depth - 1)
        elif part or parts[index - 1 : index] + parts[index + 1 : index + 2] == [FIT_START, FIT_END]:
            pieces.append(Piece(part, at, depth > 0))
        at += len(part)
    return pieces


def _close_gaps(pieces: Sequence[Piece]) -> list[Piece]:
    """Without the spans that are empty; of the breaks around one the wider stays, not both."""
    closed: list[Piece] = []
    is_gap = was_gap = False
    for piece in pieces:
        if not piece.text:
            is_gap = was_gap = True
            continue
        if is_gap:
            before = _strip_end(closed)
            words = piece.text.lstrip(" \n")
            after = piece.text[: len(piece.text) - len(words)]
            if closed:
                closed.append(Piece(_wider_break(before, after)))
            piece = Piece(words, piece.start + len(after), piece.is_flexible)
        closed.append(piece)
        is_gap = False
    if was_gap:
        _strip_end(closed)
    return closed


def _strip_end(pieces: list[Piece]) -> str:
    """Take the blanks off the end of the pieces and give them back."""
    blanks = ""
    while pieces:
        last = pieces.pop()
        words = last.text.rstrip(" \n")
        blanks = last.text[len(words) :] + blanks
        if words:
            pieces.append(Piece(words, last.start, last.is_flexible))
            break
    return blanks


def _wider_break(before: str, after: str) -> str:
    lines = max(before.count("\n"), after.count("\n"))
    return "\n" * lines or max(before, after, key=len)[:1]
