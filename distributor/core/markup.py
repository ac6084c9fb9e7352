"""Story and template HTML as words: one walk over the tree gives Telegram's text and entities, and plain text.

White space collapses as in a browser. The HTML is expected sanitised; whatever it is, no input raises and
`script`, `style` and hidden elements never speak. Unknown tags are transparent.
"""

from __future__ import annotations

import re
from typing import Any

from distributor.core.message import SLOT_START
from distributor.core.rich import Links, Rich, render_plain
from distributor.core.words import Open, Words

_STYLES = {
    **dict.fromkeys(("b", "strong", "th", "dt", "summary", "h1", "h2", "h3", "h4", "h5", "h6"), "bold"),
    **dict.fromkeys(("i", "em", "cite", "dfn", "var", "figcaption", "caption"), "italic"),
    **dict.fromkeys(("u", "ins"), "underline"),
    **dict.fromkeys(("s", "strike", "del"), "strike"),
    **dict.fromkeys(("code", "kbd", "samp", "tt"), "code"),
    "pre": "pre",
    "blockquote": "quote",
}
#: Blocks with an empty line around them, blocks that only begin a line, elements that never speak.
_APART = "p h1 h2 h3 h4 h5 h6 blockquote pre table figure ul ol dl"
_IN_LINES = (
    "div section article header footer main aside nav address li dt dd tr caption figcaption details summary form "
    "fieldset center tbody thead tfoot legend"
)
_SILENT = (
    "script style head title template noscript iframe object embed svg math canvas video audio map select textarea "
    "button datalist meter progress rp"
)
_BREAKS = {**dict.fromkeys(_IN_LINES.split(), 1), **dict.fromkeys(_APART.split(), 2)}
_SKIPPED = frozenset(_SILENT.split())
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all", re.IGNORECASE)
_LINKABLE = re.compile(rf"(?:https?://|mailto:|tel:|tg://|{SLOT_START})", re.IGNORECASE)
_LANGUAGE = re.compile(r"(?:^|\s)lang(?:uage)?-([\w+#-]{1,32})")
_LAYOUT = "table, ul, ol, h1, h2, h3, h4, h5, h6, blockquote, figure"
_RULE = "* * *"
DEEPEST = 500
_TAG = re.compile(r"<(/?)([a-zA-Z][\w-]*)[^<>]*>")
#: Tags that close themselves or are closed by the next of their kind.
_NOT_NESTING = frozenset(
    ("p", "li", "dt", "dd", "tr", "td", "th", "br", "img", "hr", "wbr", "input", "source", "col")
)


def read_markup(html: str) -> Rich:
    """Words and formatting of a piece of HTML. The markers of the fit filter stay, close to their words.

    Blocks stand apart by an empty line, list items and table rows by a line; an image speaks its alternative
    text. Formatting follows Telegram's rules: code and pre hold and touch no other, quotes do not nest.
    """
    if "<" not in html and "&" not in html:
        words = Words()
        words.add(html)
        return words.finish()
    from selectolax.lexbor import LexborHTMLParser

    body = LexborHTMLParser(_flatten(html)).body
    walk = _Walk()
    if body is not None:
        walk.follow(body)
    return walk.words.finish()


def to_plain_text(html: str, links: Links = "none") -> str:
    """The words alone, for subjects, posts and a letter's text part.

    `links`: "none" drops addresses; "inline" writes "words (address)", or the address on its own line under
    words that fill theirs; "notes" numbers the links and lists their addresses at the end.
    """
    return render_plain(read_markup(html), links)


class _Walk:
    """Goes through the tree without recursion, so that no depth of nesting stops it."""

    def __init__(self) -> None:
        self.words = Words()
        self._lists: list[int | None] = []
        self._tables: list[bool] = []

    def follow(self, root: Any) -> None:
        node = root.child
        entered: list[tuple[Any, list[Open]]] = []
        while node is not None or entered:
            if node is None:
                node, opened = entered.pop()
                self._leave(node, opened)
            elif (opened_here := self._enter(node)) is not None:
                entered.append((node, opened_here))
                node = node.child
                continue
            node = node.next

    def _enter(self, node: Any) -> list[Open] | None:
        """What was opened for this element; None where it has no inside."""
        tag = node.tag
        if tag == "-text":
            self.words.add(node.text_content or "")
            return None
        if not tag[:1].isalpha() or tag in _SKIPPED:
            return None
        attributes = node.attributes
        if self._is_hidden(attributes) or self._is_leaf(tag, attributes):
            return None
        self._begin_block(tag, node)
        return [opened for opened in self._openings(tag, node, attributes) if opened]

    def _is_hidden(self, attributes: dict[str, str | None]) -> bool:
        is_marked = "hidden" in attributes or attributes.get("aria-hidden") == "true"
        return is_marked or bool(_HIDDEN.search(attributes.get("style") or ""))

    def _is_leaf(self, tag: str, attributes: dict[str, str | None]) -> bool:
        if tag == "br":
            self.words.add_break()
        elif tag == "hr":
            self.words.break_line(2)
            self.words.add(_RULE)
            self.words.break_line(2)
        elif tag == "img":
            self._speak_image(attributes)
        return tag in ("br", "hr", "img", "wbr", "input")

    def _speak_image(self, attributes: dict[str, str | None]) -> None:
        alternative = (attributes.get("alt") or "").strip()
        is_word = self.words.is_open("link") or "emoji" in (attributes.get("class") or "")
        if alternative:
            self.words.add(alternative if is_word else f"[{alternative}]")

    def _begin_block(self, tag: str, node: Any) -> None:
        self._break_line(tag)
        if tag in ("ul", "ol"):
            self._lists.append(_number(node.attributes.get("start"), 1) if tag == "ol" else None)
        elif tag == "li":
            self._begin_item(_number(node.attributes.get("value"), None))
        elif tag == "table":
            is_layout = node.attributes.get("role") in ("presentation", "none") or bool(_holds_blocks(node))
            self._tables.append(is_layout)
        elif tag in ("td", "th"):
            self._begin_cell()
        elif tag == "tr":
            self.words.begin_row()
        elif tag == "pre":
            self.words.begin_raw()
        elif tag == "q":
            self.words.add("“")

    def _begin_item(self, value: int | None) -> None:
        if not self._lists:
            self._lists.append(None)
        number = self._lists[-1] if value is None else value
        if number is not None:
            self._lists[-1] = number + 1
        self.words.begin_item("• " if number is None else f"{number}. ", len(self._lists))

    def _begin_cell(self) -> None:
        if self._tables and not self._tables[-1]:
            self.words.begin_cell()
        else:
            self.words.break_line(1)

    def _openings(self, tag: str, node: Any, attributes: dict[str, str | None]) -> list[Open | None]:
        if tag == "a":
            url = re.sub(r"[\t\n\r]", "", attributes.get("href") or "").strip().replace(" ", "%20")
            return [self.words.open("link", url=url)] if _LINKABLE.match(url) else []
        if tag == "pre":
            return [self.words.open("pre", language=_read_language(node))]
        return [self.words.open(_STYLES[tag])] if tag in _STYLES else []

    def _leave(self, node: Any, opened: list[Open]) -> None:
        tag = node.tag
        if tag == "pre":
            self.words.end_raw()
        elif tag == "q":
            self.words.add_closing("”")
        for entity in reversed(opened):
            self.words.close(entity)
        if tag == "li":
            self.words.end_item(len(self._lists))
        elif tag in ("ul", "ol"):
            self._lists.pop()
            self.words.end_item(len(self._lists))
        elif tag == "table":
            self._tables.pop()
        elif tag in ("td", "th") and self._tables and not self._tables[-1]:
            self.words.end_cell()
        self._break_line(tag)

    def _break_line(self, tag: str) -> None:
        """Within a list nothing stands apart."""
        if tag in _BREAKS:
            self.words.break_line(1 if self._lists else _BREAKS[tag])


def _flatten(html: str) -> str:
    """Without the tags nested deeper than 500: the parser's time grows with the square of the depth."""
    if html.count("<") <= DEEPEST:
        return html
    depth = 0

    def keep(tag: re.Match[str]) -> str:
        nonlocal depth
        if tag[2].lower() in _NOT_NESTING:
            return tag[0]
        depth = max(0, depth - 1) if tag[1] else depth + 1
        is_shallow = depth < DEEPEST if tag[1] else depth <= DEEPEST
        return tag[0] if is_shallow else ""

    return _TAG.sub(keep, html)


def _number(text: str | None, otherwise: int | None) -> int | None:
    return int(text) if text and re.fullmatch(r"-?[0-9]{1,6}", text.strip()) else otherwise


def _holds_blocks(table: Any) -> bool:
    """A table with blocks in it lays out a page; one without holds data."""
    return any(found.mem_id != table.mem_id for found in table.css(_LAYOUT))


def _read_language(node: Any) -> str | None:
    inner = node.child
    classes = [
        node.attributes.get("class"),
        inner.attributes.get("class") if inner and inner.tag == "code" else None,
    ]
    found = _LANGUAGE.search(" ".join(filter(None, classes)))
    return found.group(1).lower() if found else None
