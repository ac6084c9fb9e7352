"""Text as readers see it: cleaned at the boundary, and fitted to what a channel allows."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from distributor.core.cutting import Cut, cut_text, find_cut, graphemes
from distributor.core.errors import Unsupported
from distributor.core.text_clean import strip_controls

__all__ = ["FIT_END", "FIT_START", "Cut", "Fitted", "clean_text", "cut_text", "find_cut", "fit_text", "graphemes"]

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
    pieces = _split_spans(marked)
    whole = _join_pieces(pieces)
    if measure(whole) <= limit:
        return Fitted(whole, was_cut=False)
    for index in reversed(range(len(pieces))):
        text, is_flexible = pieces[index]
        if not is_flexible:
            continue

        def measure_with(span: str, index: int = index) -> int:
            return measure(_join_pieces([*pieces[:index], (span, True), *pieces[index + 1 :]]))

        pieces[index] = (cut_text(text, limit, measure_with), True)
        fitted = _join_pieces(pieces)
        if measure(fitted) <= limit:
            return Fitted(fitted, was_cut=True)
    left = _join_pieces(pieces)
    raise Unsupported(
        f"the text measures {measure(left)} where at most {limit} is allowed, and nothing in it is left to "
        "shorten: shorten the template, or mark more of it with the fit filter"
    )


def _split_spans(marked: str) -> list[tuple[str, bool]]:
    """Text and whether it is flexible; spans inside a span belong to it, loose markers are ignored."""
    pieces: list[tuple[str, bool]] = []
    depth = 0
    previous = ""
    for part in re.split(f"([{FIT_START}{FIT_END}])", marked):
        if part == FIT_START:
            depth += 1
        elif part == FIT_END:
            depth = max(0, depth - 1)
        elif part or previous == FIT_START:
            pieces.append((part, depth > 0))
        previous = part
    return pieces


def _join_pieces(pieces: Sequence[tuple[str, bool]]) -> str:
    """The text; where a span is empty, the wider of the breaks around it stays, not both."""
    joined = ""
    is_gap = was_gap = False
    for text, _ in pieces:
        joined = _close_gap(joined, text) if is_gap else joined + text
        is_gap = not text
        was_gap = was_gap or is_gap
    return joined.rstrip(" \n") if was_gap else joined


def _close_gap(before: str, after: str) -> str:
    left, right = before.rstrip(" \n"), after.lstrip(" \n")
    if not left:
        return right
    gaps = before[len(left) :], after[: len(after) - len(right)]
    widest = max(gap.count("\n") for gap in gaps)
    return left + ("\n" * widest or max(gaps, key=len)[:1]) + right
