"""Fills the gaps that a thin feed leaves, from the article's own page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from distributor.core.cutting import cut_text
from distributor.core.errors import SourceError
from distributor.core.points import reach
from distributor.core.post import Image, Post
from distributor.sources import reader as reader_process
from distributor.sources.drafts import LONGEST_SUMMARY
from distributor.sources.fetch import Fetched, Fetcher

_FILLED = ("headline", "summary", "byline", "section", "language", "published_at", "updated_at", "canonical_url")
_DATES = frozenset({"published_at", "updated_at"})
#: Worth the slow guess when the page's own statements leave them open.
_GUESSED = ("headline", "summary", "byline", "published_at")
_ACCEPT = {"Accept": "text/html, application/xhtml+xml;q=0.9, */*;q=0.1"}


def enrich(post: Post, fetcher: Fetcher, now: datetime, reader: reader_process.Reader | None = None) -> Post:
    """The post with what its page adds: only empty fields are filled, `provenance` says from where.

    Reads the page only when there is a gap. Never raises for a bad page: the post stays as it was, and its
    provenance says under `article` why ("read" when all went well).
    """
    if not post.url or not has_gaps(post):
        return post
    reach("article.fetch")
    try:
        page = fetcher.fetch(post.url, headers=_ACCEPT)
        facts = _read(page, post, now, reader or reader_process.shared)
    except SourceError as error:
        return _note(post, f"not read: {error}")
    return _note(_fill(post, facts), "read")


def has_gaps(post: Post) -> bool:
    """Whether a page could add anything that readers see."""
    return any(not getattr(post, name) for name in (*_FILLED, "tags", "image"))


def _read(page: Fetched, post: Post, now: datetime, reader: reader_process.Reader) -> dict[str, Any]:
    if page.status != 200:
        raise SourceError(f"{page.url} answered {page.status}")
    content_type = page.headers.get("content-type", "")
    if content_type and "html" not in content_type.lower():
        raise SourceError(f"{page.url} is no web page but {content_type[:60]}")
    about = {
        "url": page.url,
        "content_type": content_type,
        "now": now.isoformat(),
        "may_guess": [name for name in _GUESSED if not getattr(post, name)],
    }
    facts: dict[str, Any] = reader.run("article", about, page.body)
    return facts


def _fill(post: Post, facts: dict[str, Any]) -> Post:
    texts, sources = facts["texts"], facts["sources"]
    found: dict[str, Any] = {name: texts[name] for name in _FILLED if name in texts and not getattr(post, name)}
    for name in _DATES & found.keys():
        found[name] = datetime.fromisoformat(found[name]).astimezone(UTC)
    if "summary" in found:
        found["summary"] = cut_text(found["summary"], LONGEST_SUMMARY)
    if not post.tags and facts["tags"]:
        found["tags"] = tuple(facts["tags"])
    if not post.image and facts["image"]:
        found["image"] = Image(**facts["image"])
    if found.get("updated_at") and found["updated_at"] == (post.published_at or found.get("published_at")):
        del found["updated_at"]
    return replace(post, **found, provenance={**post.provenance, **{name: sources[name] for name in found}})


def _note(post: Post, text: str) -> Post:
    return replace(post, provenance={**post.provenance, "article": text[:300]})
