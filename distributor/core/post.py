"""Post: one story as a source published it."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from distributor.core.text_clean import plain_text

#: Where a byline may come from without being sure enough to print: right in two of three pages only
#: (facts/libraries.md section 3).
GUESSES = frozenset({"html", "trafilatura"})

_DATES = ("published_at", "updated_at")


@dataclass(frozen=True, slots=True)
class Image:
    """A lead image. Width and height in pixels where the source says them."""

    url: str
    alt: str = ""
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class Post:
    """The content of one revision of one story.

    All texts except `body_html` are plain text of one line without control characters; `body_html` is
    sanitised. `url` is the link the source gave, `canonical_url` the address that the page gives itself, `guid`
    the source's own id ("" where there is none). Dates are aware UTC, None when the source gave none that can be
    true. `provenance` names where each field comes from (feed, wordpress, json-ld, og, meta, html, trafilatura);
    its `article` tells how reading the page went.
    """

    source: str
    guid: str
    url: str
    headline: str
    canonical_url: str = ""
    summary: str = ""
    body_html: str = ""
    byline: str = ""
    section: str = ""
    tags: tuple[str, ...] = ()
    language: str = ""
    published_at: datetime | None = None
    updated_at: datetime | None = None
    image: Image | None = None
    provenance: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in _DATES:
            moment = getattr(self, name)
            if moment is not None and moment.utcoffset() is None:
                raise ValueError(f"{name}: {moment} has no time zone")

    @property
    def printed_byline(self) -> str:
        """The byline readers may see: "" while it is only a guess from the page's markup."""
        return "" if self.provenance.get("byline") in GUESSES else self.byline

    @property
    def link(self) -> str:
        """Where a reader is led: the page's own address of itself, else the link of the source."""
        return self.canonical_url or self.url


def post_to_json(post: Post) -> str:
    """Stable text: equal posts give equal bytes."""
    data = {name: getattr(post, name) for name in Post.__dataclass_fields__}
    data["tags"] = list(post.tags)
    data["provenance"] = dict(post.provenance)
    data["image"] = post.image and {name: getattr(post.image, name) for name in Image.__dataclass_fields__}
    for name in _DATES:
        data[name] = data[name] and data[name].astimezone(UTC).isoformat()
    return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def post_from_json(text: str) -> Post:
    """The post that `post_to_json` wrote. Fields of a newer version are left out."""
    data: dict[str, Any] = json.loads(text)
    known = {name: data[name] for name in Post.__dataclass_fields__ if name in data}
    known["tags"] = tuple(known.get("tags", ()))
    known["image"] = Image(**known["image"]) if known.get("image") else None
    for name in _DATES:
        known[name] = datetime.fromisoformat(known[name]) if known.get(name) else None
    return Post(**known)


def content_hash(post: Post) -> str:
    """32 hex characters that differ when readers would see a difference.

    Headline, summary, printed byline, section, lead image, canonical address and the words of the body; never
    dates, markup, hosts or queries: a new pubDate, a new theme, https or another image server change no story.
    """
    image = _last_segment(post.image.url) if post.image else ""
    seen = [post.headline, post.summary, post.printed_byline, post.section, plain_text(post.body_html)]
    texts = [_fold(text) for text in seen] + [image, _path(post.canonical_url)]
    return hashlib.blake2b("\x1f".join(texts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _fold(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).strip()


def _path(url: str) -> str:
    try:
        return urlsplit(url).path.rstrip("/")
    except ValueError:
        return url


def _last_segment(url: str) -> str:
    return _path(url).rpartition("/")[2]
