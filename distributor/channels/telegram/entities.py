"""Rich text as the Bot API takes it, and Telegram's limits on it.

Facts: tdlib/td MessageContent.cpp and MessageEntity.cpp, telegram-bot-api Client.cpp. The server counts code
points. Phones and some clients count UTF-16 code units, which are never fewer: `safe_length` counts those, and
texts are fitted by it. That also keeps the request under the server's 32,768 bytes of raw text, because 4,096
UTF-16 units are at most 12,288 bytes of UTF-8 and entities travel beside the text.
"""

from __future__ import annotations

from typing import Any

from distributor.core.rich import Entity, Rich, reading_order, utf16_length

TEXT_LIMIT = 4096
CAPTION_LIMIT = 1024
RAW_LIMIT_BYTES = 32_768
MAX_ENTITIES = 100

_TYPES = {
    "bold": "bold",
    "italic": "italic",
    "underline": "underline",
    "strike": "strikethrough",
    "code": "code",
    "pre": "pre",
    "link": "text_link",
    "quote": "blockquote",
}


def telegram_length(text: str) -> int:
    """Length as the server counts it: Unicode code points of the text, addresses of links not included."""
    return len(text)


def safe_length(text: str) -> int:
    """UTF-16 code units: within a limit by this count, a text is within it for the server and every client."""
    return utf16_length(text)


def make_entities(rich: Rich) -> list[dict[str, Any]]:
    """The `entities` (or `caption_entities`) of a message: at most 100, links before what comes first in the text.

    Of more the server would drop what it likes.
    """
    kept = sorted(rich.entities, key=lambda entity: entity.kind != "link")[:MAX_ENTITIES]
    return [_make_entity(entity) for entity in sorted(kept, key=reading_order)]


def _make_entity(entity: Entity) -> dict[str, Any]:
    made: dict[str, Any] = {"type": _TYPES[entity.kind], "offset": entity.offset, "length": entity.length}
    if entity.kind == "link":
        made["url"] = entity.url
    elif entity.kind == "pre" and entity.language:
        made["language"] = entity.language
    return made
