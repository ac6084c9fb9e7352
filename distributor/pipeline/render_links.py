"""Links in words: a template names a link, the caller of the renderer decides what it becomes.

Until then each link is a mark of private-use characters that holds all it needs: it survives MJML, Jinja2
and HTML escaping, and `strip_controls` keeps such characters out of story text.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from dataclasses import astuple, dataclass
from urllib.parse import quote

from distributor.core.errors import TemplateError
from distributor.core.links import is_safe_target

_START, _END, _QUOTED = "\ue200", "\ue201", "\ue202"
_FIRST_BYTE = 0xE300
_MARK = re.compile(f"([{_START}{_QUOTED}])([\ue300-\ue3ff]+){_END}")
_LEFTOVER = re.compile(f"[{_START}-{_QUOTED}\ue300-\ue3ff]")
_SLOT = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """A link that a template asked for.

    `slot` says where in the message it stands: article, share_x, follow_rss, more, overflow or a template
    author's own word (a-z, 0-9, _ and -, at most 40). A share button names its `network`; `url` and `title`
    are then what is shared.
    """

    slot: str
    url: str
    post_id: int | None = None
    network: str = ""
    title: str = ""


Mint = Callable[[LinkSpec], str]


def mark_link(spec: LinkSpec) -> str:
    """The stand-in for a link until the words are final.

    ValueError for a slot or an address that cannot be tracked.
    """
    if not _SLOT.fullmatch(spec.slot):
        raise ValueError(f"a link's slot is a short name of a-z, 0-9, _ and -, not {spec.slot[:60]!r}")
    if not is_safe_target(spec.url):
        raise ValueError(f"only http and https addresses can be tracked, not {spec.url[:60]!r}")
    data = json.dumps(astuple(spec), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return _START + "".join(chr(_FIRST_BYTE + byte) for byte in data) + _END


def fill_links(text: str, mint: Mint, template: str, is_markup: bool) -> str:
    """The text with every mark replaced by the minted address, HTML-escaped where `is_markup`.

    TemplateError when a filter cut or changed a mark.
    """

    def fill(found: re.Match[str]) -> str:
        url = mint(_read_mark(found[2]))
        url = quote(url, safe="") if found[1] == _QUOTED else url
        return html.escape(url) if is_markup else url

    filled = _MARK.sub(fill, text)
    if _LEFTOVER.search(filled):
        raise TemplateError(
            "a filter has cut a tracked link in two; print links as they are, and cut only the words around them",
            template,
        )
    return filled


def quote_around_links(text: str) -> str:
    """Percent-encode a text for a query; a tracked link in it is encoded when it is minted."""
    pieces = []
    end = 0
    for found in _MARK.finditer(text):
        pieces += [quote(text[end : found.start()], safe=""), _QUOTED, found[2], _END]
        end = found.end()
    return "".join([*pieces, quote(text[end:], safe="")])


def _read_mark(chars: str) -> LinkSpec:
    return LinkSpec(*json.loads(bytes(ord(char) - _FIRST_BYTE for char in chars)))
