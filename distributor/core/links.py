"""Short links, their targets and the addresses behind share buttons. Nothing here mints, stores or follows."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote_plus, urlsplit

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SLUG_LENGTH = 11
SLUG_BYTES = 8

_NEVER_IN_URL = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff\\<>\"]")
_HOST = re.compile(r"(?:[^\x00-\x20%/:?#@\[\]\\^|<>`{}\"]+|\[[0-9a-fA-F:.]+\])\Z")


def new_slug(random_bytes: bytes) -> str:
    """Eleven letters and digits that carry 64 bits: the first 8 of `random_bytes`, which must be secret."""
    if len(random_bytes) < SLUG_BYTES:
        raise ValueError(f"a slug needs {SLUG_BYTES} random bytes, not {len(random_bytes)}")
    number = int.from_bytes(random_bytes[:SLUG_BYTES], "big")
    letters = []
    for _ in range(SLUG_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[digit])
    return "".join(reversed(letters))


def merge_utm(url: str, params: Mapping[str, str]) -> str:
    """The address with the campaign parameters added; what was there stays byte for byte, in its order.

    A parameter the address already has (in any case) keeps the article's value. Empty values are left out.
    Added at the end of the query, before the fragment. Addresses other than http and https stay as they are.
    """
    if url[:7].lower() != "http://" and url[:8].lower() != "https://":
        return url
    base, hash_mark, fragment = url.partition("#")
    path, _, query = base.partition("?")
    present = {unquote_plus(part.partition("=")[0]).lower() for part in re.split("[&;]", query)}
    added = "&".join(
        f"{_encode(name)}={_encode(value)}"
        for name, value in params.items()
        if value and name.lower() not in present
    )
    if not added:
        return url
    joint = "" if not query or query.endswith("&") else "&"
    return f"{path}?{query}{joint}{added}{hash_mark}{fragment}"


def _encode(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _share_by_mail(url: str, title: str) -> str:
    return f"mailto:?subject={_encode(title)}&body={_encode(title)}%0D%0A%0D%0A{_encode(url)}"


_SHARES: Mapping[str, Callable[[str, str], str]] = {
    # docs.x.com, "Web intent": the path is still called tweet.
    "x": lambda url, title: f"https://x.com/intent/tweet?text={_encode(title)}&url={_encode(url)}",
    "telegram": lambda url, title: f"https://t.me/share/url?url={_encode(url)}&text={_encode(title)}",
    "whatsapp": lambda url, title: f"https://wa.me/?text={_encode(f'{title} {url}'.strip())}",
    "facebook": lambda url, _: f"https://www.facebook.com/sharer/sharer.php?u={_encode(url)}",
    "linkedin": lambda url, _: f"https://www.linkedin.com/sharing/share-offsite/?url={_encode(url)}",
    "email": _share_by_mail,
    "copy": lambda url, _: url,
}
SHARE_NETWORKS = tuple(_SHARES)
"""Networks a share button can lead to, in the order of the row."""


def share_url(network: str, url: str, title: str) -> str:
    """What a share button opens: the network's page with the link (and the headline, where it takes one).

    For "copy" the link itself. Raises ValueError for a network that is not in SHARE_NETWORKS.
    """
    try:
        make = _SHARES[network]
    except KeyError:
        raise ValueError(f"no share button for {network!r}: there are {', '.join(_SHARES)}") from None
    return make(url, " ".join(title.split()))


def is_safe_target(url: str) -> bool:
    """A tracked link may lead there: http or https, a real host, no user name, nothing a browser rereads.

    Refused: control characters, spaces, backslashes, quotes and angle brackets (they belong percent-encoded),
    and a user or password before the host, which only ever dresses one host up as another.
    """
    if _NEVER_IN_URL.search(url):
        return False
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    if parts.scheme.lower() not in ("http", "https") or not has_port or "@" in parts.netloc:
        return False
    return bool(_HOST.match(_host_of(parts.netloc)))


def ascii_url(url: str) -> str:
    """The same address in ASCII, as an HTTP header must carry it; ASCII stays byte for byte.

    The host becomes Punycode; other letters beyond ASCII become percent-encoded UTF-8. Expects a safe target.
    """
    if url.isascii():
        return url
    scheme, slashes, rest = url.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    tail = rest[len(authority) :]
    host = _host_of(authority)
    encoded = ".".join(_encode_label(label) for label in re.split("[.\u3002\uff0e\uff61]", host))
    letters = "".join(char if char.isascii() else quote(char, errors="replace") for char in tail)
    return f"{scheme}{slashes}{encoded}{authority[len(host) :]}{letters}"


def _host_of(authority: str) -> str:
    return authority if authority.endswith("]") else re.sub(r":[0-9]*\Z", "", authority)


def _encode_label(label: str) -> str:
    if label.isascii():
        return label
    mapped = unicodedata.normalize("NFKC", label.lower())
    return mapped if mapped.isascii() else "xn--" + mapped.encode("punycode").decode("ascii")
