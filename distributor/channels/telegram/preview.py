"""What readers of the chat will see, for a terminal and for a page. Pure."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from distributor.channels.telegram.entities import CAPTION_LIMIT, TEXT_LIMIT, telegram_length
from distributor.channels.telegram.sandbox_html import render_html
from distributor.core.message import Content, Preview


def draw_preview(content: Content) -> Preview:
    """The frozen words with every address they lead to, and their length as the service counts it."""
    payload = content.payload
    limit = CAPTION_LIMIT if payload["photo"] else TEXT_LIMIT
    place = " (caption)" if payload["photo"] else ""
    return Preview(
        title=payload["text"].partition("\n")[0],
        text=_draw_text(payload),
        html=_draw_html(payload),
        measure=f"{telegram_length(payload['text']):,} of {limit:,}{place}",
        warnings=content.warnings,
    )


def _draw_text(payload: Mapping[str, Any]) -> str:
    lines = [f"[image] {payload['photo']}", ""] if payload["photo"] else []
    lines.append(payload["text"])
    links = dict.fromkeys(entity["url"] for entity in payload["entities"] if entity.get("url"))
    if links:
        lines += ["", *(f"[{number}] {url}" for number, url in enumerate(links, 1))]
    if payload["buttons"]:
        lines.append("")
    for row in payload["buttons"]:
        lines.append("   ".join(f"( {button['text']} ) {button['url']}" for button in row))
    if payload["preview_url"] and not payload["photo"]:
        lines += ["", f"[link preview] {payload['preview_url']}"]
    return "\n".join(lines)


def _draw_html(payload: Mapping[str, Any]) -> str:
    parts = []
    if payload["photo"]:
        parts.append(f'<p><img src="{html.escape(payload["photo"])}" alt="" style="max-width:100%"></p>')
    parts.append(f'<p dir="auto">{render_html(payload["text"], payload["entities"])}</p>')
    if payload["preview_url"] and not payload["photo"]:
        url = html.escape(payload["preview_url"])
        parts.append(f'<blockquote><a href="{url}">{url}</a></blockquote>')
    for row in payload["buttons"]:
        buttons = " ".join(f'<a href="{html.escape(b["url"])}">[{html.escape(b["text"])}]</a>' for b in row)
        parts.append(f"<p>{buttons}</p>")
    return "\n".join(parts)
