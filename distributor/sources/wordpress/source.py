"""A WordPress site: asked through its REST API for what was modified since the last time."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from distributor.core.errors import SourceError
from distributor.core.points import reach
from distributor.core.post import Post
from distributor.core.source_state import PollResult, SourceState, read_http_seconds, rest
from distributor.sources.fetch import Fetched, Fetcher
from distributor.sources.wordpress.parse import FIELDS, read_item, read_modified
from distributor.sources.wordpress.settings import Settings

#: modified_after compares local times: the hour that clocks repeat, and a second one for caches and slow clocks.
OVERLAP = timedelta(hours=2)
PER_PAGE = 100
MOST_PAGES = 10
_API_LINK = re.compile(r'<([^<>]+)>\s*;[^,]*\brel="?https://api\.w\.org/"?', re.IGNORECASE)
_API_HTML = re.compile(
    rb"<link\b(?=[^>]*\brel=[\"']https://api\.w\.org/[\"'])[^>]*\bhref=[\"']([^\"'>]+)", re.IGNORECASE
)


@dataclass(frozen=True)
class _Page:
    items: list[Any]
    total: int
    pages: int
    body: bytes


class Source:
    """One site. The API's address is found once and kept in the state; so is the newest modification seen."""

    kind = "wordpress"

    def __init__(self, settings: Settings, fetcher: Fetcher) -> None:
        self.settings = settings
        self.name = settings.name
        self._fetcher = fetcher

    def poll(self, state: SourceState, now: datetime) -> PollResult:
        """What was modified since the last poll and two hours before it; the first poll takes the newest hundred.

        Raises SourceError; the state is then `back_off`'s, and the API is looked for anew. Posts that were already
        told come again: they are recognised by their keys. What vanished from the site is not noticed here.
        """
        state = state.for_address(self.settings.url)
        api = state.url if state.url and not state.failures else self._find_api(now)
        pages = self._read_pages(api, state, now)
        state = replace(state, url=api, first_polled_at=state.first_polled_at or now)
        items = [item for page in pages for item in page.items]
        body_hash = hashlib.blake2b(b"\0".join(page.body for page in pages), digest_size=16).hexdigest()
        if body_hash == state.body_hash:
            return PollResult(rest(state, self.name, self.settings.every, now), is_unchanged=True)
        note = self._note(pages, items)
        # A post that was modified while pages were turned can have slipped through: then look from here again.
        if len(items) >= pages[0].total or len(pages) == MOST_PAGES or not state.cursor:
            state = replace(state, cursor=_newest(items, state.cursor, now), body_hash=body_hash)
        posts = self._read_posts(items, now)
        state = replace(state, baseline_done=state.baseline_done or bool(posts))
        return PollResult(rest(state, self.name, self.settings.every, now), posts, note=note)

    def enrich(self, post: Post, now: datetime) -> Post:
        """The post as it is: the API leaves nothing out that a page would add."""
        return post

    def _read_posts(self, items: Sequence[Any], now: datetime) -> tuple[Post, ...]:
        site, section = self.settings.url, self.settings.section
        found = (read_item(item, site, self.name, section, now) for item in items)
        return tuple(post for post in found if post)

    def _note(self, pages: Sequence[_Page], items: Sequence[Any]) -> str:
        if pages[0].pages <= len(pages) or len(pages) < MOST_PAGES:
            return ""
        return f"more than {len(items):,} posts were modified; the rest is read at the next polls"

    def _find_api(self, now: datetime) -> str:
        """By the Link header of the site, its HTML, and ?rest_route=/ where pretty addresses are off."""
        reach("wordpress.find")
        home = self._fetcher.fetch(self.settings.url)
        found = _API_LINK.search(home.headers.get("link", ""))
        if found:
            return str(urljoin(home.url, found[1]))
        in_page = _API_HTML.search(home.body[:200_000])
        if in_page:
            return str(urljoin(home.url, in_page[1].decode("utf-8", "replace").replace("&amp;", "&")))
        if _is_api_root(home):
            return home.url
        plain = _with_query(home.url, {"rest_route": "/"})
        answer = self._fetcher.fetch(plain)
        if _is_api_root(answer):
            return plain
        self._refuse(answer if answer.status != 200 else home, now)
        raise SourceError(f"{self.settings.url}: no WordPress REST API was found there; {self._use_feed()}")

    def _read_pages(self, api: str, state: SourceState, now: datetime) -> list[_Page]:
        first = self._read_page(api, state, 1, now)
        # A proxy may have dropped the page count; then a full page means that there may be another one.
        last = min(first.pages or MOST_PAGES, MOST_PAGES) if state.cursor else 1
        pages = [first]
        while len(pages) < last and len(pages[-1].items) == PER_PAGE:
            pages.append(self._read_page(api, state, len(pages) + 1, now))
        return pages

    def _read_page(self, api: str, state: SourceState, number: int, now: datetime) -> _Page:
        query = {"orderby": "modified", "order": "desc", "per_page": str(PER_PAGE)}
        since = None
        if state.cursor:
            since = datetime.fromisoformat(state.cursor) - OVERLAP
            query |= {"order": "asc", "modified_after": f"{since:%Y-%m-%dT%H:%M:%S}Z", "page": str(number)}
        query |= {"_fields": FIELDS, "_embed": "author,wp:featuredmedia,wp:term"}
        reach("wordpress.page")
        answer = self._fetcher.fetch(_route(api, "wp/v2/posts", query), headers={"Accept": "application/json"})
        data = _load(answer)
        if answer.status == 400 and _code(data) == "rest_post_invalid_page_number":
            return _Page([], 0, 0, b"")
        self._refuse(answer, now)
        if not isinstance(data, list):
            raise SourceError(f"{self.settings.url} answered its REST API with a page; {self._use_feed()}")
        self._refuse_old_wordpress(data, since, now)
        headers = answer.headers
        return _Page(data, _number(headers.get("x-wp-total")), _number(headers.get("x-wp-totalpages")), answer.body)

    def _refuse(self, answer: Fetched, now: datetime) -> None:
        if answer.status == 200:
            return
        retry_after = read_http_seconds(answer.headers.get("retry-after", ""), now)
        code = _code(_load(answer))
        said = f"{self.settings.url} answered {answer.status}{f' ({code})' if code else ''} to its REST API"
        if answer.status == 410:
            raise SourceError(f"{said}: it is gone and not asked any more", is_gone=True)
        if answer.status in (401, 403, 404):
            raise SourceError(f"{said}; {self._use_feed()}")
        raise SourceError(said, retry_after=retry_after)

    def _refuse_old_wordpress(self, items: list[Any], since: datetime | None, now: datetime) -> None:
        """Before 5.7 modified_after is ignored, and the answer would be the oldest posts of the archive."""
        first = read_modified(items[0], now) if items else None
        if since and first and first < since - timedelta(days=1):
            raise SourceError(f"{self.settings.url} runs a WordPress older than 5.7; {self._use_feed()}")

    def _use_feed(self) -> str:
        return f"use kind: feed with url: {urljoin(self.settings.url, '/feed/')}"


def _route(api: str, path: str, query: dict[str, str]) -> str:
    """The address of a route, for both shapes of the API's root: /wp-json/ and ?rest_route=/."""
    parts = urlsplit(api)
    own = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "rest_route" in own:
        return _with_query(api, {"rest_route": f"{own['rest_route'].rstrip('/')}/{path}", **query})
    return _with_query(api.rstrip("/") + "/" + path, query)


def _with_query(url: str, query: dict[str, str]) -> str:
    parts = urlsplit(url)
    whole = dict(parse_qsl(parts.query, keep_blank_values=True)) | query
    return urlunsplit(parts._replace(query=urlencode(whole, safe="/,:"), fragment=""))


def _is_api_root(answer: Fetched) -> bool:
    data = _load(answer) if answer.status == 200 else None
    return isinstance(data, dict) and isinstance(data.get("namespaces"), list) and "wp/v2" in data["namespaces"]


def _load(answer: Fetched) -> Any:
    try:
        return json.loads(answer.body, strict=False)
    except (ValueError, RecursionError):
        return None


def _code(data: Any) -> str:
    code = data.get("code") if isinstance(data, dict) else None
    return code[:60] if isinstance(code, str) else ""


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 10 else 0


def _newest(items: Sequence[Any], cursor: str, now: datetime) -> str:
    """The newest modification seen, never back; without any, now, so that the first post to come is found."""
    moments = [moment for item in items if (moment := read_modified(item, now))]
    # A site with a clock ahead of ours must not put the cursor where nothing is ever after it.
    newest = min(max(moments), now) if moments else None
    known = datetime.fromisoformat(cursor) if cursor else None
    best = max((moment for moment in (newest, known) if moment), default=now)
    return best.astimezone(UTC).isoformat()
