"""Texts, addresses and dates of a feed, as feedparser 6 reads them."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime, timedelta
from functools import lru_cache
from urllib.parse import urljoin

from distributor.sources.feed.quick_names import Unsure

_CONTROL = re.compile("[\x80-\x9f]")
#: What Windows-1252 means by the bytes that are controls elsewhere.
WINDOWS = {
    code: bytes([code]).decode("cp1252") for code in range(0x80, 0xA0) if code not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}
# What urljoin leaves as it is whatever the base.
_ABSOLUTE = re.compile(
    r"https?://[A-Za-z0-9][A-Za-z0-9.:-]*/[A-Za-z0-9/_.~%+=&,@!-]*(?:\?[A-Za-z0-9/_.~%+=&,@!-]+)?"
)
_SLASHES = re.compile("^([A-Za-z][A-Za-z0-9+-.]*://)/*")
_NAMES = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
_MONTHS = {name: number for number, name in enumerate(_NAMES.split(), 1)}
_ZONES = {
    **dict.fromkeys(("", "Z", "GMT", "UT", "UTC"), 0),
    "EST": -5,
    "EDT": -4,
    "CST": -6,
    "CDT": -5,
    "MST": -7,
    "MDT": -6,
    "PST": -8,
    "PDT": -7,
}
_RFC = re.compile(
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?([0-9]{1,2}) ([A-Z][a-z][a-z]) ([0-9]{4}) "
    r"([0-9]{2}):([0-9]{2})(?::([0-9]{2}))? (?:([A-Z]{1,3})|([+-])([0-9]{2})([0-9]{2}))"
)
_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]{1,9})?)?(?:(Z?)|([+-])([0-9]{2})(?::([0-9]{2})|00)))?"
)


def fix_text(text: str) -> str:
    """UTF-8 that was read as Latin-1 once too often, and Windows-1252 that was, put right."""
    if text.isascii():
        return text
    with suppress(UnicodeError):
        text = text.encode("iso-8859-1").decode("utf-8")
    return text.translate(WINDOWS) if _CONTROL.search(text) else text


def fix_clean_text(text: str) -> str:
    """`fix_text` for a text without controls of Latin-1, at half its cost."""
    if text.isascii():
        return text
    try:
        return text.encode("iso-8859-1").decode("utf-8").translate(WINDOWS)
    except UnicodeError:
        return text


def resolve(base: str, address: str) -> str:
    if _ABSOLUTE.fullmatch(address):
        return address
    try:
        return urljoin(base, _SLASHES.sub(r"\1", address))
    except ValueError:
        return ""


@lru_cache(maxsize=4096)  # Most entries of a feed are those of the poll before.
def read_moment(text: str) -> tuple[int, ...] | None:
    """Year to second in UTC; None for no date at all. Unsure about all but the two usual forms."""
    if not text:
        return None
    if found := _RFC.fullmatch(text):
        day, name, year, hour, minute, second, zone, sign, hours, minutes = found.groups()
        month: int | None = _MONTHS.get(name)
    elif found := _ISO.fullmatch(text):
        year, number, day, hour, minute, second, zone, sign, hours, minutes = found.groups()
        month = int(number)
    else:
        raise Unsure(f"the date {text[:40]}")
    if month is None or (not sign and (zone or "") not in _ZONES):
        raise Unsure(f"the date {text[:40]}")
    shift = timedelta(hours=_ZONES[zone or ""])
    if sign:
        shift = timedelta(hours=int(hours), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    try:
        moment = datetime(int(year), month, int(day), int(hour or 0), int(minute or 0), int(second or 0)) - shift
    except (ValueError, OverflowError):
        raise Unsure(f"the date {text[:40]}") from None
    return moment.timetuple()[:6]
