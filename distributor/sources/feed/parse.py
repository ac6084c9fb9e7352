"""From the bytes of a feed to posts. No network, no clock; runs in the reader process (sources/reader.py)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from html import escape
from io import BytesIO
from typing import Any

from distributor.core.errors import SourceError
from distributor.core.post import Image, Post, post_from_json
from distributor.core.text_clean import clean_title
from distributor.sources.dates import from_parts
from distributor.sources.drafts import Draft
from distributor.sources.feed.finished import Finished
from distributor.sources.feed.quick import read_quickly
from distributor.sources.markup import make_image, read_size

DEEPEST = 100

_HTML_START = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?><!--.*?-->\s*)*+<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
)
_FIRST_ELEMENT = re.compile(rb"<[A-Za-z]")
_CDATA = re.compile(rb"<!\[CDATA\[.*?\]\]>|<!--.*?-->", re.S)
_TAG = re.compile(rb"<(/?)([A-Za-z_][\w:.-]*)((?:[^<>\"']|\"[^\"]*\"|'[^']*')*?)(/?)>")
_PAGE_TITLE = re.compile(rb"<title[^>]*>([^<]{0,200})", re.I)
_MARKUP_TYPES = ("text/html", "application/xhtml+xml", "html", "xhtml")


@dataclass(frozen=True)
class FeedText:
    """A feed as it was fetched, and what its source's settings say about its posts."""

    body: bytes
    url: str
    source: str
    content_type: str = ""
    section: str = ""
    max_items: int = 500


def read_feed(text: FeedText, now: datetime) -> tuple[list[Post], str]:
    """The posts of an RSS, Atom, RDF or JSON feed in its order, and a note for the operator ("" usually).

    SourceError when it is none of these (an HTML page above all), or built to do harm.
    """
    posts, note = _read_posts(text, now, Finished())
    return [post_from_json(post) for post in posts], note


def _read_posts(text: FeedText, now: datetime, finished: Finished) -> tuple[list[str], str]:
    drafts = read_drafts(text, now)
    posts = [finished.finish(draft, text.source) for draft in drafts[: text.max_items]]
    kept = [post for post in posts if post]
    notes = []
    if len(drafts) > text.max_items:
        notes.append(f"the feed has {len(drafts):,} entries; only the first {text.max_items:,} were read")
    if len(kept) < len(posts):
        notes.append(f"{len(posts) - len(kept):,} entries without a link or a headline were left out")
    return kept, "; ".join(notes)


def read_drafts(text: FeedText, now: datetime) -> list[Draft]:
    """The entries of a feed as it words them. Raises as `read_feed`."""
    from distributor.sources.feed.json_feed import is_json, read_json_feed

    if not text.body.strip(b"\0 \t\r\n"):
        raise SourceError(f"{text.url} answered with an empty page")
    if is_json(text.body):
        return read_json_feed(text, now)
    entries, language = read_quickly(text) or ask_feedparser(text)
    return [read_entry(entry, text, language, now) for entry in entries]


def ask_feedparser(text: FeedText) -> tuple[list[dict[str, Any]], str]:
    """The entries as feedparser has them, and the feed's language. Raises as `read_feed`."""
    import feedparser

    _refuse_harm(text)
    if _HTML_START.match(text.body.lstrip(b"\xef\xbb\xbf")):
        raise SourceError(_describe_page(text))
    # Content-Location is the base of relative addresses; what HTML holds is made absolute and sanitised by us.
    headers = {"content-type": text.content_type or "application/xml", "content-location": text.url}
    try:
        parsed = feedparser.parse(
            BytesIO(text.body), response_headers=headers, sanitize_html=False, resolve_relative_uris=False
        )
    except Exception as error:
        # Whatever a parser of hostile text stumbles over, the consequence is the same: not this time.
        raise SourceError(f"{text.url} cannot be read as a feed: {error}") from error
    if not parsed["version"] and not parsed["entries"]:
        raise SourceError(_describe_page(text))
    return parsed["entries"], _text(parsed["feed"], "language")


def _refuse_harm(text: FeedText) -> None:
    flat = text.body.replace(b"\0", b"")
    start = _FIRST_ELEMENT.search(flat)
    if b"<!ENTITY" in flat[: start.start() if start else len(flat)].upper():
        raise SourceError(
            f"{text.url} defines entities in its DOCTYPE, which feeds do not need and bombs are made of"
        )
    is_open = 0
    for slash, _, _, is_empty in _TAG.findall(_CDATA.sub(b"", flat)):
        is_open = max(0, is_open - 1) if slash else is_open + (not is_empty)
        if is_open > DEEPEST * 10:
            raise SourceError(f"{text.url} nests its elements more than {DEEPEST * 10:,} deep")


def _describe_page(text: FeedText) -> str:
    title = _PAGE_TITLE.search(text.body[:100_000])
    name = clean_title(title[1].decode("utf-8", "replace")) if title else ""
    if _HTML_START.match(text.body.lstrip(b"\xef\xbb\xbf")):
        shown = f"a web page ({name!r})" if name else "a web page"
        return f"{text.url} answered with {shown}, not a feed; a login, consent or bot check may stand before it"
    return f"{text.url} is no feed: neither RSS, Atom, RDF nor JSON Feed was found in it"


def read_entry(entry: Any, text: FeedText, language: str, now: datetime) -> Draft:
    contents = [part for part in _dicts(entry, "content") if isinstance(part.get("value"), str)]
    content = max(contents, key=lambda part: (_is_markup(part), len(part["value"])), default={})
    summary = dict.get(entry, "summary_detail") or {"value": _text(entry, "summary"), "type": "text/html"}
    base = content.get("base") or summary.get("base") or text.url
    return Draft(
        base=base,
        guid=_text(entry, "id"),
        url=_text(entry, "feedburner_origlink") or _text(entry, "link") or _alternate(entry),
        headline=_text(entry, "title"),
        summary=_as_html(summary),
        body=_as_html(content),
        authors=_authors(entry),
        categories=[_text(tag, "label") or _text(tag, "term") for tag in _dicts(entry, "tags")],
        section=text.section,
        language=_text(entry, "language") or language,
        published_at=from_parts(dict.get(entry, "published_parsed") or dict.get(entry, "created_parsed"), now),
        updated_at=from_parts(dict.get(entry, "updated_parsed"), now),
        image=_lead_image(entry, base),
    )


def _text(mapping: Any, key: str) -> str:
    """feedparser turns elements it does not expect into dicts and maps some keys onto others; neither is wanted."""
    value = dict.get(mapping, key) if isinstance(mapping, dict) else None
    return value if isinstance(value, str) else ""


def _dicts(mapping: Any, key: str) -> list[dict[str, Any]]:
    values = dict.get(mapping, key)
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _is_markup(part: dict[str, Any]) -> bool:
    return str(part.get("type", "")).startswith(_MARKUP_TYPES)


def _as_html(part: dict[str, Any]) -> str:
    value = part.get("value")
    if not isinstance(value, str):
        return ""
    return value if _is_markup(part) else escape(value, quote=False)


def _alternate(entry: Any) -> str:
    """The address of an entry without a plain link; a recording, where an entry is nothing but that."""
    by_rel = {_text(link, "rel"): _text(link, "href") for link in reversed(_dicts(entry, "links"))}
    return by_rel.get("alternate") or by_rel.get("enclosure", "")


def _authors(entry: Any) -> list[str]:
    names = [_text(author, "name") for author in _dicts(entry, "authors")]
    return [name for name in names if name] or [_text(dict.get(entry, "author_detail"), "name")]


def _lead_image(entry: Any, base: str) -> Image | None:
    for candidates in _image_candidates(entry):
        images = [image for candidate in candidates if (image := make_image(base, *candidate))]
        if images:
            return max(images, key=lambda image: image.width or 0)
    return None


def _image_candidates(entry: Any) -> Iterator[list[tuple[Any, Any, Any, Any]]]:
    media = [part for part in _dicts(entry, "media_content") if _is_picture(part)]
    yield [(part.get("url"), "", part.get("width"), part.get("height")) for part in media]
    enclosures = [part for part in _dicts(entry, "links") if part.get("rel") == "enclosure" and _is_picture(part)]
    yield [(part.get("href"), "", None, None) for part in enclosures]
    # A thumbnail leads a story only when nothing larger is offered, and not as a stamp.
    thumbnails = [part for part in _dicts(entry, "media_thumbnail") if (read_size(part.get("width")) or 300) >= 300]
    yield [(part.get("url"), "", part.get("width"), part.get("height")) for part in thumbnails]
    image = dict.get(entry, "image")
    yield [(image.get("href"), "", None, None)] if isinstance(image, dict) else []


def _is_picture(part: dict[str, Any]) -> bool:
    address = str(part.get("url") or part.get("href") or "").partition("?")[0].lower()
    kind = str(part.get("type") or part.get("medium") or "")
    return kind.startswith("image") or (not kind and address.endswith((".jpg", ".jpeg", ".png", ".webp", ".gif")))


def run(about: dict[str, Any], body: bytes) -> dict[str, Any]:
    """`read_feed` for the reader process: plain data in, plain data out. What it finished before it still knows."""
    now = datetime.fromisoformat(about.pop("now"))
    posts, note = _read_posts(FeedText(body=body, **about), now, _finished)
    return {"posts": posts, "note": note}


_finished = Finished()
