"""What a source remembers between two polls, and when it is asked again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _quote

from distributor.core.errors import SourceError
from distributor.core.post import Post

#: A site's wish (Cache-Control) slows polling down to this at most; news cannot wait for an hour-long max-age.
LONGEST_WISH = timedelta(minutes=15)
#: Retry-After is an order, but a mistyped one must not silence a source for weeks.
LONGEST_RETRY_AFTER = timedelta(hours=24)
LONGEST_BACK_OFF = timedelta(hours=1)
_JITTER = 0.1
#: A poll this far ahead of the clock was made under a wrong one: what it planned means nothing.
CLOCK_WAS_WRONG = timedelta(minutes=1)
_DATES = ("next_poll_at", "asked_at", "first_polled_at")
#: States kept as they were read or written: all of them are looked at each second, and few have changed.
_MOST_KEPT = 4096
_kept: dict[str, SourceState] = {}


@dataclass(frozen=True, slots=True)
class SourceState:
    """The memory of one source; plain data for one column.

    `configured` is the address in the settings that this was learnt from: with another one everything is forgotten.
    `url` is the address in use when it differs (moved for good, or a WordPress site's API). `failures` counts
    failed polls in a row, `error` says why the last one failed. `cursor` is the source's own. `asked_at` is when
    `next_poll_at` was set. `claimed_by` is the fence of the process that asks now, where there are several.
    """

    configured: str = ""
    url: str = ""
    etag: str = ""
    last_modified: str = ""
    body_hash: str = ""
    cursor: str = ""
    moved_to: str = ""
    moved_polls: int = 0
    failures: int = 0
    error: str = ""
    next_poll_at: datetime | None = None
    asked_at: datetime | None = None
    first_polled_at: datetime | None = None
    baseline_done: bool = False
    is_gone: bool = False
    claimed_by: str = ""

    def to_json(self) -> str:
        # Written out, in the order of its keys: json takes five times as long, and this runs at each poll.
        text = (
            f'{{"asked_at": {_say_date(self.asked_at)}, "baseline_done": {_say_flag(self.baseline_done)}, '
            f'"body_hash": {_quote(self.body_hash)}, "claimed_by": {_quote(self.claimed_by)}, '
            f'"configured": {_quote(self.configured)}, "cursor": {_quote(self.cursor)}, '
            f'"error": {_quote(self.error)}, "etag": {_quote(self.etag)}, "failures": {self.failures:d}, '
            f'"first_polled_at": {_say_date(self.first_polled_at)}, "is_gone": {_say_flag(self.is_gone)}, '
            f'"last_modified": {_quote(self.last_modified)}, "moved_polls": {self.moved_polls:d}, '
            f'"moved_to": {_quote(self.moved_to)}, "next_poll_at": {_say_date(self.next_poll_at)}, '
            f'"url": {_quote(self.url)}}}'
        )
        _keep(text, self)
        return text

    @classmethod
    def from_json(cls, text: str) -> SourceState:
        """The state that was written, by an older or newer program too; "{}" and "" are a source never polled."""
        return _kept.get(text) or _keep(text, _read_state(text))

    def at_rest(self, next_poll_at: datetime, now: datetime) -> SourceState:
        """This state after a poll that worked."""
        # One by one: `replace` takes twice as long, and this runs at each poll.
        return SourceState(
            self.configured,
            self.url,
            self.etag,
            self.last_modified,
            self.body_hash,
            self.cursor,
            self.moved_to,
            self.moved_polls,
            0,
            "",
            next_poll_at,
            now,
            self.first_polled_at,
            self.baseline_done,
            self.is_gone,
            self.claimed_by,
        )

    def for_address(self, configured: str) -> SourceState:
        """This state if it was learnt from that address, else a fresh one."""
        return self if self.configured == configured else SourceState(configured=configured)

    def is_due(self, configured: str, now: datetime) -> bool:
        """Whether to poll now; never again what is gone (410), at once what has a new address.

        At once, too, where the clock was set back: what was put off by a clock that was days ahead would be silent
        for days.
        """
        if self.configured != configured:
            return True
        was_ahead = self.asked_at is not None and self.asked_at > now + CLOCK_WAS_WRONG
        return not self.is_gone and (self.next_poll_at is None or self.next_poll_at <= now or was_ahead)


def _say_date(moment: datetime | None) -> str:
    return f'"{moment.isoformat()}"' if moment else "null"


def _say_flag(is_set: bool) -> str:
    return "true" if is_set else "false"


def _keep(text: str, state: SourceState) -> SourceState:
    if len(_kept) >= _MOST_KEPT:
        _kept.clear()
    _kept[text] = state
    return state


def _read_state(text: str) -> SourceState:
    data = json.loads(text or "{}")
    known = {name: data[name] for name in SourceState.__dataclass_fields__ if name in data}
    for name in _DATES:
        known[name] = datetime.fromisoformat(known[name]) if known.get(name) else None
    return SourceState(**known)


@dataclass(frozen=True)
class PollResult:
    """What a poll brought, as the source gave it. `note` is a sentence for the operator, usually ""."""

    state: SourceState
    posts: tuple[Post, ...] = ()
    is_unchanged: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class QuietPoll:
    """A poll that found nothing new, as it is written down. `state` is the source's state as JSON."""

    name: str
    state: str
    next_poll_at: datetime | None
    at: datetime


def rest(
    state: SourceState, name: str, every: timedelta, now: datetime, wish: timedelta = timedelta()
) -> SourceState:
    """The state after a poll that worked: asked again after `every`, or the site's wish if that is longer."""
    wait = max(every, min(wish, LONGEST_WISH))
    return state.at_rest(now + _jitter(wait, name, 0), now)


def back_off(state: SourceState, name: str, every: timedelta, error: SourceError, now: datetime) -> SourceState:
    """The state after a poll that failed: the wait doubles up to an hour; Retry-After is obeyed up to a day."""
    failures = state.failures + 1
    wait = min(every * 2 ** min(failures, 20), max(LONGEST_BACK_OFF, every))
    wait = _jitter(wait, name, failures)
    if error.retry_after is not None:
        wait = max(wait, min(timedelta(seconds=error.retry_after), LONGEST_RETRY_AFTER))
    return replace(
        state,
        failures=failures,
        error=str(error),
        next_poll_at=now + wait,
        asked_at=now,
        is_gone=state.is_gone or error.is_gone,
    )


@lru_cache(maxsize=4096)
def _jitter(wait: timedelta, name: str, failures: int) -> timedelta:
    """Up to a tenth longer, the same for the same source and count: spreads sources without surprising a test."""
    digest = hashlib.blake2b(f"{name}\n{failures}".encode(), digest_size=4).digest()
    return wait * (1 + _JITTER * int.from_bytes(digest) / 2**32)


def read_http_seconds(value: str, now: datetime) -> float | None:
    """Retry-After: seconds or an HTTP date, never negative; None when it is neither."""
    from email.utils import parsedate_to_datetime

    text = value.strip()
    if text.isdecimal() and text.isascii():
        return float(min(int(text[:12]), 10**9))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
