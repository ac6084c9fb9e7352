"""The filters of templates: dates, shortening, plain text, hashtags. Used in the rendering child only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

from markupsafe import Markup

from distributor.core.text import FIT_END, FIT_START, cut_text
from distributor.pipeline.render_links import quote_around_links

_Length = Literal["full", "long", "medium", "short"]
_LENGTHS: dict[str, _Length] = {"full": "full", "long": "long", "medium": "medium", "short": "short"}


class Filters:
    """What templates may do to words, in the language and zone of the site whose edition is being worded."""

    def __init__(self) -> None:
        self._language = "en"
        self._zone = ZoneInfo("UTC")

    def enter_site(self, language: str, timezone: str) -> None:
        """From now on dates read as they do there."""
        self._language = language
        self._zone = ZoneInfo(timezone)

    def by_name(self) -> dict[str, Callable[..., Any]]:
        return {
            "date": self.format_date,
            "time": self.format_time,
            "datetime": self.format_datetime,
            "fit": mark_flexible,
            "cut": cut,
            "plain": make_plain,
            "hashtag": make_hashtag,
            "urlencode": lambda value: quote_around_links(str(value)),
        }

    def format_date(self, moment: str, pattern: str = "long") -> str:
        """ "23 November 2026" as the site's language writes it; "" for no date."""
        from babel.dates import format_date

        return _plain_spaces(format_date(self._local(moment), pattern, _locale(self._language))) if moment else ""

    def format_time(self, moment: str, pattern: str = "short") -> str:
        from babel.dates import format_time

        locale = _locale(self._language)
        return _plain_spaces(format_time(self._local(moment), pattern, locale=locale)) if moment else ""

    def format_datetime(self, moment: str, pattern: str = "long") -> str:
        """Date and time without seconds. `pattern` is full, long, medium, short or a CLDR pattern."""
        from babel.dates import format_datetime, get_datetime_format

        if not moment:
            return ""
        locale = _locale(self._language)
        if pattern not in _LENGTHS:
            return _plain_spaces(format_datetime(self._local(moment), pattern, locale=locale))
        joint = str(get_datetime_format(_LENGTHS[pattern], locale)).replace("'", "")
        return joint.replace("{1}", self.format_date(moment, pattern)).replace("{0}", self.format_time(moment))

    def _local(self, moment: str) -> datetime:
        parsed = datetime.fromisoformat(moment)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(self._zone)


def mark_flexible(value: Any) -> str:
    """Words that may be shortened when the whole is too long for the channel."""
    if hasattr(value, "__html__"):
        marked: str = Markup(FIT_START) + value + Markup(FIT_END)
        return marked
    return f"{FIT_START}{value}{FIT_END}"


def cut(value: Any, length: int) -> str:
    """At most `length` characters: ends after a sentence or a word."""
    return cut_text(make_plain(value) if hasattr(value, "__html__") else str(value), min(length, 100_000))


def make_plain(value: Any) -> str:
    """HTML as plain text."""
    from distributor.core.markup import to_plain_text

    return to_plain_text(str(value))


def make_hashtag(value: Any) -> str:
    """ "World news" -> "#WorldNews"; "" for words that make none."""
    import regex

    words = regex.findall(r"[\p{L}\p{M}\p{N}_]+", str(value)[:200])
    joined = "".join(word[:1].upper() + word[1:] for word in words)
    return "" if not joined or joined.isdecimal() else f"#{joined}"


def _plain_spaces(text: str) -> str:
    """CLDR writes narrow no-break spaces, which older mail programs show as boxes."""
    return text.replace("\u202f", "\u00a0")


@lru_cache(maxsize=16)
def _locale(language: str) -> Any:
    from babel import Locale, UnknownLocaleError

    tag = language.replace("_", "-")
    while tag:
        try:
            return Locale.parse(tag, sep="-")
        except (UnknownLocaleError, ValueError):
            tag = tag.rpartition("-")[0]
    return Locale.parse("en")
