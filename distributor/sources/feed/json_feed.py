"""JSON Feed 1.0 and 1.1 (jsonfeed.org). feedparser 6 does not read it."""

from __future__ import annotations

import json
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any

from distributor.core.errors import SourceError
from distributor.sources.dates import read_date
from distributor.sources.drafts import Draft
from distributor.sources.markup import make_image

if TYPE_CHECKING:
    from distributor.sources.feed.parse import FeedText

_VERSION = "jsonfeed.org/version/"


def is_json(body: bytes) -> bool:
    """Whether the first sign that counts is a brace or a bracket."""
    return body.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")[:1] in (b"{", b"[")


def read_json_feed(text: FeedText, now: datetime) -> list[Draft]:
    """Its items in order, those without an id left out (JSON Feed 1.1); SourceError for JSON of another kind."""
    feed = _load(text)
    if not isinstance(feed, dict) or _VERSION not in str(feed.get("version")):
        raise SourceError(f"{text.url} is JSON, but not a JSON Feed")
    items = feed.get("items")
    found = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    language = _string(feed, "language")
    return [_read_item(item, text, language, now) for item in found if _read_id(item)]


def _load(text: FeedText) -> Any:
    try:
        return json.loads(text.body.decode(json.detect_encoding(text.body)), strict=False)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{text.url} cannot be read as JSON: {str(error)[:100]}") from error


def _read_item(item: dict[str, Any], text: FeedText, language: str, now: datetime) -> Draft:
    body = _string(item, "content_html") or _as_html(_string(item, "content_text"))
    picture = _string(item, "image") or _string(item, "banner_image")
    return Draft(
        base=text.url,
        guid=_read_id(item),
        url=_string(item, "url") or _string(item, "external_url"),
        headline=_string(item, "title"),
        summary=_as_html(_string(item, "summary")),
        body=body,
        authors=_authors(item),
        categories=[tag for tag in _list(item, "tags") if isinstance(tag, str)],
        section=text.section,
        language=_string(item, "language") or language,
        published_at=read_date(item.get("date_published"), now, is_utc=True),
        updated_at=read_date(item.get("date_modified"), now, is_utc=True),
        image=make_image(text.url, picture) if picture else None,
    )


def _read_id(item: dict[str, Any]) -> str:
    value = item.get("id")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).strip()


def _authors(item: dict[str, Any]) -> list[str]:
    people = [*_list(item, "authors"), item.get("author")]
    return [_string(person, "name") for person in people if isinstance(person, dict)]


def _string(mapping: dict[str, Any], key: str) -> str:
    value = mapping.get(key)
    return value if isinstance(value, str) else ""


def _list(mapping: dict[str, Any], key: str) -> list[Any]:
    value = mapping.get(key)
    return value if isinstance(value, list) else []


def _as_html(text: str) -> str:
    paragraphs = [part.strip() for part in text.split("\n\n") if part.strip()]
    if len(paragraphs) < 2:
        return escape(text, quote=False)
    return "".join(f"<p>{escape(part, quote=False)}</p>" for part in paragraphs)
