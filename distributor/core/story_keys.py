"""What makes two entries of a feed the same story: three keys, any of which is enough."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import UTC
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from distributor.core.post import Post

_TRACKING = re.compile(
    r"utm_\w+|fbclid|gclid|gclsrc|dclid|gbraid|wbraid|msclkid|yclid|ysclid|twclid|ttclid|igshid|igsh|mc_cid|mc_eid|"
    r"_ga|_gl|_hsenc|_hsmi|mkt_tok|oly_anon_id|oly_enc_id|vero_id|wickedid|at_(?:medium|campaign|custom\d*)|"
    r"ns_(?:mchannel|source|campaign|linkname|fee)|cmpid|xtor|ref_src|ref_url|s_cid|__twitter_impression",
    re.IGNORECASE,
)
_ESCAPE = re.compile(r"%[0-9a-fA-F]{2}")
_SAFE = "/%:@!$&'()*+,;=~-._"


def identity_keys(post: Post) -> tuple[str, ...]:
    """The keys under which a story may be known, strongest first.

    `guid:` the source's id (http and https, with and without www. are one), `link:` the address without scheme,
    www., tracking parameters, fragment and trailing slash, `title:` a hash of headline and UTC date (of the same
    instant in every setting: an operator's new time zone must not rename old stories), `headline:` a hash of the
    headline alone, which only ever proves that a whole feed got new ids, `entry:` a hash of id, link and headline,
    for entries that share each of them with another one. Keys are unique within one source only.
    """
    keys = []
    if post.guid:
        keys.append("guid:" + _normalise_guid(post.guid))
    links = dict.fromkeys(normalise_link(url) for url in (post.url, post.canonical_url))
    keys += ["link:" + link for link in links if link]
    words = _fold_words(post.headline)
    if words and post.published_at:
        keys.append(f"title:{_hash(words, post.published_at.astimezone(UTC).date().isoformat())}")
    if words:
        keys.append("headline:" + _hash(words))
    keys.append("entry:" + _hash(post.guid, post.url, post.headline))
    return tuple(keys)


def normalise_link(url: str) -> str:
    """The address as an identity: "example.org/news/a?page=2"; "" for home pages and whatever is not http(s)."""
    try:
        parts = urlsplit(url.strip())
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host:
        return ""
    path = _escape(parts.path).rstrip("/")
    query = _sort_query(parts.query)
    if not path and not query:
        return ""
    place = host.removeprefix("www.") + (f":{port}" if port not in (None, 80, 443) else "")
    return place + path + (f"?{query}" if query else "")


def _normalise_guid(guid: str) -> str:
    """Ids that are addresses lose scheme and www. only: two stories may differ in a fragment or a parameter."""
    return re.sub(r"^https?://(www\.)?", "", guid.strip(), flags=re.IGNORECASE)


def _fold_words(headline: str) -> str:
    """Letters, digits and their marks in lower case; punctuation, symbols and spaces become single spaces."""
    folded = unicodedata.normalize("NFKC", headline).casefold()
    return " ".join("".join(" " if unicodedata.category(sign)[0] in "PSZC" else sign for sign in folded).split())


def _sort_query(query: str) -> str:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=200)
    except ValueError:
        return query
    return urlencode(sorted(pair for pair in pairs if not _TRACKING.fullmatch(pair[0])))


def _escape(path: str) -> str:
    return _ESCAPE.sub(lambda found: found[0].upper(), quote(path, safe=_SAFE, errors="replace"))


def _hash(*texts: str) -> str:
    return hashlib.blake2b("\n".join(texts).encode("utf-8", "replace"), digest_size=12).hexdigest()
