"""A rendered template -> one frozen message within Telegram's limits. Pure."""

from __future__ import annotations

from distributor.channels.telegram.dialect import read_parts
from distributor.core.message import Content


def compose_payload(rendered: str, is_silent: bool) -> Content:
    parts = read_parts(rendered)
    return Content(
        {
            "text": parts.body,
            "entities": [],
            "photo": parts.photo,
            "caption": bool(parts.photo),
            "buttons": parts.rows,
            "preview_url": parts.preview_url,
            "silent": is_silent,
        }
    )
