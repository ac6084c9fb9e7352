"""The tags that a Telegram template may use beside ordinary HTML. Pure; channel.py tells what they do."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

from distributor.core.errors import Unsupported
from distributor.core.text import FIT_END, FIT_START

TAGS = ("tg-photo", "tg-preview", "tg-row", "tg-button")

_TAG = re.compile(r"""<(/?)(tg-[a-z-]*)((?:"[^"]*"|'[^']*'|[^>"'])*)>""", re.IGNORECASE)
_ANY_TAG = re.compile(r"</?[a-zA-Z][^>]*>")
_ATTRIBUTE = re.compile(r"""([a-zA-Z][\w-]*)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
_MARKERS = re.compile(f"[{FIT_START}{FIT_END}]")

Button = dict[str, str]


@dataclass
class Parts:
    """A rendered template taken apart: `body` is the ordinary HTML that is left."""

    body: str = ""
    photo: str = ""
    preview_url: str = ""
    rows: list[list[Button]] = field(default_factory=list)


def read_parts(rendered: str) -> Parts:
    """Take the tags of the dialect out of a rendered template. Raises Unsupported for one it does not know.

    A text without a single tag is plain text (a template of default/): its line breaks count.
    """
    if not _ANY_TAG.search(rendered):
        return Parts(rendered.strip().replace("\n", "<br>"))
    reader = _Reader()
    at = 0
    for found in _TAG.finditer(rendered):
        reader.take_words(rendered[at : found.start()])
        reader.take_tag(found[2].lower(), bool(found[1]), _read_attributes(found[3]))
        at = found.end()
    reader.take_words(rendered[at:])
    return reader.finish()


class _Reader:
    def __init__(self) -> None:
        self.parts = Parts()
        self._words: list[str] = []
        self._row: list[Button] | None = None
        self._button: Button | None = None

    def take_words(self, words: str) -> None:
        if self._button is not None:
            self._button["text"] += words
        else:
            self._words.append(words)

    def take_tag(self, tag: str, is_end: bool, attributes: dict[str, str]) -> None:
        if tag not in TAGS:
            raise Unsupported(f"a Telegram template has no tag <{tag}>; it has {', '.join(TAGS)}")
        if tag == "tg-button":
            self._take_button(is_end, attributes)
        elif tag == "tg-row":
            self._take_row(is_end)
        elif tag == "tg-photo" and not is_end:
            self.parts.photo = self.parts.photo or attributes.get("src", "").strip()
        elif tag == "tg-preview" and not is_end:
            self.parts.preview_url = self.parts.preview_url or attributes.get("href", "").strip()

    def _take_row(self, is_end: bool) -> None:
        if self._row:
            self.parts.rows.append(self._row)
        self._row = None if is_end else []

    def _take_button(self, is_end: bool, attributes: dict[str, str]) -> None:
        if self._button is not None:
            self._keep_button(self._button)
        self._button = None if is_end else {"text": "", "url": attributes.get("href", "").strip()}

    def _keep_button(self, button: Button) -> None:
        words = html.unescape(_ANY_TAG.sub("", _MARKERS.sub("", button["text"])))
        button["text"] = " ".join(words.split())
        if not button["text"] or not button["url"]:
            return
        if self._row is None:
            self.parts.rows.append([button])
        else:
            self._row.append(button)

    def finish(self) -> Parts:
        self._take_button(is_end=True, attributes={})
        self._take_row(is_end=True)
        self.parts.body = "".join(self._words)
        return self.parts


def _read_attributes(source: str) -> dict[str, str]:
    return {
        found[1].lower(): html.unescape(found[2] or found[3] or found[4] or "")
        for found in _ATTRIBUTE.finditer(source)
    }
