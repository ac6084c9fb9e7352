"""What elements of a feed are to feedparser 6: its namespaces, and the names it does something about.

`tests/sources/test_feed_quick.py` holds both tables against the feedparser that is installed.
"""

from __future__ import annotations


class Unsure(Exception):
    """Something whose meaning to feedparser is not proved here: feedparser reads this feed itself."""


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def table(**kinds: str) -> dict[str, str]:
    """Name -> what is done about it, from what is done -> names."""
    return {name: kind for kind, names in kinds.items() for name in names.split()}


#: Namespace in lower case -> the prefix that feedparser gives its names, "" for feeds' own elements. Those that are
#: not here may go by any prefix: feedparser does nothing about their elements.
NAMESPACES = {
    "": "",
    "http://blogs.law.harvard.edu/tech/rss": "",
    "http://my.netscape.com/rdf/simple/0.9/": "",
    "http://purl.org/atom/ns#": "",
    "http://purl.org/rss/1.0/": "",
    "http://www.w3.org/2005/atom": "",
    "http://webns.net/mvcb/": "admin",
    "http://creativecommons.org/ns#license": "cc",
    "http://web.resource.org/cc/": "cc",
    "http://purl.org/rss/1.0/modules/content/": "content",
    "http://backend.userland.com/creativecommonsrssmodule": "creativecommons",
    "http://cyber.law.harvard.edu/rss/creativecommonsrssmodule.html": "creativecommons",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://purl.org/dc/terms/": "dcterms",
    "http://rssnamespace.org/feedburner/ext/1.0": "feedburner",
    "http://www.georss.org/georss": "georss",
    "http://www.opengis.net/gml": "gml",
    "http://www.itunes.com/dtds/podcast-1.0.dtd": "itunes",
    "http://example.com/dtds/podcast-1.0.dtd": "itunes",
    "http://search.yahoo.com/mrss": "media",
    "http://search.yahoo.com/mrss/": "media",
    "http://podlove.org/simple-chapters": "psc",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#": "rdf",
    "http://www.w3.org/1999/xhtml": "xhtml",
}
#: Prefixes that feedparser gives to namespaces, here or not.
PREFIXES = words(
    "admin ag annotate audio blogchannel cc co content cp creativecommons dc dcterms email ev feedburner fm foaf "
    "geo georss gml icbm image itunes l media pingback prism psc rdf rdfs ref reqv search slash soap ss str sub "
    "sy szf taxo thr ti trackback wfw wiki xhtml xlink xml"
)
#: Every name that feedparser has a method for.
HANDLED = words(
    "abstract author body category cc_license channel cloud content content_encoded contributor copyright created "
    "creativecommons_license dc_author dc_contributor dc_creator dc_date dc_description dc_language dc_publisher "
    "dc_rights dc_subject dc_title dcterms_created dcterms_issued dcterms_modified dcterms_valid description "
    "email enclosure entry expirationdate feed feedburner_browserfriendly fullitem generator geom georss_box "
    "georss_line georss_point georss_polygon georss_where georssgeom gml_exterior gml_linearring gml_linestring "
    "gml_point gml_polygon gml_pos gml_poslist guid height homepage id image info issued item itunes_author "
    "itunes_block itunes_category itunes_email itunes_explicit itunes_image itunes_keywords itunes_link "
    "itunes_name itunes_owner itunes_subtitle itunes_summary keywords language lastbuilddate link managingeditor "
    "media_category media_content media_credit media_description media_group media_keywords media_license "
    "media_player media_rating media_restriction media_thumbnail media_title modified name newlocation "
    "psc_chapter psc_chapters pubdate published rights rss source subtitle summary tagline tags textinput title "
    "updated uri url webmaster where width xhtml_body"
)
#: What is read of an entry under the name of its element alone: an element of such a name would be taken for it.
_READ = words(
    "authors author_detail content created_parsed feedburner_origlink id image language link links media_content "
    "media_thumbnail published_parsed summary summary_detail tags title updated_parsed"
)
_TAKEN_ATTRIBUTES = words(
    "base domain href ispermalink label lang lastmod medium mode rel scheme src term text type uri url version "
    "width height"
)
_ACTIVE = frozenset(name.partition("_")[0] for name in HANDLED if "_" in name)
_XML = "http://www.w3.org/XML/1998/namespace"


class Names(dict[str, str]):
    """expat's "namespace local prefix" -> feedparser's name, such as dc_creator. Raises Unsure."""

    def __init__(self) -> None:
        self.version = ""
        self._declared: dict[str, str] = {}
        self._prefixes: dict[str, set[str | None]] = {}

    def declare(self, prefix: str | None, uri: str | None) -> None:
        """A namespace comes into use; the first of some also says what kind of feed this is."""
        if not uri:
            return
        lower = uri.lower()
        self.version = self.version or _VERSIONS.get(lower, "")
        known = NAMESPACES.get(lower)
        prefixes = self._prefixes.setdefault(uri, set())
        prefixes.add(prefix)
        is_odd = "backend.userland.com/rss" in lower or (known is None and len(prefixes) > 1)
        if prefix is not None:
            prefix = prefix.lower()
            is_odd = is_odd or self._declared.setdefault(prefix, uri) != uri
            # No namespace of feedparser's begins with https: what has a prefix of its methods is that to it.
            is_odd = is_odd or (known is None and prefix in _ACTIVE and not lower.startswith("https:"))
            is_odd = is_odd or (known is not None and prefix in PREFIXES and prefix != known)
        if is_odd:
            raise Unsure(f"the namespace {uri} as {prefix}")

    def __missing__(self, raw: str) -> str:
        parts = raw.split(" ")
        local = (parts[0] if len(parts) == 1 else parts[1]).lower()
        prefix = "" if len(parts) == 1 else NAMESPACES.get(parts[0].lower())
        if prefix is None:
            # To feedparser a namespace that it does not know is what its prefix says, without one nothing.
            prefix = parts[2].lower() if len(parts) == 3 else ""
        if len(parts) > 3 or prefix == "xml" or (not prefix and "_" in local):
            raise Unsure(f"the element {local}")
        name = self[raw] = f"{prefix}_{local}" if prefix else local
        if name not in HANDLED and name in _READ and name != "feedburner_origlink":
            raise Unsure(f"the element {name}")
        return name

    def read_attributes(self, attributes: dict[str, str]) -> dict[str, str]:
        """As feedparser has them: names, relations and types in lower case. Nobody reads foreign ones."""
        found = {}
        for raw, value in attributes.items():
            key = raw.lower() if " " not in raw else self._read_foreign(raw.split(" ")) or raw
            found[key] = value.lower() if key in ("rel", "type") else value
        return found

    def _read_foreign(self, parts: list[str]) -> str:
        uri, local = parts[0], parts[1].lower()
        if uri == _XML:
            return f"xml:{local}"
        prefix = NAMESPACES.get(uri.lower())
        if prefix == "rdf":
            return f"rdf:{local}"
        if not prefix and local in _TAKEN_ATTRIBUTES:
            raise Unsure(f"the attribute {local} of another namespace")
        return ""


_VERSIONS = {
    "http://my.netscape.com/rdf/simple/0.9/": "rss090",
    "http://purl.org/rss/1.0/": "rss10",
    "http://www.w3.org/2005/atom": "atom10",
}
