"""What the elements of one entry tell, as feedparser 6 has it: its quirks are the specification here."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from distributor.sources.feed.quick_names import Unsure
from distributor.sources.feed.quick_texts import read_moment, resolve

Attributes = dict[str, str]
Tell = Callable[["QuickEntry", Attributes, str, str, int], None]

_REFERENCE = re.compile(r"&([A-Za-z0-9_]+);")
_PERHAPS_HTML = re.compile(r"</\w|&#?\w+;")
_TYPES = {
    **dict.fromkeys(("text", "plain", "text/plain"), "text/plain"),
    **dict.fromkeys(("html", "text/html"), "text/html"),
}
_PAGES = frozenset({"html", "text/html", "xhtml", "application/xhtml+xml"})
_MAIL_AND_NAME = re.compile(r"[A-Za-z0-9_.+-]+@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,4}(?: \(([^()<>@&]+)\))?")


class QuickEntry:
    """One entry as it grows. `data` has what is read of feedparser's entries, under its names.

    `depth` says how far inside the entry an element stands, from 0: what stands further out counts more.
    """

    __slots__ = ("_author_form", "_depths", "_fix", "_title_depth", "data", "has_content", "is_atom")

    def __init__(self, fix: Callable[[str], str], *, is_atom: bool, has_content: bool) -> None:
        self._fix = fix
        self.data: dict[str, Any] = {}
        self.is_atom = is_atom
        self.has_content = has_content
        self._author_form = ""
        self._title_depth = -1
        self._depths: dict[str, int] = {}

    def add_author(self, text: str) -> None:
        """An author told as text: a name, or an address with a name in brackets."""
        name = self._fix(text.strip())
        if "@" in name:
            found = _MAIL_AND_NAME.fullmatch(name) if len(name) <= 500 else None
            if not found:
                raise Unsure("an author with an address")
            name = (found[1] or "").strip()
        self._add_name(name, "text")

    def add_person(self, name: str) -> None:
        """An author told in parts."""
        self._add_name(name, "parts")

    def _add_name(self, name: str, form: str) -> None:
        # feedparser writes authors of one form over those of the other.
        self._author_form = self._author_form or form
        if self._author_form != form:
            raise Unsure("authors of two forms")
        self.data.setdefault("authors", []).append({"name": name})

    def tell_title(self, attributes: Attributes, text: str, base: str, depth: int) -> None:
        self.tell_media_title(attributes, text, base, depth)
        if text.strip():
            self._title_depth = depth

    def tell_media_title(self, attributes: Attributes, text: str, base: str, depth: int) -> None:
        _read_type(attributes, "text/plain")
        if not -1 < self._title_depth <= depth:
            self._store("title", self._fix(text.strip()), depth)

    def tell_source(self, attributes: Attributes, text: str, base: str, depth: int) -> None:
        self._title_depth = -1

    def tell_link(self, attributes: Attributes, text: str, base: str, depth: int) -> None:
        link = {"rel": "alternate", **attributes}
        link.setdefault("type", "application/atom+xml" if link["rel"] == "self" else "text/html")
        links = self.data.setdefault("links", [])
        links.append(_enforce_href(link))
        if "href" in link:
            link["href"] = resolve(base, link["href"])
            if link["rel"] == "alternate" and link["type"] in (
                "html",
                "text/html",
                "xhtml",
                "application/xhtml+xml",
            ):
                self.data["link"] = link["href"]
            return
        address = text.strip()
        address = self._fix(resolve(base, address)) if address else ""
        address = self.data["link"] = _REFERENCE.sub(r"&\1", address.replace("&amp;", "&"))
        if address:
            link["href"] = address

    def tell_enclosure(self, attributes: Attributes, text: str, base: str, depth: int) -> None:
        self.data.setdefault("links", []).append({**_enforce_href(attributes), "rel": "enclosure"})

    def tell_id(self, attributes: Attributes, text: str, base: str, depth: int) -> None:
        is_link, value = attributes.get("ispermalink", "true") == "true", text.strip()
        value = self._fix(resolve(base, value) if is_link and value else value)
        self.data["id"] = value
        if is_link:
            self.data.setdefault("link", value)

    def tell_category(self, attributes: Attributes, text: str, base: str, depth: int) -> None:
        scheme = attributes.get("scheme", attributes.get("domain"))
        self._add_tag(attributes.get("term"), scheme, attributes.get("label"))
        if value := self._fix(text.strip()):
            tags = self.data.setdefault("tags", [])
            if tags and not tags[-1]["term"]:
                tags[-1]["term"] = value
            else:
                self._add_tag(value, None, None)

    def tell_media_category(self, attributes: Attributes, text: str, base: str, depth: int) -> None:
        scheme = {"scheme": "http://search.yahoo.com/mrss/category_schema"}
        self.tell_category({**scheme, **attributes}, text, base, depth)

    def tell_keywords(self, attributes: Attributes, text: str, base: str, depth: int, scheme: str | None) -> None:
        if attributes:
            raise Unsure("keywords with attributes")
        for term in self._fix(text.strip()).split(","):
            if term.strip():
                self._add_tag(term.strip(), scheme, None)

    def tell_description(self, attributes: Attributes, text: str, base: str, depth: int) -> None:
        self.tell_summary(attributes, text, base, depth, "text/html")

    def tell_summary(
        self, attributes: Attributes, text: str, base: str, depth: int, usual: str = "text/plain"
    ) -> None:
        if "summary" in self.data and not self.has_content:
            self.tell_content(attributes, text, base, depth)
            return
        part = self._read_part(attributes, text, base, usual)
        self._store("summary", part["value"], depth)
        self.data["summary_detail"] = part

    def tell_content(
        self, attributes: Attributes, text: str, base: str, depth: int, usual: str = "text/plain"
    ) -> None:
        self.has_content = True
        part = self._read_part(attributes, text, base, usual)
        self.data.setdefault("content", []).append(part)
        self.data.setdefault("summary", part["value"])

    def tell_picture(self, attributes: Attributes, text: str, base: str, depth: int) -> None:
        if address := attributes.get("href") or attributes.get("url"):
            self.data["image"] = {"href": address}

    def tell_thumbnail(self, attributes: Attributes, text: str, base: str, depth: int) -> None:
        address = text.strip()
        if address and (address := self._fix(resolve(base, address))).strip():
            attributes = {"url": address, **attributes}
        self.data.setdefault("media_thumbnail", []).append(attributes)

    def tell_plain(self, key: str, attributes: Attributes, text: str, depth: int) -> None:
        if attributes:
            raise Unsure(f"{key} with attributes")
        self._store(key, self._fix(text.strip()), depth)

    def tell_moment(self, key: str, text: str) -> None:
        self.data[key] = read_moment(self._fix(text.strip()))

    def _store(self, key: str, value: str, depth: int) -> None:
        if depth <= self._depths.get(key, depth):
            self._depths[key] = depth
            self.data[key] = value

    def _add_tag(self, term: str | None, scheme: str | None, label: str | None) -> None:
        tags = self.data.setdefault("tags", [])
        tag = {"term": term, "scheme": scheme, "label": label}
        if (term or scheme or label) and tag not in tags:
            tags.append(tag)

    def _read_part(self, attributes: Attributes, text: str, base: str, usual: str) -> dict[str, str]:
        kind, value = _read_type(attributes, usual), self._fix(text.strip())
        if kind == "text/plain" and not self.is_atom and _PERHAPS_HTML.search(value):
            raise Unsure("a text that may be HTML")
        return {"type": kind, "base": base, "value": value}


def _read_type(attributes: Attributes, usual: str) -> str:
    kind = _TYPES.get(attributes.get("type", usual))
    if kind is None or attributes.get("mode") == "base64":
        raise Unsure(f"a text of type {attributes.get('type')}")
    return kind


def _enforce_href(attributes: Attributes) -> Attributes:
    href = attributes.get("url", attributes.get("uri", attributes.get("href")))
    if href:
        attributes.pop("url", None)
        attributes.pop("uri", None)
        attributes["href"] = href
    return attributes


def _moment(key: str) -> Tell:
    return lambda entry, attributes, text, base, depth: entry.tell_moment(key, text)


def _plain(key: str) -> Tell:
    return lambda entry, attributes, text, base, depth: entry.tell_plain(key, attributes, text, depth)


_ENTRY = QuickEntry
TELL: dict[str, Tell] = {
    **dict.fromkeys(("title", "dc_title"), _ENTRY.tell_title),
    "media_title": _ENTRY.tell_media_title,
    "source": _ENTRY.tell_source,
    "link": _ENTRY.tell_link,
    "enclosure": _ENTRY.tell_enclosure,
    **dict.fromkeys(("id", "guid"), _ENTRY.tell_id),
    **dict.fromkeys(("category", "dc_subject"), _ENTRY.tell_category),
    "media_category": _ENTRY.tell_media_category,
    "media_keywords": lambda entry, *about: entry.tell_keywords(*about, None),
    "itunes_keywords": lambda entry, *about: entry.tell_keywords(*about, "http://www.itunes.com/"),
    **dict.fromkeys(("description", "dc_description", "media_description"), _ENTRY.tell_description),
    **dict.fromkeys(("summary", "itunes_summary"), _ENTRY.tell_summary),
    "content": _ENTRY.tell_content,
    "content_encoded": lambda entry, *about: entry.tell_content(*about, "text/html"),
    "media_thumbnail": _ENTRY.tell_thumbnail,
    "itunes_image": _ENTRY.tell_picture,
    **dict.fromkeys(("language", "dc_language"), _plain("language")),
    "feedburner_origlink": _plain("feedburner_origlink"),
    **dict.fromkeys(("published", "issued", "pubdate", "dcterms_issued"), _moment("published_parsed")),
    **dict.fromkeys(("updated", "modified", "lastbuilddate"), _moment("updated_parsed")),
    **dict.fromkeys(("dc_date", "dcterms_modified"), _moment("updated_parsed")),
    **dict.fromkeys(("created", "dcterms_created"), _moment("created_parsed")),
}
