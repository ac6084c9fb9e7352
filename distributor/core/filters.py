"""Which posts a schedule takes: by section, tag, author, source and words."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from distributor.core.post import Post


@dataclass(frozen=True, slots=True)
class Filter:
    """A post fits when every part that is given names it, and `excluded` does not.

    One match within a part is enough. Upper and lower case, and the width of spaces, do not matter. `sections`,
    `tags` and `sources` must be equal; `authors` and `words` are looked for as whole words, in the byline and in
    headline and summary; `elect*` finds words that begin so. `excluded` refuses what any of its parts names.
    An author only guessed from a page's markup is enough to refuse a post, not to take it.
    """

    sections: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    excluded: Filter | None = None

    def matches(self, post: Post) -> bool:
        if not all(self._answers(post, post.printed_byline)):
            return False
        return self.excluded is None or not any(self.excluded._answers(post, post.byline))

    def _answers(self, post: Post, byline: str) -> list[bool]:
        """One answer for each part that is given."""
        answers = []
        if self.sections:
            answers.append(_is_among(self.sections, (post.section,)))
        if self.tags:
            answers.append(_is_among(self.tags, post.tags))
        if self.sources:
            answers.append(_is_among(self.sources, (post.source,)))
        if self.authors:
            answers.append(_stands_in(self.authors, byline))
        if self.words:
            answers.append(_stands_in(self.words, post.headline, post.summary))
        return answers


def _is_among(wanted: tuple[str, ...], given: tuple[str, ...]) -> bool:
    return bool({_fold(text) for text in wanted} & {_fold(text) for text in given})


def _stands_in(words: tuple[str, ...], *texts: str) -> bool:
    return any(_pattern(words).search(_fold(text)) for text in texts)


@lru_cache(maxsize=256)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(_one_pattern(_fold(word)) for word in words))


def _one_pattern(word: str) -> str:
    """Not \\b, which finds no edge beside a sign: "C++" and "#metoo" are words too."""
    stem = word.rstrip("*")
    end = "" if word.endswith("*") else r"(?!\w)"
    return rf"(?<!\w){re.escape(stem)}{end}"


def _fold(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
