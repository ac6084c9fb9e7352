"""schema.org articles in JSON-LD, as pages embed them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

_LONGEST_SCRIPT = 500_000
_MOST_NODES = 500
_DEEPEST = 6
_ARTICLE = re.compile(r"(?:Article|Posting|Report|Review)$")


@dataclass
class LinkedData:
    """What the article node says, as text; lists for what may be several."""

    texts: dict[str, str] = field(default_factory=dict)
    authors: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    image: dict[str, Any] = field(default_factory=dict)


def read_json_ld(scripts: Iterable[str]) -> LinkedData:
    """The first article found in the page's scripts; empty when there is none. Never raises for bad JSON."""
    nodes = [node for script in scripts for node in _nodes(_load(script))][:_MOST_NODES]
    article = next((node for node in nodes if _is_article(node)), None)
    if article is None:
        return LinkedData()
    by_id = {node["@id"]: node for node in nodes if isinstance(node.get("@id"), str)}
    pick = {
        "headline": _first_text(article.get("headline") or article.get("name")),
        "summary": _first_text(article.get("description")),
        "published_at": _first_text(article.get("datePublished")),
        "updated_at": _first_text(article.get("dateModified")),
        "section": _first_text(article.get("articleSection")),
        "language": _first_text(article.get("inLanguage")),
        "canonical_url": _first_text(article.get("url")) or _reference(article.get("mainEntityOfPage")),
    }
    return LinkedData(
        texts={name: text for name, text in pick.items() if text},
        authors=[name for person in _list(article.get("author")) if (name := _name(person, by_id))],
        tags=_keywords(article.get("keywords")),
        image=_image(article.get("image"), by_id),
    )


def _load(script: str) -> Any:
    try:
        return json.loads(script[:_LONGEST_SCRIPT], strict=False)
    except (ValueError, RecursionError):
        return None


def _nodes(data: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    if depth > _DEEPEST:
        return
    for node in _list(data):
        if isinstance(node, dict):
            yield node
            yield from _nodes(node.get("@graph"), depth + 1)
            yield from _nodes(node.get("mainEntity"), depth + 1)
        elif isinstance(node, list):
            yield from _nodes(node, depth + 1)


def _is_article(node: dict[str, Any]) -> bool:
    return any(isinstance(kind, str) and _ARTICLE.search(kind) for kind in _list(node.get("@type")))


def _name(person: Any, by_id: dict[str, dict[str, Any]]) -> str:
    if isinstance(person, dict) and "name" not in person:
        person = by_id.get(str(person.get("@id")), {})
    return _first_text(person.get("name")) if isinstance(person, dict) else _first_text(person)


def _keywords(value: Any) -> list[str]:
    words = [word for text in _list(value) if isinstance(text, str) for word in text.split(",")]
    return [word.strip() for word in words if word.strip()]


def _image(value: Any, by_id: dict[str, dict[str, Any]]) -> dict[str, Any]:
    for picture in _list(value):
        if isinstance(picture, str):
            return {"url": picture}
        if isinstance(picture, dict):
            node = (
                picture if "url" in picture or "contentUrl" in picture else by_id.get(str(picture.get("@id")), {})
            )
            address = _first_text(node.get("url")) or _first_text(node.get("contentUrl"))
            if address:
                return {**{name: _plain(node.get(name)) for name in ("width", "height", "caption")}, "url": address}
    return {}


def _plain(value: Any) -> Any:
    """A number or text; from a QuantitativeValue its value."""
    value = value.get("value") if isinstance(value, dict) else value
    return value if isinstance(value, str | int | float) else None


def _reference(value: Any) -> str:
    return _first_text(value.get("@id")) if isinstance(value, dict) else _first_text(value)


def _first_text(value: Any) -> str:
    for item in _list(value):
        if isinstance(item, str) and item.strip():
            return item.strip()
        if isinstance(item, dict) and isinstance(item.get("@value"), str):
            return str(item["@value"]).strip()
    return ""


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
