"""HTML from outside: sanitised, its links made absolute, its first picture found."""

from __future__ import annotations

import html
import re
from collections import Counter
from urllib.parse import urljoin, urlsplit

from distributor.core.post import Image
from distributor.core.text_clean import clean_text, clean_title, plain_text, strip_controls

#: Longer or deeper than any story: nh3 takes seconds for such input (facts/reliability.md 0.9), so it becomes text.
LONGEST_BODY = 500_000
DEEPEST = 200
MOST_REFERENCES = 50_000
_LONGEST_TEXT = 200_000


def _words(text: str) -> set[str]:
    return set(text.split())


_TAGS = _words(
    "a abbr aside b bdi bdo blockquote br caption cite code col colgroup dd del details dfn div dl dt em "
    "figcaption figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q rp rt ruby s samp section small span "
    "strong sub summary sup table tbody td tfoot th thead time tr tt u ul var wbr"
)
_DROPPED_WHOLE = _words("script style template noscript iframe object embed svg math select textarea")
_ATTRIBUTES = {
    "*": {"dir", "lang"},
    "a": {"href", "title"},
    "blockquote": {"cite"},
    "img": {"src", "alt", "title", "width", "height"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "time": {"datetime"},
}
_LINKS = frozenset({"href", "src", "cite"})
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:]*)")
_NOT_NESTING = _words("area base br col embed hr img input li link meta p param source td th tr track wbr")
_IMG = re.compile(r"<img\s(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>", re.IGNORECASE)
_NO_LEAD = re.compile(
    r"^data:|gravatar\.com|/s\.w\.org/|feedburner|doubleclick|/(?:pixel|beacon|tracking|spacer|blank|1x1)\b|\.svg$",
    re.IGNORECASE,
)
# An address that is whole and plain, as most are: nothing would be changed in it.
_PLAIN_ADDRESS = re.compile(
    r"https?://[A-Za-z0-9][A-Za-z0-9.-]*/[A-Za-z0-9/_.~%+=&,@!-]*(?:\?[A-Za-z0-9/_.~%+=&,@!-]+)?"
)


def sanitise(markup: str, base: str) -> str:
    """The fragment with harmless tags and http(s), mailto and tel links only, every address absolute."""
    import nh3

    markup = strip_controls(markup)
    if len(markup) > LONGEST_BODY or markup.count("&") > MOST_REFERENCES or is_too_deep(markup):
        return f"<p>{html.escape(plain_text(markup)[:_LONGEST_TEXT])}</p>"
    if "<" not in markup and "&" not in markup:
        return markup.strip()

    def make_absolute(tag: str, name: str, value: str) -> str | None:
        return join_address(base, value) or None if name in _LINKS else value

    cleaned = nh3.clean(
        markup,
        tags=_TAGS,
        clean_content_tags=_DROPPED_WHOLE,
        attributes=_ATTRIBUTES,
        attribute_filter=make_absolute,
        url_schemes={"http", "https", "mailto", "tel"},
    )
    # Character references are characters now, and some of those may not be stored.
    return strip_controls(cleaned).strip()


def is_too_deep(markup: str, deepest: int = DEEPEST) -> bool:
    """Whether more tags are open at once than any story needs; in linear time.

    An end tag closes its own kind only: nh3 takes minutes for 100,000 times <b></i>.
    """
    is_open: Counter[str] = Counter()
    depth = 0
    for found in _TAG.finditer(markup):
        name = found[2].lower()
        if name in _NOT_NESTING:
            continue
        if not found[1]:
            is_open[name] += 1
            depth += 1
        elif is_open[name]:
            is_open[name] -= 1
            depth -= 1
        if depth > deepest:
            return True
    return False


def join_address(base: str, address: str) -> str:
    """The address, absolute; "" when it cannot be read or leads nowhere a reader may be led."""
    if len(address) <= 4096 and _PLAIN_ADDRESS.fullmatch(address):
        return address
    text = clean_text(address).replace(" ", "%20")
    try:
        whole = urljoin(base, text) if base else text
        parts = urlsplit(whole)
        is_fine = parts.scheme in ("mailto", "tel") or (parts.scheme in ("http", "https") and bool(parts.hostname))
    except ValueError:
        return ""
    return whole if is_fine and len(whole) <= 4096 else ""


def web_address(base: str, address: object) -> str:
    """As `join_address`, but http and https only."""
    whole = join_address(base, address) if isinstance(address, str) and address.strip() else ""
    return whole if whole.startswith(("http://", "https://")) else ""


def read_size(value: object) -> int | None:
    """Pixels from "640", "640px" or 640; None for anything else."""
    found = re.match(r"\s*(\d{1,5})(?:\.\d+)?\s*(?:px)?\s*$", str(value))
    return int(found[1]) if found and int(found[1]) else None


def make_image(
    base: str, url: object, alt: object = "", width: object = None, height: object = None
) -> Image | None:
    """A picture fit to lead a story; None for tracking pixels, icons and what is no web address."""
    address = web_address(base, url)
    wide, high = read_size(width), read_size(height)
    if not address or _NO_LEAD.search(address) or min(wide or 99, high or 99) < 50:
        return None
    return Image(address, clean_title(alt)[:500] if isinstance(alt, str) else "", wide, high)


def first_image(body_html: str) -> Image | None:
    """The first picture of a sanitised body that can lead a story."""
    for found in _IMG.finditer(body_html):
        attributes = {
            name: html.unescape(value) for name, value in re.findall(r'(src|alt|width|height)="([^"]*)"', found[0])
        }
        image = make_image(
            "",
            attributes.get("src"),
            attributes.get("alt", ""),
            attributes.get("width"),
            attributes.get("height"),
        )
        if image:
            return image
    return None
