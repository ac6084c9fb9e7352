"""From what a source says about an entry to a Post: cleaned, bounded, each field with where it came from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from distributor.core.cutting import cut_text
from distributor.core.post import Image, Post
from distributor.core.text_clean import clean_text, clean_title, plain_text
from distributor.sources.markup import first_image, sanitise, web_address

LONGEST_SUMMARY = 600
_LONGEST_HEADLINE = 500
_LONGEST_GUID = 1000
_LONGEST_NAME = 100
_MOST_TAGS = 50
_MOST_AUTHORS = 10

_FIELDS = (
    *("headline", "canonical_url", "summary", "body_html", "byline", "section", "tags", "language"),
    *("published_at", "updated_at", "image"),
)
_FOOTER = re.compile(r"\s*The post .{1,300}? (?:appeared first on|first appeared on) .{1,200}$", re.IGNORECASE)
_MORE = re.compile(
    r"\s*(?:\[(?:…|\.\.\.)\]|(?:Continue reading|Read more)\b.{0,200}?(?:→|»|…)?)\s*$", re.IGNORECASE
)
_BY = re.compile(r"^by:?\s+", re.IGNORECASE)
_NOBODY = frozenset({"admin", "administrator", "author", "editor", "root", "unknown", "webmaster", "wordpress"})
_NO_SECTION = frozenset({"uncategorized", "uncategorised", "без категорії", "без рубрики"})


@dataclass
class Draft:
    """One entry as a source words it: texts may be HTML and of any length, addresses relative to `base`."""

    base: str
    guid: str = ""
    url: str = ""
    canonical_url: str = ""
    headline: str = ""
    summary: str = ""
    body: str = ""
    authors: Iterable[str] = ()
    categories: Iterable[str] = ()
    tags: Iterable[str] = ()
    section: str = ""
    language: str = ""
    published_at: datetime | None = None
    updated_at: datetime | None = None
    image: Image | None = None
    provenance: dict[str, str] = field(default_factory=dict)


def finish(draft: Draft, source: str, where: str) -> Post | None:
    """The post; None for an entry that leads nowhere. `where` ("feed", "wordpress") becomes its provenance.

    A missing headline is the beginning of the text, a long summary that is really the story becomes the body, the
    first category is the section (`draft.section` stands in), a first publication unknown is the last update.
    """
    body, summary = _part_body(draft)
    url = web_address(draft.base, draft.url)
    headline = clean_title(draft.headline) or cut_text(summary, 100)
    if not headline or not url:
        return None
    categories = clean_names(draft.categories)
    sections = [name for name in categories if name.casefold() not in _NO_SECTION]
    published, updated = draft.published_at or draft.updated_at, draft.updated_at
    post = Post(
        source=source,
        guid=_bound_guid(clean_text(draft.guid)),
        url=url,
        headline=cut_text(headline, _LONGEST_HEADLINE),
        canonical_url=web_address(draft.base, draft.canonical_url),
        summary=summary,
        body_html=body,
        byline=join_names(draft.authors),
        section=sections[0] if sections else draft.section,
        tags=tuple(dict.fromkeys([*sections[1:], *clean_names(draft.tags)]))[:_MOST_TAGS],
        language=clean_language(draft.language),
        published_at=published,
        updated_at=updated if updated != published else None,
        image=draft.image or first_image(body),
    )
    return name_sources(post, where)


def name_sources(post: Post, where: str) -> Post:
    """The post with `where` as the provenance of every field it has a value for."""
    return replace(post, provenance={name: where for name in _FIELDS if getattr(post, name)})


def _part_body(draft: Draft) -> tuple[str, str]:
    """Sanitised body and plain summary. A description that holds the story is the body."""
    body = sanitise(draft.body, draft.base)
    words = plain_text(sanitise(draft.summary, draft.base)) if draft.summary else ""
    if not body and (len(words) > LONGEST_SUMMARY or "<p" in draft.summary or "<img" in draft.summary):
        body = sanitise(draft.summary, draft.base)
    return body, cut_text(_drop_more(_FOOTER.sub("", words or plain_text(body))), LONGEST_SUMMARY)


def _drop_more(summary: str) -> str:
    """Without "[…]" and "Continue reading" at its end; an ellipsis where the sentence was cut."""
    words = _MORE.sub("", summary)
    return words if words == summary or words.endswith((".", "!", "?", "…")) or not words else words + "…"


def join_names(names: Iterable[str]) -> str:
    """Names of authors as a byline: no addresses, no "by", no "admin", each once."""
    cleaned = [_BY.sub("", clean_title(name))[:_LONGEST_NAME].strip(" ,;") for name in names]
    people = [name for name in cleaned if name and not _is_nobody(name)]
    return ", ".join(list(dict.fromkeys(people))[:_MOST_AUTHORS])


def _is_nobody(name: str) -> bool:
    return name.casefold() in _NOBODY or "@" in name or "://" in name or name.startswith(("www.", "/"))


def clean_language(text: str) -> str:
    """A BCP 47 tag such as "en" or "pt-BR"; "" for anything else."""
    tag = text.strip().replace("_", "-")
    return tag if re.fullmatch(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}", tag) else ""


def clean_names(names: Iterable[str]) -> list[str]:
    """Sections and tags as plain text, each once, at most 50 of at most 100 characters."""
    cleaned = (clean_title(name)[:_LONGEST_NAME] for name in names)
    return list(dict.fromkeys(name for name in cleaned if name))[:_MOST_TAGS]


def _bound_guid(guid: str) -> str:
    if len(guid) <= _LONGEST_GUID:
        return guid
    return "hash:" + hashlib.blake2b(guid.encode("utf-8", "replace"), digest_size=16).hexdigest()
