"""A rendered template -> one frozen message within Telegram's limits. Pure.

Texts are fitted by UTF-16 units, which are never fewer than the code points that the server counts: what fits
here fits there, and on every phone.
"""

from __future__ import annotations

from dataclasses import replace

from distributor.channels.telegram.dialect import Button, Parts, read_parts
from distributor.channels.telegram.entities import CAPTION_LIMIT, TEXT_LIMIT, make_entities, safe_length
from distributor.channels.telegram.links import find_url_problem
from distributor.core.errors import Unsupported
from distributor.core.markup import read_markup
from distributor.core.message import SLOT_START, Content
from distributor.core.rich import Rich, fit_rich

#: A text that would lose more than this to become a caption is better off whole, without its image.
LEAST_KEPT = 0.5

_WEB = ("http://", "https://", "tg://")


def compose_payload(rendered: str, is_silent: bool) -> Content:
    """Raises Unsupported for an empty text, one that cannot be made to fit, and personal slots."""
    if SLOT_START in rendered:
        raise Unsupported("a post on Telegram is the same for everyone: take the personal fields out of it")
    warnings: list[str] = []
    parts = read_parts(rendered)
    marked = _drop_bad_links(read_markup(parts.body), warnings)
    photo = _keep_address(parts.photo, warnings)
    caption = _fit_caption(marked, warnings) if photo else None
    rich = caption or fit_rich(marked, TEXT_LIMIT, safe_length)[0]
    if not rich.text.strip():
        raise Unsupported("the template gave an empty message")
    payload = {
        "text": rich.text,
        "entities": make_entities(rich),
        "photo": photo if caption else "",
        "caption": caption is not None,
        "buttons": _keep_rows(parts, warnings),
        "preview_url": _keep_address(parts.preview_url, warnings),
        "silent": is_silent,
    }
    return Content(payload, tuple(dict.fromkeys(warnings)))


def _fit_caption(marked: Rich, warnings: list[str]) -> Rich | None:
    """The words as a caption; None when too many of them would be lost."""
    try:
        rich, was_cut = fit_rich(marked, CAPTION_LIMIT, safe_length)
    except Unsupported:
        rich, was_cut = Rich(""), True
    if not was_cut or safe_length(rich.text) >= LEAST_KEPT * safe_length(marked.text):
        return rich
    warnings.append(f"the image is left out: a caption has at most {CAPTION_LIMIT:,} characters")
    return None


def _drop_bad_links(rich: Rich, warnings: list[str]) -> Rich:
    """One bad address would refuse the whole message, so its words stay and the link goes."""
    kept = tuple(entity for entity in rich.entities if not entity.url or _keep_address(entity.url, warnings))
    return replace(rich, entities=kept)


def _keep_rows(parts: Parts, warnings: list[str]) -> list[list[Button]]:
    rows = [[button for button in row if _keep_address(button["url"], warnings)] for row in parts.rows]
    return [row for row in rows if row]


def _keep_address(url: str, warnings: list[str]) -> str:
    if not url or (url.lower().startswith(_WEB) and not find_url_problem(url)):
        return url
    warnings.append(f"Telegram takes {url[:200]} for no web address: it is left out")
    return ""
