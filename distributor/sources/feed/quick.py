"""Feeds in their usual forms, read with expat at a fraction of feedparser's cost and with feedparser's result.

Only what is proved to mean the same is read here: well-formed RSS, RDF and Atom without a document type, in an
encoding that is declared, with elements where they belong and dates by the book. For anything else the answer is
None, and feedparser reads the feed. `tests/sources/test_feed_quick.py` compares both over whole corpora and made-up
feeds.

Nothing here can hang: without entities expat is linear, and so are the few patterns.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from distributor.sources.feed.quick_entry import TELL, QuickEntry
from distributor.sources.feed.quick_names import HANDLED, Names, Unsure, table, words
from distributor.sources.feed.quick_texts import fix_clean_text, fix_text, read_moment, resolve

if TYPE_CHECKING:
    from distributor.sources.feed.parse import FeedText

_DEEPEST = 20

_ENCODINGS = words(
    "utf-8 utf8 us-ascii ascii iso-8859-1 iso-8859-2 iso-8859-15 windows-1250 windows-1251 windows-1252 koi8-r "
    "koi8-u"
)
_DECLARED = re.compile(rb"<\?.*encoding=['\"](.*?)['\"].*\?>")
# Controls of Latin-1, which feedparser takes for Windows-1252: as characters and as references.
_CONTROL = re.compile(rb"\xc2[\x80-\x9f]")
_CONTROL_REFERENCE = re.compile(rb"&#(?:0*1[2-5][0-9]|x0*[89][0-9a-fA-F]);")
_UTF8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_XML_TYPES = frozenset({"application/xml", "application/xml-dtd", "application/xml-external-parsed-entity"})
_MARK = b"\xef\xbb\xbf"

# What to do about an element, by where it stands. "leaf": text for the entry; "skip": one that feedparser knows and
# nothing is read of; "author", "media" and others: elements with elements inside. What is in no table and means
# nothing to feedparser is passed over; what means something to it makes us unsure.
_MEDIA = table(
    leaf="media_title media_description media_thumbnail media_category media_keywords",
    media="media_content media_group",
    skip="media_credit media_license media_player media_rating media_restriction",
)
_ITEM = _MEDIA | table(
    leaf=(
        "title dc_title link id guid published issued pubdate dcterms_issued updated modified lastbuilddate "
        "dc_date dcterms_modified created dcterms_created category dc_subject itunes_keywords language "
        "dc_language description dc_description summary itunes_summary content content_encoded itunes_image "
        "enclosure source feedburner_origlink"
    ),
    author="author dc_creator dc_author itunes_author",
    person="contributor",
    skip=(
        "rights copyright dc_rights dc_publisher dc_contributor generator subtitle itunes_subtitle "
        "itunes_explicit itunes_block"
    ),
)
_FEED = table(
    item="item entry",
    told=(
        "language dc_language description dc_description summary itunes_summary pubdate lastbuilddate published "
        "updated modified dc_date dcterms_modified dcterms_issued"
    ),
    skip=(
        "title dc_title link id guid category dc_subject media_category keywords itunes_category itunes_keywords "
        "media_keywords rights copyright dc_rights dc_publisher dc_creator webmaster managingeditor generator "
        "subtitle tagline itunes_subtitle itunes_explicit itunes_block itunes_author itunes_image cloud "
        "media_thumbnail media_credit media_rating media_restriction admin_generatoragent admin_errorreportsto "
        "feedburner_browserfriendly info creativecommons_license cc_license"
    ),
    person="author contributor itunes_owner",
    image="image textinput",
    nest="itunes_category",
)
_TABLES: dict[str, dict[str, str]] = {
    "": table(root="rss rdf_rdf", feed="feed"),
    "root": table(feed="channel", item="item", image="image textinput"),
    "feed": _FEED,
    "item": _ITEM,
    "media": _MEDIA,
    "author": table(name="name", detail="email uri url homepage"),
    "person": table(skip="name email uri url homepage itunes_name itunes_email"),
    "image": table(skip="title link description url width height name"),
    "nest": table(nest="itunes_category"),
    "inert": {},
    **{kind: {} for kind in ("leaf", "told", "skip", "name", "detail")},
}
#: Where an element that means nothing to feedparser does no harm.
_OPEN = frozenset({"root", "feed", "item", "media", "author", "person", "nest", "inert"})


def read_quickly(text: FeedText) -> tuple[list[dict[str, Any]], str] | None:
    """The entries under feedparser's names, as far as they are read, and the feed's language; None when unsure."""
    body = _as_utf8(text.body, text.content_type or "application/xml")
    # By a NUL at its beginning expat would take a text for UTF-16, whatever it was told.
    if body is None or b"\0" in body:
        return None
    has_controls = (b"\xc2" in body and _CONTROL.search(body)) or _CONTROL_REFERENCE.search(body)
    reading = _Reading(text.url, fix_text if has_controls else fix_clean_text)
    try:
        reading.parse(body)
    except (Unsure, expat.ExpatError):
        return None
    return (reading.entries, reading.language) if reading.entries or reading.version else None


def _as_utf8(body: bytes, content_type: str) -> bytes | None:
    """The text in UTF-8 where feedparser's choice of an encoding is certain: the first declared one that fits."""
    mime, *parameters = (part.strip() for part in content_type.split(";"))
    pairs = (parameter.partition("=") for parameter in parameters)
    charset = {key.strip().lower(): value.strip().strip("\"'") for key, _, value in pairs}.get("charset", "")
    body = body.removeprefix(_MARK)
    declared = _find_declared(body)
    if mime.startswith("text/"):
        names = [charset or "us-ascii", declared]
    elif mime in _XML_TYPES or (mime.startswith("application/") and mime.endswith("+xml")):
        names = [charset or declared or "utf-8", declared]
    else:
        names = [declared or "utf-8"]
    for name in names:
        if name and name.lower() not in _ENCODINGS:
            return None
        try:
            text = body.decode(name) if name else None
        except UnicodeDecodeError:
            continue
        if text is not None:
            return body if name.lower() in _UTF8 else text.encode()
    return None


def _find_declared(body: bytes) -> str:
    """The encoding that the XML declaration names, as feedparser's pattern for it finds one."""
    line_end = body.find(b"\n")
    # The pattern matches within one line and ends with the last of these; a feed may be one line.
    last = body.rfind(b"?>", 0, line_end if line_end >= 0 else len(body))
    found = _DECLARED.match(body, 0, last + 2) if last >= 0 else None
    return found[1].decode("latin-1").lower() if found else ""


class _Reading:
    """expat's events: what stands open, and the entries so far."""

    def __init__(self, url: str, fix: Callable[[str], str]) -> None:
        self._fix = fix
        self.entries: list[dict[str, Any]] = []
        self.language = ""
        self._names = Names()
        self._kinds = [""]
        self._bases = [url]
        self._pieces: list[str] = []
        self._attributes: dict[str, str] = {}
        self._entry = QuickEntry(fix, is_atom=False, has_content=False)
        self._entry_depth = 0
        self._person: dict[str, str] = {}
        # A second description of a feed is content to feedparser, which then counts for the next entry.
        self._has_summary = self._has_content = False

    @property
    def version(self) -> str:
        return self._names.version

    def parse(self, body: bytes) -> None:
        parser = expat.ParserCreate("utf-8", " ", intern={})
        parser.namespace_prefixes = True
        parser.buffer_text = True
        parser.buffer_size = 65_536
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._pieces.append
        parser.StartNamespaceDeclHandler = self._names.declare
        parser.StartDoctypeDeclHandler = _refuse_document_type
        parser.Parse(body, True)

    def _start(self, raw: str, attributes: dict[str, str]) -> None:
        name, outer = self._names[raw], self._kinds[-1]
        kind = _TABLES[outer].get(name)
        base = self._bases[-1]
        if kind is None:
            kind = self._pass_over(name, outer)
        elif attributes:
            attributes = self._names.read_attributes(attributes)
            given = attributes.get("xml:base", attributes.get("base"))
            base = _move_address(base, given) if given else base
        if kind in _BEGIN:
            _BEGIN[kind](self, name, attributes)
        elif outer == "author":
            self._person.setdefault(kind, "")
        self._kinds.append(kind)
        self._bases.append(base)
        self._attributes = attributes
        self._pieces.clear()

    def _pass_over(self, name: str, outer: str) -> str:
        """An element that means nothing to feedparser, where it does no harm."""
        if name in HANDLED or outer not in _OPEN:
            raise Unsure(f"{name} inside of another element")
        if len(self._kinds) > _DEEPEST:
            raise Unsure("deep nesting")
        return "inert"

    def _end(self, raw: str) -> None:
        kind, base = self._kinds.pop(), self._bases.pop()
        if kind == "leaf":
            depth = len(self._kinds) - self._entry_depth
            TELL[self._names[raw]](self._entry, self._attributes, "".join(self._pieces), base, depth)
        elif kind in _FINISH:
            _FINISH[kind](self, self._names[raw], "".join(self._pieces))

    def _begin_root(self, name: str, attributes: dict[str, str]) -> None:
        language = attributes.get("xml:lang", attributes.get("lang"))
        if language and name != "rdf_rdf":
            self.language = language.replace("_", "-")
        self._bases = [_move_address(self._bases[0], self._bases[0])]
        if name == "rss" and not self.version.startswith("rss"):
            self._names.version = "rss"
        elif not self.version and name == "rdf_rdf":
            raise Unsure("RDF of no known version")
        self._names.version = self.version or "atom"

    def _begin_feed(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._kinds) == 1:
            self._begin_root(name, attributes)
        elif "lastmod" in attributes or "href" in attributes:
            raise Unsure("a channel of CDF")

    def _begin_item(self, name: str, attributes: dict[str, str]) -> None:
        if "lastmod" in attributes or "href" in attributes:
            raise Unsure("an item of CDF")
        self._entry = QuickEntry(self._fix, is_atom=self.version.startswith("atom"), has_content=self._has_content)
        self._entry_depth = len(self._kinds) + 1
        self.entries.append(self._entry.data)
        if attributes.get("rdf:about"):
            self._entry.data["id"] = attributes["rdf:about"]

    def _begin_media(self, name: str, attributes: dict[str, str]) -> None:
        if name == "media_content":
            self._entry.data.setdefault("media_content", []).append(attributes)

    def _begin_author(self, name: str, attributes: dict[str, str]) -> None:
        self._person = {}

    def _finish_item(self, name: str, text: str) -> None:
        self._has_content = False

    def _finish_name(self, name: str, text: str) -> None:
        self._person["name"] = text.strip()

    def _finish_author(self, name: str, text: str) -> None:
        if self._person.keys() & {"name", "detail"}:
            self._entry.add_person(self._person.get("name", ""))
        elif self._person:
            raise Unsure("an author of unknown parts")
        else:
            self._entry.add_author(text)

    def _finish_told(self, name: str, text: str) -> None:
        if name.endswith("language"):
            self.language = self._fix(text.strip())
        elif name.endswith(("description", "summary")):
            is_second = self._has_summary and not self._has_content
            self._has_content = self._has_content or is_second
            self._has_summary = self._has_summary or name.endswith("summary")
        else:
            read_moment(self._fix(text.strip()))


_BEGIN = {
    "root": _Reading._begin_root,
    "feed": _Reading._begin_feed,
    "item": _Reading._begin_item,
    "media": _Reading._begin_media,
    "author": _Reading._begin_author,
}
_FINISH = {
    "item": _Reading._finish_item,
    "name": _Reading._finish_name,
    "author": _Reading._finish_author,
    "told": _Reading._finish_told,
}


def _move_address(base: str, given: str) -> str:
    moved = resolve(base, given)
    if not moved.startswith(("http://", "https://")) or resolve(moved, moved) != moved:
        raise Unsure(f"the base {given}")
    return moved


def _refuse_document_type(*about: object) -> None:
    raise Unsure("a document type")
