"""A feed: asked politely, parsed only when it changed."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from datetime import datetime, timedelta

from distributor.core.errors import SourceError
from distributor.core.points import reach
from distributor.core.post import Post, post_from_json
from distributor.core.source_state import PollResult, SourceState, read_http_seconds, rest
from distributor.sources import article
from distributor.sources import reader as reader_process
from distributor.sources.feed.settings import Settings
from distributor.sources.fetch import Fetched, Fetcher

#: Polls in a row that must see the same permanent redirect before the new address is used by itself: a captive
#: portal or a mistake of an hour must not move a newsroom's feed.
MOVES_TO_BELIEVE = 3
#: Failures in a row at an address that the source moved to, after which the one in the settings gets a try again.
FAILURES_TO_DOUBT_MOVE = 5
_ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml, application/xml;q=0.9, "
    "text/xml;q=0.9, application/json;q=0.8, */*;q=0.1"
)
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?(\d{1,9})")


class Source:
    """One feed. Keeps nothing between polls: what it has to remember is in the state it is given and gives back."""

    kind = "feed"

    def __init__(self, settings: Settings, fetcher: Fetcher, reader: reader_process.Reader | None = None) -> None:
        self.settings = settings
        self.name = settings.name
        self._fetcher = fetcher
        self._reader = reader or reader_process.shared

    def poll(self, state: SourceState, now: datetime) -> PollResult:
        """Fetch, and parse if anything changed. Raises SourceError; the state is then `back_off`'s."""
        state = state.for_address(self.settings.url)
        address = self._address(state)
        reach("feed.fetch")
        fetched = self._fetcher.fetch(address, headers=_conditions(state))
        # Where the configured address answers again, a move that was believed and then failed is forgotten.
        state = replace(state, url="") if state.url and address == self.settings.url else state
        if fetched.status == 304 and (state.etag or state.last_modified):
            return PollResult(self._rest(state, fetched, now), is_unchanged=True)
        _refuse_failure(fetched, now)
        body_hash = hashlib.blake2b(fetched.body, digest_size=16).hexdigest()
        known, state = state.body_hash, _remember(state, fetched, body_hash)
        if body_hash == known:
            return PollResult(self._rest(state, fetched, now), is_unchanged=True)
        posts, note = self._parse(fetched, now)
        state = replace(
            state,
            first_polled_at=state.first_polled_at or now,
            baseline_done=state.baseline_done or bool(posts),
        )
        return PollResult(self._rest(state, fetched, now), posts, note=note)

    def enrich(self, post: Post, now: datetime) -> Post:
        """The post with its gaps filled from its page, where the settings say so. Never raises."""
        return article.enrich(post, self._fetcher, now, self._reader) if self.settings.enrich else post

    def _address(self, state: SourceState) -> str:
        has_doubt = state.failures and state.failures % FAILURES_TO_DOUBT_MOVE == 0
        return self.settings.url if has_doubt or not state.url else state.url

    def _parse(self, fetched: Fetched, now: datetime) -> tuple[tuple[Post, ...], str]:
        about = {
            "url": fetched.url,
            "source": self.name,
            "content_type": fetched.headers.get("content-type", ""),
            "section": self.settings.section,
            "max_items": self.settings.max_items,
            "now": now.isoformat(),
        }
        answer = self._reader.run("feed", about, fetched.body)
        return tuple(post_from_json(text) for text in answer["posts"]), answer["note"]

    def _rest(self, state: SourceState, fetched: Fetched, now: datetime) -> SourceState:
        state = _follow_move(state, fetched)
        return rest(state, self.name, self.settings.every, now, wish=_read_wish(fetched))


def _conditions(state: SourceState) -> dict[str, str]:
    """Both validators as they came, byte for byte.

    A weak ETag was weakened on the way by a CDN or nginx, and WordPress, which compares it as text, would never
    answer 304 to it (facts/api-facts.md 5.3); Last-Modified alone works then.
    """
    headers = {"Accept": _ACCEPT}
    if state.etag and not (state.etag.startswith("W/") and state.last_modified):
        headers["If-None-Match"] = state.etag
    if state.last_modified:
        headers["If-Modified-Since"] = state.last_modified
    return headers


def _remember(state: SourceState, fetched: Fetched, body_hash: str) -> SourceState:
    headers = fetched.headers
    return replace(
        state,
        etag=headers.get("etag", "")[:1000],
        last_modified=headers.get("last-modified", "")[:100],
        body_hash=body_hash,
    )


def _refuse_failure(fetched: Fetched, now: datetime) -> None:
    status, url = fetched.status, fetched.url
    if status == 200:
        return
    if status == 410:
        raise SourceError(
            f"{url} answered 410 Gone: it is not asked any more; change its url or remove it", is_gone=True
        )
    retry_after = read_http_seconds(fetched.headers.get("retry-after", ""), now)
    if status in (429, 503):
        raise SourceError(
            f"{url} answered {status}: it is asked too often or is overloaded", retry_after=retry_after
        )
    hints = {
        304: "nothing changed, though nothing was known of it",
        401: "it wants a login",
        403: "it refuses us; its firewall may have to let our User-Agent through",
        404: "there is no such page; check its url",
    }
    hint = hints.get(status, "the site has a problem" if status >= 500 else "that is no feed")
    raise SourceError(f"{url} answered {status}: {hint}", retry_after=retry_after)


def _read_wish(fetched: Fetched) -> timedelta:
    found = _MAX_AGE.search(fetched.headers.get("cache-control", "").lower())
    return timedelta(seconds=int(found[1]) if found else 0)


def _follow_move(state: SourceState, fetched: Fetched) -> SourceState:
    """Count the polls that were sent to the same new address for good; believe it when it held."""
    if not fetched.moved_to:
        return replace(state, moved_to="", moved_polls=0) if state.moved_polls else state
    polls = state.moved_polls + 1 if fetched.moved_to == state.moved_to else 1
    if polls < MOVES_TO_BELIEVE:
        return replace(state, moved_to=fetched.moved_to, moved_polls=polls)
    return replace(state, url=fetched.moved_to, moved_to="", moved_polls=0)
