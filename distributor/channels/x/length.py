"""How long X thinks a post is, and what in it X would turn into a link.

The rules are those of twitter-text 3 with its config v3 (twitter/twitter-text on GitHub).
Known to differ from X: chains of joined emoji and pairs of flag letters that Unicode does not list count 2
here and may count more there.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

from distributor.channels.x.urls import FORBIDDEN, Span, find_urls

__all__ = [
    "LIMIT",
    "URL_WEIGHT",
    "Finding",
    "Span",
    "find_urls",
    "is_valid_post",
    "lint_accidental_urls",
    "weighted_length",
]

LIMIT = 280
URL_WEIGHT = 23

WORD_JOINER = "\u2060"

# Emoji that may carry a variation selector without costing more; after others X counts the selector.
_SELECTABLE = (
    r"[\p{Emoji}--\p{Emoji_Presentation}--[0-9#*©®]]|[\u231a\u231b\u25fd\u25fe\u2614\u2615\u2648-\u2653\u267f\u2693"
    r"\u26a1\u26aa\u26ab\u26bd\u26be\u26c4\u26c5\u26d4\u26ea\u26f2\u26f3\u26f5\u26fa\u26fd\u2757\u2b1b\u2b1c\u2b50\u2b55"
    r"\U0001f004\U0001f21a\U0001f22f]"
)
_EMOJI = (
    rf"(?:\p{{Emoji_Modifier_Base}}\p{{Emoji_Modifier}}|(?:{_SELECTABLE})\ufe0f?|[©®]\ufe0f"
    r"|[\p{Emoji_Presentation}--\p{RI}])"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Words that X would turn into a link nobody meant; `fix` is what to write in their place."""

    text: str
    start: int
    fix: str

    def __str__(self) -> str:
        if WORD_JOINER in self.fix:
            advice = "say it without the dot, or put a word joiner (U+2060, invisible) after each dot"
        else:
            advice = f"write “{self.fix}”"
        return f"X would turn “{self.text}” into a link and charge for it: {advice}"


@dataclass(frozen=True, slots=True)
class _Weights:
    emoji: Any
    heavy: Any


@cache
def _weights() -> _Weights:
    import regex

    return _Weights(
        emoji=regex.compile(
            rf"(?V1)[0-9#*]\ufe0f?\u20e3|\p{{RI}}\p{{RI}}|\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f"
            rf"|{_EMOJI}(?:\u200d{_EMOJI})*|\p{{RI}}"
        ),
        heavy=regex.compile(r"[^\x00-\u10ff\u2000-\u200d\u2010-\u201f\u2032-\u2037]"),
    )


def weighted_length(text: str) -> int:
    """The post's length as X counts it; at most LIMIT is accepted (longer posts need a paid account).

    Counted in NFC: every link 23, every emoji 2, U+0000-10FF and the common typographic marks 1, the rest 2.
    """
    text = unicodedata.normalize("NFC", text)
    weight = at = 0
    for span in find_urls(text):
        weight += _weigh(text[at : span.start]) + URL_WEIGHT
        at = span.end
    return weight + _weigh(text[at:])


def is_valid_post(text: str) -> bool:
    """X takes it: not empty, not too long, and without the three characters that it refuses."""
    return 0 < weighted_length(text) <= LIMIT and not any(char in text for char in FORBIDDEN)


def _weigh(text: str) -> int:
    if text.isascii():
        return len(text)
    rest, emoji = _weights().emoji.subn("", text)
    _, heavy = _weights().heavy.subn("", rest)
    return 2 * int(emoji) + len(rest) + int(heavy)


def lint_accidental_urls(text: str) -> list[Finding]:
    """Words with a dot that X would link and charge for: "end.Next", "Booking.com".

    Links with "https://", "www." or a path are taken as meant.
    """
    found = (span for span in find_urls(text) if not span.has_protocol)
    return [
        Finding(span.url, span.start, _mend(span.url))
        for span in found
        if "/" not in span.url and not span.url.lower().startswith("www.")
    ]


def _mend(words: str) -> str:
    """A space where a sentence lost it, else an invisible joiner that stops X."""
    before, _, after = words.rpartition(".")
    is_next_sentence = before[-1:].islower() and after[:1].isupper() and not after[1:].isupper()
    joined = before.replace(".", "." + WORD_JOINER)
    return f"{joined}.{' ' if is_next_sentence else WORD_JOINER}{after}"
