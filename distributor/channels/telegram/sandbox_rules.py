"""What the Bot API server checks before it takes a message, with its own sentences.

Sources: Client.cpp and Query.cpp of tdlib/telegram-bot-api; MessageContent.cpp, MessageEntity.cpp and
LinkManager.cpp of tdlib/td. Text is counted in code points after parsing, entity offsets in UTF-16 units.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from email.message import Message as MailMessage
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qsl

from distributor.channels.telegram.links import find_url_problem
from distributor.channels.telegram.sandbox_html import BadMarkup, count_units, parse_html

TEXT_LIMIT = 4096
CAPTION_LIMIT = 1024
RAW_LIMIT = 1 << 15

_ENTITY_TYPES = frozenset(
    {
        *("mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "date_time"),
        *("bold", "italic", "underline", "strikethrough", "spoiler", "code", "pre", "text_link"),
        *("text_mention", "custom_emoji", "blockquote", "expandable_blockquote"),
    }
)
_BARE_LINK = re.compile(r"https?://[^\s<>\"“”«»]+(?<![.,;:!?'’)\]…])")
_BUTTON_ACTIONS = ("url", "callback_data", "web_app", "login_url", "switch_inline_query", "copy_text", "pay")


class Refusal(Exception):
    """An answer that says no. `parameters` go beside the sentence (retry_after, migrate_to_chat_id)."""

    def __init__(self, code: int, sentence: str, **parameters: int) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.parameters = parameters


@dataclass(frozen=True)
class Words:
    """A checked text or caption."""

    text: str
    entities: list[dict[str, Any]] = field(default_factory=list)


def bad_request(sentence: str) -> Refusal:
    return Refusal(400, f"Bad Request: {sentence}")


def read_parameters(content_type: str, body: bytes, query: str) -> dict[str, Any]:
    """The call's fields, whichever of the four ways they came in; uploaded files as bytes."""
    fields: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        fields.update(_read_json(body))
    elif kind == "multipart/form-data":
        fields.update(_read_multipart(content_type, body))
    else:
        fields.update(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return fields


def _read_json(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body or b"{}")
    except ValueError:
        raise bad_request("can't parse request: JSON expected") from None
    return data if isinstance(data, dict) else {}


def _read_multipart(content_type: str, body: bytes) -> dict[str, Any]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    parsed = BytesParser().parsebytes(head + body)
    return {name: _read_part(part) for part in parsed.walk() if (name := _name_of(part))}


def _name_of(part: MailMessage) -> str:
    return str(part.get_param("name", "", header="content-disposition") or "")


def _read_part(part: MailMessage) -> str | bytes:
    data = part.get_payload(decode=True)
    content = data if isinstance(data, bytes) else b""
    return content if part.get_filename() else content.decode("utf-8", "replace")


def read_object(fields: dict[str, Any], name: str, sentence: str) -> Any:
    """A field that is an object or a list: JSON text in a form, itself in a JSON body; None without it."""
    value = fields.get(name)
    if not isinstance(value, str):
        return value
    if not value:
        return None
    try:
        return json.loads(value)
    except ValueError:
        raise bad_request(f"{sentence}: Can't parse JSON") from None


def read_text(fields: dict[str, Any]) -> Words:
    words = _read_words(fields, "text", "entities")
    if not words.text:
        raise bad_request("message text is empty")
    if len(words.text) > TEXT_LIMIT:
        raise bad_request("message is too long")
    return words


def read_caption(fields: dict[str, Any]) -> Words:
    words = _read_words(fields, "caption", "caption_entities")
    if len(words.text) > CAPTION_LIMIT:
        raise bad_request("message caption is too long")
    return words


def _read_words(fields: dict[str, Any], name: str, entities_name: str) -> Words:
    raw = str(fields.get(name) or "")
    if len(raw.encode("utf-8", "surrogatepass")) > RAW_LIMIT:
        raise bad_request("text is too long")
    mode = str(fields.get("parse_mode") or "").lower()
    if mode == "html":
        return _find_bare_links(_trim(_parse(raw)))
    if mode:
        raise bad_request(f"unsupported parse_mode (this sandbox reads HTML, not {mode})")
    entities = read_object(fields, entities_name, "can't parse entities JSON object") or []
    for entity in entities:
        _check_entity(entity)
    _check_offsets(raw, entities)
    return _find_bare_links(_trim(Words(raw, entities)))


def _find_bare_links(words: Words) -> Words:
    """The server makes links of addresses that stand in the text, where no mark covers them yet."""
    taken = [(entity["offset"], entity["offset"] + entity["length"]) for entity in words.entities]
    found = []
    for match in _BARE_LINK.finditer(words.text):
        start = count_units(words.text[: match.start()])
        end = start + count_units(match[0])
        if not any(start < other_end and other_start < end for other_start, other_end in taken):
            found.append({"type": "url", "offset": start, "length": end - start})
    return Words(words.text, sorted([*words.entities, *found], key=lambda e: (e["offset"], -e["length"])))


def _parse(raw: str) -> Words:
    try:
        return Words(*parse_html(raw))
    except BadMarkup as problem:
        raise bad_request(f"can't parse entities: {problem}") from None


def _check_entity(entity: Any) -> None:
    wrong = "can't parse MessageEntity: "
    if not isinstance(entity, dict):
        raise bad_request(wrong + "expected an Object")
    for name in ("offset", "length"):
        if not isinstance(entity.get(name), int):
            raise bad_request(f'{wrong}Can\'t find field "{name}"')
    if entity.get("type") not in _ENTITY_TYPES:
        raise bad_request(wrong + "Unsupported type specified")
    if entity["type"] != "text_link":
        return
    if "url" not in entity:
        raise bad_request(wrong + 'Can\'t find field "url"')
    if problem := find_url_problem(str(entity["url"])):
        raise bad_request(f"entity URL '{entity['url']}' is invalid: {problem}")


def _check_offsets(text: str, entities: list[dict[str, Any]]) -> None:
    total = count_units(text)
    ends: list[int] = []
    inside = _find_inner_units(text)
    for entity in sorted(entities, key=lambda e: (e["offset"], -e["length"])):
        start, end = entity["offset"], entity["offset"] + entity["length"]
        ends = [other for other in ends if other > start]
        if start > total:
            raise bad_request(f"entity begins after the end of the text at UTF-16 offset {start}")
        if end > total or any(other < end for other in ends):
            raise bad_request(
                f"entity beginning at UTF-16 offset {start} ends after the end of the text at UTF-16 offset {end}"
            )
        if start in inside or end in inside:
            side = "begins" if start in inside else "ends"
            raise bad_request(f"entity {side} in a middle of a UTF-16 symbol at byte offset {start}")
        ends.append(end)


def _find_inner_units(text: str) -> frozenset[int]:
    inner, unit = [], 0
    for char in text:
        if char > "\uffff":
            inner.append(unit + 1)
        unit += count_units(char)
    return frozenset(inner)


def _trim(words: Words) -> Words:
    """The server drops white space at both ends and moves the entities with it."""
    stripped = words.text.strip()
    lead = count_units(words.text[: len(words.text) - len(words.text.lstrip())])
    total = count_units(stripped)
    moved = []
    for entity in words.entities:
        start = max(0, entity["offset"] - lead)
        end = min(total, entity["offset"] - lead + entity["length"])
        if end > start:
            moved.append({**entity, "offset": start, "length": end - start})
    return Words(stripped, moved)


def read_buttons(fields: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The rows of an inline keyboard; [] without one."""
    markup = read_object(fields, "reply_markup", "can't parse reply keyboard markup JSON object")
    if markup is None:
        return []
    if not isinstance(markup, dict):
        raise bad_request("object expected as reply markup")
    rows = markup.get("inline_keyboard", [])
    if not isinstance(rows, list):
        raise bad_request('field "inline_keyboard" must be of type Array')
    if not all(isinstance(row, list) for row in rows):
        raise bad_request("can't parse inline keyboard button: field must be of type Array")
    for button in (button for row in rows for button in row):
        _check_button(button)
    return [row for row in rows if row]


def _check_button(button: Any) -> None:
    wrong = "can't parse inline keyboard button: "
    if not isinstance(button, dict):
        raise bad_request(wrong + "InlineKeyboardButton must be an Object")
    if not str(button.get("text") or "").strip():
        raise bad_request(
            wrong + 'Field "text" must be non-empty' if "text" in button else wrong + 'Can\'t find field "text"'
        )
    if sum(name in button for name in _BUTTON_ACTIONS) != 1:
        raise bad_request(wrong + "Text buttons are unallowed in the inline keyboard")
    if "url" in button and (problem := find_url_problem(str(button["url"]))):
        raise bad_request(f"inline keyboard button URL '{button['url']}' is invalid: {problem}")
    if len(str(button.get("callback_data", "")).encode()) > 64:
        raise bad_request("BUTTON_DATA_INVALID")


def read_photo(fields: dict[str, Any], value: Any) -> str:
    """The address of an image, or the name of an uploaded one."""
    if isinstance(value, bytes):
        return "attach://photo"
    if not value:
        raise bad_request("there is no photo in the request")
    if str(value).startswith("attach://"):
        if not isinstance(fields.get(str(value)[9:]), bytes):
            raise bad_request("there is no photo in the request")
        return str(value)
    if not str(value).startswith(("http://", "https://")):
        raise bad_request("wrong file identifier/HTTP URL specified")
    if find_url_problem(str(value)):
        raise bad_request("wrong HTTP URL specified")
    return str(value)


def read_flag(fields: dict[str, Any], name: str) -> bool:
    return str(fields.get(name, "")).lower() in ("true", "yes", "1")


def read_preview(fields: dict[str, Any]) -> dict[str, Any]:
    options = read_object(fields, "link_preview_options", "can't parse link preview options JSON object") or {}
    if not isinstance(options, dict):
        raise bad_request("object expected as link preview options")
    for name, value in options.items():
        expected = str if name == "url" else bool
        if not isinstance(value, expected):
            raise bad_request(f'field "{name}" must be of type {"String" if expected is str else "Boolean"}')
    return options
