"""Dates as feeds and pages write them. Never raises; None is better than a moment that cannot be true."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

#: Older than the web, or further away than any desk plans: a mistake (1970, 0000-00-00, 2099).
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
FURTHEST_AHEAD = timedelta(days=366)
_LONGEST = 100
_DATE_ONLY = re.compile(r"\d{4}-?\d\d-?\d\d")


def check_moment(moment: datetime | None, now: datetime) -> datetime | None:
    """An aware moment as UTC in whole seconds, None when it lies before 1990 or over a year ahead."""
    if moment is None or moment.utcoffset() is None:
        return None
    try:
        moment = moment.astimezone(UTC).replace(microsecond=0)
    except (OverflowError, ValueError):
        return None
    return _bound(moment, now)


def _bound(moment: datetime, now: datetime) -> datetime | None:
    return moment if EARLIEST <= moment <= now + FURTHEST_AHEAD else None


def from_parts(parts: Sequence[int] | None, now: datetime) -> datetime | None:
    """From year, month, day, hour, minute, second in UTC, as feedparser gives them (year -1 included)."""
    if not parts or len(parts) < 6:
        return None
    year, month, day, hour, minute, second = parts[:6]
    try:
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except (ValueError, TypeError, OverflowError):
        return None
    return _bound(moment, now)


def read_date(text: object, now: datetime, *, is_utc: bool = False) -> datetime | None:
    """From ISO 8601 or RFC 5322 text with a zone.

    A date without a time is midnight UTC. A wall time without a zone is no instant and gives None, unless `is_utc`
    says that the format means UTC.
    """
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST:
        return None
    moment = _read_iso(text.strip()) or _read_rfc(text.strip())
    if moment and moment.tzinfo is None and (is_utc or _DATE_ONLY.fullmatch(text.strip())):
        moment = moment.replace(tzinfo=UTC)
    return check_moment(moment, now)


def _read_iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.replace(" ", "T", 1).replace(" ", ""))
    except ValueError:
        return None


def _read_rfc(text: str) -> datetime | None:
    if " 0000 " in text:
        return None  # email.utils takes the year 0 for 2000
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
