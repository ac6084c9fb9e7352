"""Where a text may end: after a sentence, a word or a grapheme, never inside a URL.

The `regex` module is imported on first use: it costs about 0.1 s, which `--help` must not pay.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

SENTENCE_SHARE = 0.6
WORD_SHARE = 0.3
"""How much of the room a text must fill to end after a sentence, or after a word, not at a finer place."""

_LOOSE_ENDS = " \t\n\u00a0.,;:-–—([{«“‘/&"
_ABBREVIATIONS = """
    mr mrs ms dr prof st vs etc sen rep gov gen lt col capt sgt cpl maj rev hon jr sr inc ltd co corp jan feb
    mar apr jun jul aug sep sept oct nov dec vol fig pp ed al approx dept est ave blvd mt ft e.g i.e
    bzw z.b u.a d.h ca usw bspw nr str abb mme mlle env cf sra srta ud av núm dña sig
    р рр м вул ім тис млн млрд грн руб г гг т д см стр ст обл просп пл св акад проф напр т.д т.п т.е т.ч
"""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a text ends: `end` code points stay, then comes `tail` (empty after a whole sentence)."""

    end: int
    tail: str


def graphemes(text: str) -> list[str]:
    """What a reader counts as characters (UAX 29 extended grapheme clusters); joined, they are the text."""
    return _patterns().grapheme.findall(text)  # type: ignore[no-any-return]


def cut_text(text: str, limit: int, measure: Callable[[str], int] = len, ellipsis: str = "…") -> str:
    """The longest fair beginning of a text that measures at most `limit`.

    It ends after a whole sentence where that fills 60 % of the room (then without an ellipsis), else after
    a word, else (one huge word, or a script without spaces) after a grapheme. Never inside a URL.
    Empty when nothing fits. `measure` should grow with the text; whatever it does, the result is within
    `limit` (0 or more).
    """
    cut = find_cut(text, limit, measure, ellipsis)
    return text[: cut.end] + cut.tail


def find_cut(text: str, limit: int, measure: Callable[[str], int] = len, ellipsis: str = "…") -> Cut:
    """As `cut_text`, but says where, for texts whose formatting is kept beside them."""
    if measure(text) <= limit:
        return Cut(len(text), "")
    text = _take_head(text, limit, measure)
    boundaries = _Boundaries(text, ellipsis)
    nothing = measure("")

    def fits(cut: Cut) -> bool:
        return measure(text[: cut.end] + cut.tail) <= limit

    for cuts, share in ((boundaries.after_sentences, SENTENCE_SHARE), (boundaries.after_words, WORD_SHARE)):
        cut = _last_fitting(cuts(), fits)
        if cut.end and measure(text[: cut.end]) - nothing >= share * (limit - nothing):
            return cut
    return _last_fitting(boundaries.after_graphemes(), fits)


def _take_head(text: str, limit: int, measure: Callable[[str], int]) -> str:
    """Enough of a long text to cut in: still too long, and ending at a space, so that no URL is halved."""
    size = max(200, 2 * limit)
    while size < len(text):
        space = _patterns().space.search(text, size)
        head = text[: space.start()] if space else text
        if measure(head) > limit:
            return head
        size *= 2
    return text


def _last_fitting(cuts: Sequence[Cut], fits: Callable[[Cut], bool]) -> Cut:
    """Only cuts that were seen to fit are returned, also where `fits` is not monotonic."""
    low, high = 0, len(cuts)
    while low < high:
        middle = (low + high + 1) // 2
        if fits(cuts[middle - 1]):
            low = middle
        else:
            high = middle - 1
    return cuts[low - 1] if low else Cut(0, "")


class _Boundaries:
    """The places where one text may end, in reading order."""

    def __init__(self, text: str, ellipsis: str) -> None:
        self.text = text
        self.ellipsis = ellipsis
        self.graphemes = [m.end() for m in _patterns().grapheme.finditer(text)]
        self.urls = [m.span() for m in _patterns().url.finditer(text)]
        self.url_ends = [end for _, end in self.urls]

    def after_sentences(self) -> list[Cut]:
        ends = (m for m in _patterns().sentence_end.finditer(self.text) if not self._is_abbreviation(m.start()))
        allowed = set(self.graphemes)
        return [Cut(m.end(), "") for m in ends if m.end() in allowed and not self._is_in_url(m.end())]

    def after_words(self) -> list[Cut]:
        return self._with_ellipsis([m.start() for m in _patterns().space.finditer(self.text)])

    def after_graphemes(self) -> list[Cut]:
        return self._with_ellipsis(self.graphemes)

    def _with_ellipsis(self, ends: list[int]) -> list[Cut]:
        allowed = set(self.graphemes)
        tidied = sorted({self._before_loose_ends(end) for end in ends})
        return [
            # An ellipsis that touches a URL would become part of it in readers that find links by themselves.
            Cut(end, " " + self.ellipsis if end in self.url_ends else self.ellipsis)
            for end in tidied
            if end in allowed and not self._is_in_url(end)
        ]

    def _before_loose_ends(self, end: int) -> int:
        first = self.url_ends[bisect_left(self.url_ends, end + 1) - 1] if self.url_ends else 0
        first = first if first <= end else 0
        while end > first and self.text[end - 1] in _LOOSE_ENDS:
            end -= 1
        return end

    def _is_in_url(self, at: int) -> bool:
        index = bisect_left(self.url_ends, at)
        return index < len(self.urls) and self.urls[index][0] < at < self.urls[index][1]

    def _is_abbreviation(self, dot: int) -> bool:
        if self.text[dot] != ".":
            return False
        word = _patterns().last_word.search(self.text, max(0, dot - 12), dot)
        return bool(word) and (len(word.group()) == 1 or word.group().lower() in _patterns().abbreviations)


@dataclass(frozen=True, slots=True)
class _Patterns:
    grapheme: Any
    space: Any
    url: Any
    sentence_end: Any
    last_word: Any
    abbreviations: frozenset[str]


@cache
def _patterns() -> _Patterns:
    import regex

    return _Patterns(
        grapheme=regex.compile(r"\X"),
        space=regex.compile(r"\s+"),
        # The closing class keeps the full stop after a link out of the link.
        url=regex.compile(
            r"(?i)(?:\b(?:https?://|www\.|mailto:|tg://)[^\s<>\"“”«»]*(?<![.,;:!?'’)\]…])"
            r"|(?<![a-z0-9.@_-])(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}\b(?:/[^\s<>\"“”«»]*(?<![.,;:!?'’)\]…]))?)"
        ),
        sentence_end=regex.compile(
            r"(?:[.!?…؟۔।॥።։]+[\"'\p{Pf}\p{Pe}]*(?=\s++(?![\p{Ll}\p{Nd}])|\s*+$)|[。！？｡]+[\"'\p{Pf}\p{Pe}]*)"
        ),
        last_word=regex.compile(r"(?<![\p{L}\p{N}])\p{L}+(?:\.\p{L}+)*$"),
        abbreviations=frozenset(_ABBREVIATIONS.split()),
    )
