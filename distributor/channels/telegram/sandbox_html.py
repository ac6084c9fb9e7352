"""Telegram's parse_mode=HTML as the server reads it, and its way back to HTML for a page.

Source: MessageEntity.cpp (parse_html) of tdlib/td. Anything unknown refuses the whole message, offsets in the
sentences count bytes.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distributor.channels.telegram.links import find_url_problem

_KINDS = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
    "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "tg-spoiler": "spoiler",
    "span": "spoiler", "a": "text_link", "code": "code", "pre": "pre", "blockquote": "blockquote",
    "tg-emoji": "custom_emoji",
}  # fmt: skip
_TAGS = {
    "bold": ("<b>", "</b>"),
    "italic": ("<i>", "</i>"),
    "underline": ("<u>", "</u>"),
    "strikethrough": ("<s>", "</s>"),
    "code": ("<code>", "</code>"),
    "pre": ("<pre>", "</pre>"),
    "blockquote": ("<blockquote>", "</blockquote>"),
    "expandable_blockquote": ("<blockquote>", "</blockquote>"),
    "spoiler": ('<span class="spoiler">', "</span>"),
}
_ENTITY = re.compile(r"&(?:(lt|gt|amp|quot)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));?")
_ATTRIBUTE = re.compile(r"""\s+([a-zA-Z][\w-]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([\w.-]+)))?""")
_START = re.compile(r"""<([^\s>]*)((?:"[^"]*"|'[^']*'|[^>"'])*)>""")
_NO_URL = "https://example.org"
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}


class BadMarkup(Exception):
    """The sentence behind "can't parse entities: "."""


def count_units(text: str) -> int:
    """UTF-16 code units, in which entity offsets are counted."""
    return len(text) + sum(char > "\uffff" for char in text)


@dataclass
class _Open:
    tag: str
    entity: dict[str, Any]


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.text: list[str] = []
        self.units = 0
        self.open: list[_Open] = []
        self.entities: list[dict[str, Any]] = []

    def run(self) -> tuple[str, list[dict[str, Any]]]:
        while self.at < len(self.source):
            char = self.source[self.at]
            if char == "<":
                self._read_end() if self.source.startswith("</", self.at) else self._read_start()
            elif char == "&" and (found := _ENTITY.match(self.source, self.at)):
                self._add(_decode(found))
                self.at = found.end()
            else:
                self._add(char)
                self.at += 1
        if self.open:
            raise BadMarkup(f'Can\'t find end tag corresponding to start tag "{self.open[-1].tag}"')
        # In the order in which they were opened: the outer one of two that cover the same words comes first.
        return "".join(self.text), [entity for entity in self.entities if entity["length"]]

    def _add(self, piece: str) -> None:
        self.text.append(piece)
        self.units += count_units(piece)

    def _offset(self) -> int:
        return len(self.source[: self.at].encode("utf-8", "surrogatepass"))

    def _read_start(self) -> None:
        found = _START.match(self.source, self.at)
        if not found:
            raise BadMarkup(f"Unclosed start tag at byte offset {self._offset()}")
        tag = found[1].lower()
        if tag not in _KINDS:
            raise BadMarkup(f'Unsupported start tag "{tag}" at byte offset {self._offset()}')
        attributes = {m[1].lower(): m[2] or m[3] or m[4] or "" for m in _ATTRIBUTE.finditer(found[2])}
        if tag == "span" and attributes.get("class") != "tg-spoiler":
            raise BadMarkup(f'Tag "span" must have class "tg-spoiler" at byte offset {self._offset()}')
        entity: dict[str, Any] = {"type": _KINDS[tag], "offset": self.units, "length": 0}
        if tag == "a":
            entity["url"] = html.unescape(attributes.get("href", ""))
        self.entities.append(entity)
        self.open.append(_Open(tag, entity))
        self.at = found.end()

    def _read_end(self) -> None:
        end = self.source.find(">", self.at)
        if end < 0:
            raise BadMarkup(f"Unclosed end tag at byte offset {self._offset()}")
        if not self.open:
            raise BadMarkup(f"Unexpected end tag at byte offset {self._offset()}")
        name = self.source[self.at + 2 : end].strip().lower()
        opened = self.open.pop()
        if name and name != opened.tag:
            raise BadMarkup(
                f'Unmatched end tag at byte offset {self._offset()}, expected "</{opened.tag}>", found "</{name}>"'
            )
        if not find_url_problem(opened.entity.get("url", _NO_URL)):
            opened.entity["length"] = self.units - opened.entity["offset"]
        self.at = end + 1


def parse_html(source: str) -> tuple[str, list[dict[str, Any]]]:
    """Text and entities; raises BadMarkup with the server's sentence."""
    return _Parser(source).run()


def _decode(found: re.Match[str]) -> str:
    if found[1]:
        return _NAMED[found[1]]
    code = int(found[2]) if found[2] else int(found[3], 16)
    return chr(code) if 0 < code <= 0x10FFFF and not 0xD800 <= code < 0xE000 else found[0]


def render_html(text: str, entities: Sequence[dict[str, Any]]) -> str:
    """What a reader's app draws: the text with its marks as plain HTML."""
    opens: dict[int, list[str]] = {}
    closes: dict[int, list[str]] = {}
    for entity in sorted(entities, key=lambda e: (e["offset"], -e["length"])):
        before, after = _marks_of(text, entity)
        opens.setdefault(entity["offset"], []).append(before)
        closes.setdefault(entity["offset"] + entity["length"], []).insert(0, after)
    out: list[str] = []
    unit = 0
    for char in text:
        out += closes.pop(unit, []) + opens.pop(unit, [])
        out.append("<br>" if char == "\n" else html.escape(char))
        unit += count_units(char)
    return "".join(out + closes.pop(unit, []))


def _marks_of(text: str, entity: dict[str, Any]) -> tuple[str, str]:
    url = entity.get("url") or (cut_units(text, entity) if entity["type"] == "url" else "")
    if url:
        return f'<a href="{html.escape(url)}">', "</a>"
    return _TAGS.get(entity["type"], ("", ""))


def cut_units(text: str, entity: dict[str, Any]) -> str:
    """The part of a text that an entity covers."""
    units = text.encode("utf-16-le", "surrogatepass")
    start, end = 2 * entity["offset"], 2 * (entity["offset"] + entity["length"])
    return units[start:end].decode("utf-16-le", "replace")
