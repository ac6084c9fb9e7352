"""From what the WordPress REST API answers to posts. No network, no clock."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from distributor.core.post import Image, Post
from distributor.core.text_clean import clean_title
from distributor.sources.dates import read_date
from distributor.sources.drafts import Draft, finish
from distributor.sources.markup import make_image

#: The fields that are asked for; without _links there is no _embedded.
FIELDS = (
    "id,date_gmt,modified_gmt,slug,status,link,guid,title,excerpt,content,author,featured_media,categories,tags,"
    "_links,_embedded"
)


def read_item(item: Any, site: str, source: str, section: str, now: datetime) -> Post | None:
    """One post of `/wp/v2/posts?_embed`; None for what readers cannot open: unpublished, or behind a password."""
    if not isinstance(item, dict) or item.get("status", "publish") != "publish":
        return None
    content, embedded = _dict(item, "content"), _dict(item, "_embedded")
    if content.get("protected"):
        return None
    draft = Draft(
        base=_string(item, "link") or site,
        guid=_rendered(item, "guid") or f"{site}?p={item.get('id')}",
        url=_string(item, "link"),
        canonical_url=_string(item, "link"),
        headline=_rendered(item, "title"),
        summary=_rendered(item, "excerpt"),
        body=_rendered(item, "content"),
        authors=[_string(person, "name") for person in _dicts(embedded, "author")],
        categories=_terms(embedded, "category"),
        tags=_terms(embedded, "post_tag"),
        section=section,
        published_at=read_date(item.get("date_gmt"), now, is_utc=True),
        updated_at=read_date(item.get("modified_gmt"), now, is_utc=True),
        image=_featured(embedded, site),
    )
    return finish(draft, source, "wordpress")


def read_modified(item: Any, now: datetime) -> datetime | None:
    """When a post was last changed."""
    return read_date(item.get("modified_gmt"), now, is_utc=True) if isinstance(item, dict) else None


def _featured(embedded: dict[str, Any], site: str) -> Image | None:
    for media in _dicts(embedded, "wp:featuredmedia"):
        details = _dict(media, "media_details")
        image = make_image(
            site, media.get("source_url"), _string(media, "alt_text"), details.get("width"), details.get("height")
        )
        if image:
            return image
    return None


def _terms(embedded: dict[str, Any], taxonomy: str) -> list[str]:
    groups = [group for group in _list(embedded, "wp:term") if isinstance(group, list)]
    terms = [term for group in groups for term in group if isinstance(term, dict)]
    return [clean_title(_string(term, "name")) for term in terms if term.get("taxonomy") == taxonomy]


def _rendered(item: dict[str, Any], key: str) -> str:
    return _string(_dict(item, key), "rendered")


def _dict(mapping: dict[str, Any], key: str) -> dict[str, Any]:
    value = mapping.get(key)
    return value if isinstance(value, dict) else {}


def _list(mapping: dict[str, Any], key: str) -> list[Any]:
    value = mapping.get(key)
    return value if isinstance(value, list) else []


def _dicts(mapping: dict[str, Any], key: str) -> list[dict[str, Any]]:
    return [value for value in _list(mapping, key) if isinstance(value, dict)]


def _string(mapping: dict[str, Any], key: str) -> str:
    value = mapping.get(key)
    return value if isinstance(value, str) else ""
