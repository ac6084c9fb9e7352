"""The fast lane of an import: whole blocks of lines that nothing needs to be asked about, one search for all.

It takes what the slow lane would take as it stands, and hands every other line to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import Any, TypeVar

from distributor.core.subscriber import LONGEST_LOCAL_PART, NewSubscriber, read_plain_domain
from distributor.core.text_clean import clean_text

LONGEST_NAME = 200
LONGEST_CONSENT = 1000

# What a spreadsheet would run, with the mark that keeps it from doing so.
FORMULA = re.compile(r"\s*(?:'?[=+\-@\t\r]\s*)+")
# Part of what an address may be; the mark that guards a cell from spreadsheets is none of it.
_ADDRESS = r"([A-Za-z0-9_+-]++(?:\.[A-Za-z0-9_+-]++)*+@([A-Za-z0-9.-]++))"
# What cleaning would leave as it is; most names are that.
_LETTER, _SIGN = "A-Za-z\u00c0-\u00ff", "0-9.'()-"
_ORDINARY = re.compile(rf"(?:[{_LETTER}][{_LETTER}{_SIGN},]*(?: [{_LETTER}{_SIGN},]+)*)?")
_NAME = rf"((?:[{_LETTER}][{_LETTER}{_SIGN}]*+(?: [{_LETTER}{_SIGN}]++)*+)?)"
_new = tuple.__new__

Odd = TypeVar("Odd")


class PlainLines:
    """The readers in blocks of lines, as long as their columns stand where the headings say.

    `checked` are the columns where only cells are plain that fit their pattern.
    """

    def __init__(
        self, width: int, delimiter: str, email: int, names: tuple[int, ...], consent: int, checked: dict[int, str]
    ) -> None:
        other = rf"[^{re.escape(delimiter)}\r\n]*+"
        groups = {**dict.fromkeys(names, _NAME), consent: f"({other})", email: _ADDRESS}
        columns = [place for place in range(width) if place in groups]
        found = [one for place in columns for one in ((email, "domain") if place == email else (place,))]
        cells = re.escape(delimiter).join(
            checked.get(place, "") + groups.get(place, other) for place in range(width)
        )
        # The last group is always empty: it stands for what the file does not have.
        self._find = re.compile(rf"{cells}\r?\n|(.*\n)()").findall
        wanted = (email, "domain", *(*names, -1, -1)[:2], consent)
        self._pick: itemgetter[Any] = itemgetter(-2, *(found.index(one) if one in found else -1 for one in wanted))

    def read(
        self, block: str, first: int, ask: Callable[[int, str], list[NewSubscriber | Odd]]
    ) -> list[NewSubscriber | Odd]:
        """The readers of whole lines, `first` is the number of the first one, and what `ask` says to the others."""
        lines: list[str] = []
        people: list[NewSubscriber | Odd] = []
        for number, found in enumerate(map(self._pick, self._find(block))):
            odd, address, typed, name, last, consent = found
            domain = read_plain_domain(typed)
            if last:
                name = f"{name} {last}" if name else last
            if odd or not domain or len(address) > LONGEST_LOCAL_PART or len(name) > LONGEST_NAME:
                lines = lines or block.split("\n")
                people += ask(first + number, lines[number])
                continue
            if domain != typed:
                address = address[: -len(typed)] + domain
            people.append(_new(NewSubscriber, (address, address.lower(), name, consent and clean_consent(consent))))
        return people


def clean_name(text: str) -> str:
    """A name as one line that no spreadsheet runs; "" for one that is too long to be a name."""
    if len(text) <= LONGEST_NAME and _ORDINARY.fullmatch(text):
        return text
    name = _strip_formula(clean_text(text[: LONGEST_NAME * 4]))
    return name if len(name) <= LONGEST_NAME else ""


@lru_cache(maxsize=1024)  # a list has few forms, and a date each of them
def clean_consent(text: str) -> str:
    return _strip_formula(clean_text(text[: LONGEST_CONSENT * 4]))[:LONGEST_CONSENT] if text else ""


def _strip_formula(text: str) -> str:
    found = FORMULA.match(text)
    return text[found.end() :] if found else text
