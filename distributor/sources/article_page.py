"""What an article page says about itself: JSON-LD, then og and meta, then its markup, then trafilatura's guess.

No network, no clock; runs in the reader process. How often each is right: facts/libraries.md section 3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from distributor.core.errors import SourceError
from distributor.core.post import Image
from distributor.core.text_clean import clean_title
from distributor.sources.dates import read_date
from distributor.sources.drafts import clean_language, clean_names, join_names
from distributor.sources.json_ld import LinkedData, read_json_ld
from distributor.sources.markup import is_too_deep, make_image, web_address

DEEPEST = 400
_LONGEST_GUESSED_PAGE = 2_000_000
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset=[\"']?\s*([\w:.-]{2,30})", re.IGNORECASE)

_META = {
    "headline": ("og:title", "twitter:title", "parsely-title", "sailthru.title", "dc.title"),
    "summary": ("og:description", "description", "twitter:description"),
    "byline": ("author", "parsely-author", "sailthru.author", "dc.creator", "article:author", "byl"),
    "published_at": (
        *("article:published_time", "og:published_time", "parsely-pub-date", "sailthru.date", "date", "pubdate"),
        *("dc.date.issued", "dcterms.created", "publish-date"),
    ),
    "updated_at": ("article:modified_time", "og:updated_time", "last-modified", "dcterms.modified"),
    "section": ("article:section", "parsely-section"),
    "language": ("og:locale", "language"),
}
_MARKUP = {
    "headline": ("[itemprop=headline]", "article h1", "main h1", "h1"),
    "byline": (
        *("[itemprop=author] [itemprop=name]", "[itemprop=author]", "a[rel=author]", ".byline .author"),
        *(".author-name", ".byline-name", ".byline", ".article-author", ".post-author", ".entry-author"),
    ),
    "published_at": (
        *("[itemprop=datePublished]", "time.published", "time.entry-date", "article time[datetime]"),
        *("header time[datetime]", "main time[datetime]"),
    ),
    "updated_at": ("[itemprop=dateModified]", "time.updated", "time.modified"),
}
_DATES = frozenset({"published_at", "updated_at"})
#: What only trafilatura may still know. It is slow to import, so it is asked for these alone.
_GUESSED = {"headline": "title", "summary": "description", "byline": "author", "published_at": "date"}


@dataclass
class PageFacts:
    """What was found, each with its source. Dates are ISO 8601; `image` is a lead image fit for one."""

    texts: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    image: Image | None = None

    def offer(self, name: str, value: str, source: str) -> None:
        """Keep the first value that says anything."""
        if value and name not in self.texts:
            self.texts[name] = value
            self.sources[name] = source


def read_page(
    body: bytes, url: str, content_type: str, now: datetime, *, may_guess: Iterable[str] = ()
) -> PageFacts:
    """Everything the page says about itself; trafilatura is asked for the fields of `may_guess` still missing.

    SourceError when the page is too deep to be an article.
    """
    from selectolax.lexbor import LexborHTMLParser

    text = _decode(body, content_type)
    if is_too_deep(text, DEEPEST):
        raise SourceError(f"{url} nests its elements deeper than any article")
    tree = LexborHTMLParser(text)
    meta = _read_meta(tree)
    linked = read_json_ld(node.text() for node in tree.css('script[type="application/ld+json"]'))
    facts = PageFacts()
    _take_linked(facts, linked, url, now)
    _take_meta(facts, meta, url, now)
    _take_markup(facts, tree, url, now)
    _take_image(facts, linked, meta, url)
    missing = [name for name in may_guess if name in _GUESSED and name not in facts.texts]
    if missing and len(text) <= _LONGEST_GUESSED_PAGE:
        _take_guesses(facts, text, url, missing, now)
    return facts


def run(about: dict[str, Any], body: bytes) -> dict[str, Any]:
    """`read_page` for the reader process: plain data in, plain data out."""
    now = datetime.fromisoformat(about["now"])
    facts = read_page(body, about["url"], about["content_type"], now, may_guess=about["may_guess"])
    image = facts.image and {name: getattr(facts.image, name) for name in Image.__dataclass_fields__}
    return {"texts": facts.texts, "sources": facts.sources, "tags": facts.tags, "image": image}


def _decode(body: bytes, content_type: str) -> str:
    """By the header, by the page's own word, as UTF-8; windows-1252 for what fits none of them."""
    declared = re.search(r"charset=[\"']?([\w:.-]+)", content_type, re.IGNORECASE)
    inside = _META_CHARSET.search(body[:4096])
    for name in (declared and declared[1], inside and inside[1].decode("ascii"), "utf-8-sig"):
        try:
            if name:
                return body.decode(name)
        except (LookupError, UnicodeError):
            continue
    return body.decode("windows-1252", "replace")


def _read_meta(tree: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for node in tree.css("meta[content]"):
        name = (
            node.attributes.get("property") or node.attributes.get("name") or node.attributes.get("itemprop") or ""
        )
        content = (node.attributes.get("content") or "").strip()
        if name and content:
            found.setdefault(name.lower(), []).append(content)
    for node in tree.css('link[rel="canonical"][href]')[:1]:
        found["canonical"] = [node.attributes.get("href") or ""]
    language = (tree.root.attributes.get("lang") or "") if tree.root else ""
    if language:
        found.setdefault("language", []).append(language)
    return found


def _take_linked(facts: PageFacts, linked: LinkedData, url: str, now: datetime) -> None:
    for name, value in linked.texts.items():
        if name != "canonical_url":
            facts.offer(name, _clean(name, value, now), "json-ld")
    facts.offer("byline", join_names(linked.authors), "json-ld")
    _take_tags(facts, linked.tags, "json-ld")


def _take_meta(facts: PageFacts, meta: dict[str, list[str]], url: str, now: datetime) -> None:
    for name, keys in _META.items():
        for key in keys:
            values = meta.get(key, [])
            value = join_names(values) if name == "byline" else _clean(name, values[0] if values else "", now)
            facts.offer(name, value, "og" if key.startswith(("og:", "article:")) else "meta")
    for key in ("canonical", "og:url"):
        for value in meta.get(key, [])[:1]:
            facts.offer("canonical_url", _read_canonical(value, url), "og" if key == "og:url" else "meta")
    _take_tags(facts, meta.get("article:tag", []), "og")
    _take_tags(facts, [word for text in meta.get("news_keywords", []) for word in text.split(",")], "meta")


def _take_tags(facts: PageFacts, words: list[str], source: str) -> None:
    if not facts.tags:
        facts.tags = clean_names(words)
        facts.sources |= {"tags": source} if facts.tags else {}


def _take_markup(facts: PageFacts, tree: Any, url: str, now: datetime) -> None:
    for name, selectors in _MARKUP.items():
        for selector in selectors:
            node = tree.css_first(selector) if name not in facts.texts else None
            if node is None:
                continue
            stated = node.attributes.get("datetime") or node.attributes.get("content")
            value = stated or node.text(separator=" ", strip=True)
            if len(value) <= 500:
                facts.offer(name, join_names([value]) if name == "byline" else _clean(name, value, now), "html")


def _take_image(facts: PageFacts, linked: LinkedData, meta: dict[str, list[str]], url: str) -> None:
    def first(*names: str) -> str:
        return next((meta[name][0] for name in names if meta.get(name)), "")

    shared = make_image(
        url,
        first("og:image:secure_url", "og:image", "og:image:url", "twitter:image", "twitter:image:src"),
        first("og:image:alt", "twitter:image:alt"),
        first("og:image:width"),
        first("og:image:height"),
    )
    own = linked.image
    stated = make_image(url, own.get("url"), own.get("caption") or "", own.get("width"), own.get("height"))
    facts.image = shared or stated
    if facts.image:
        facts.sources["image"] = "og" if shared else "json-ld"


def _take_guesses(facts: PageFacts, text: str, url: str, missing: list[str], now: datetime) -> None:
    from trafilatura.metadata import extract_metadata

    try:
        guess = extract_metadata(text, default_url=url, extensive=False)
    except Exception:
        # A guess is a bonus: whatever a page does to the guesser, the page stays as it was read.
        return
    for name in missing:
        value = getattr(guess, _GUESSED[name], None) or ""
        facts.offer(
            name,
            join_names(value.split(";")) if name == "byline" else _clean(name, value, now),
            "trafilatura",
        )


def _clean(name: str, value: str, now: datetime) -> str:
    if name in _DATES:
        moment = read_date(value, now)
        return moment.isoformat() if moment else ""
    return clean_language(value) if name == "language" else clean_title(value)[:1000]


def _read_canonical(value: str, url: str) -> str:
    """The address a page gives itself, believed only for its own site and not when it is the home page's."""
    address = web_address(url, value)
    if not address:
        return ""
    there, here = urlsplit(address), urlsplit(url)
    is_home = there.path in ("", "/") and not there.query and here.path not in ("", "/")
    return "" if is_home or _site(there.hostname or "") != _site(here.hostname or "") else address


def _site(host: str) -> str:
    """Enough of a host to tell sites apart: www.example.co.uk and m.example.co.uk are one, other.co.uk is not."""
    labels = host.split(".")
    is_second_level = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    return host if labels[-1].isdigit() else ".".join(labels[-3 if is_second_level else -2 :])
