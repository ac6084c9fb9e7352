"""Words that say a story is not meant for readers yet."""

from __future__ import annotations

import re

from distributor.core.post import Post
from distributor.core.text_clean import plain_text

# Bare "embargo", "prep" and "test" are news too (an oil embargo, a prep school, a Test match), so these words hold
# a story only in the shapes that desks use for instructions.
_ANYWHERE = (
    r"\bdo not publish\b",
    r"\bnot for (?:publication|release)\b",
    r"\bhold for release\b",
    r"\bembargoed (?:until|till|to|for)\b",
    r"\bunder (?:strict )?embargo\b",
    r"\bembargo(?:ed)?\s*:",
    r"^\W*embargo(?:ed)? (?:until|till)\b",
    r"\btk[ -]?tk\b",
    r"\blorem ipsum\b",
    r"\bне (?:публікувати|публиковать)\b",
    r"\bембарго до\b|\bэмбарго до\b",
    r"\bnicht veröffentlichen\b|\bsperrfrist\b",
    r"\bne pas publier\b|\bsous embargo jusqu",
    r"\bno publicar\b|\bembargado hasta\b",
    r"\bnie publikować\b",
)
_TESTED = (
    r"\d+|a|article|entry|feed|headline|ignore|item|message|only|page|please|post|publication|story|test|testing|"
    r"новина|новость|стаття|статья"
)
_HEADLINE_ONLY = (
    r"^\W*embargo(?:ed)?\W*$",
    r"^\W*(?:obit(?:uary)? )?prep\s*(?:[:.|\]–—-]|$)",
    rf"^\W*(?:(?:this is )?(?:a |an |just a |only a )?test|testing|(?:це |это )?тест)(?:\W+(?:{_TESTED}))*\W*$",
    r"^\W*(?:test|тест)\s*[:|\]]",
    r"^\W*(?:draft|чернетка|черновик)\s*[:|\]–—-]",
)
# Written in capitals these are instructions anywhere in a headline.
_CAPITALS = re.compile(r"\b(?:EMBARGO(?:ED)?|PREP|TKTK|TK TK|DO NOT PUBLISH)\b")
_IN_TEXT = re.compile("|".join(_ANYWHERE), re.IGNORECASE)
_IN_HEADLINE = re.compile("|".join(_ANYWHERE + _HEADLINE_ONLY), re.IGNORECASE)
_BODY_START = 400


def find_hold_words(post: Post) -> str:
    """The words that say "not yet", as they stand in the post; "" when there are none.

    Looks at the headline, the summary and the first 400 characters of the body.
    """
    found = _IN_HEADLINE.search(post.headline)
    if not found and not post.headline.isupper():
        found = _CAPITALS.search(post.headline)
    if not found:
        body = plain_text(post.body_html[: _BODY_START * 4])[:_BODY_START]
        found = _IN_TEXT.search(post.summary[:2000]) or _IN_TEXT.search(body)
    return found[0].strip() if found else ""
