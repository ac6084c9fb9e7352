"""Who followed a link: a reader, or one of the many programs that look at links first.

Rules on one hit (`classify`) and on a batch (`reclassify_bursts`). Neither is certain, so the reason and the
number of the ruleset are kept with every click, and old clicks can be judged again. Too slow for the redirect's
own path: a header seen for the first time takes about 0.3 ms.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from distributor.core.agents import classify_agent

Klass = Literal["human", "preview", "prefetch", "scanner", "bot", "self", "unknown"]
KLASSES: tuple[Klass, ...] = ("human", "preview", "prefetch", "scanner", "bot", "self", "unknown")

RULESET = 1
"""Raised whenever a rule here, or in `agents`, changes what a hit is taken for."""

BURST_LINKS = 3
BURST_WINDOW = timedelta(seconds=2)

_PREFETCH_HEADERS = ("sec-purpose", "purpose", "x-purpose", "x-moz")
_PAGE_DESTINATIONS = ("document", "iframe", "frame", "embed", "object")


@dataclass(frozen=True, slots=True)
class Hit:
    """One request for a link. `headers` with names in lower case; `ip_prefix` is cut to a network, never whole."""

    method: str
    user_agent: str
    headers: Mapping[str, str]
    ip_prefix: str
    at: datetime
    link_slug: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a hit is taken for, why, and by which ruleset."""

    klass: Klass
    reason: str
    ruleset: int = RULESET


@dataclass(frozen=True, slots=True)
class ClickRow:
    """One click as it is stored. `visitor` is a daily hash or "", `agent` and `referrer` may be ""."""

    slug: str
    at: datetime
    klass: str
    reason: str
    ruleset: int
    visitor: str = ""
    agent: str = ""
    referrer: str = ""


def classify(hit: Hit, *, is_own: bool = False) -> Verdict:
    """Judge one hit. `is_own` says that it came from the newsroom itself (its signed cookie, its network)."""
    if is_own:
        return Verdict("self", "the newsroom's own click")
    klass, reason = classify_agent(hit.user_agent)
    if klass not in ("human", "unknown"):
        return Verdict(klass, reason)
    if hit.method.upper() == "HEAD":
        return Verdict("preview", "head request")
    if hit.method.upper() != "GET":
        return Verdict("bot", f"{hit.method.lower()[:16]} request")
    for name in _PREFETCH_HEADERS:
        purpose = hit.headers.get(name, "").lower()
        if any(word in purpose for word in ("prefetch", "prerender", "preview")):
            return Verdict("prefetch", f"{name}: {purpose[:40]}")
    return _doubt_browser(hit) if klass == "human" else Verdict(klass, reason)


def _doubt_browser(hit: Hit) -> Verdict:
    """A browser's name is easily borrowed; what a browser sends along when a person opens a page is not."""
    destination = hit.headers.get("sec-fetch-dest", "document").lower()
    if destination not in _PAGE_DESTINATIONS:
        return Verdict("bot", f"asked for as {destination[:20]}, not as a page")
    accept = hit.headers.get("accept", "text/html").lower()
    if "text/html" not in accept:
        return Verdict("scanner", "a browser's name without a browser's accept header")
    return Verdict("human", "browser")


def reclassify_bursts(clicks: Sequence[ClickRow], edition_of: Callable[[str], Hashable | None]) -> list[ClickRow]:
    """The same clicks, in order; readers who opened 3 or more links of one edition within 2 s become scanners.

    `edition_of` gives the edition of a slug (None where there is none). A burst that lies across two batches
    is seen only when the later call gets the clicks of the last seconds again. Clicks without a visitor stay.
    """
    groups: dict[tuple[str, Hashable], list[int]] = defaultdict(list)
    for index, click in enumerate(clicks):
        edition = edition_of(click.slug)
        if click.visitor and edition is not None and click.klass != "self":
            groups[click.visitor, edition].append(index)
    judged = list(clicks)
    for indexes in groups.values():
        for index in _find_bursts(clicks, indexes):
            if judged[index].klass in ("human", "unknown"):
                judged[index] = replace(clicks[index], klass="scanner", reason="burst of links", ruleset=RULESET)
    return judged


def _find_bursts(clicks: Sequence[ClickRow], indexes: list[int]) -> Iterator[int]:
    ordered = sorted(indexes, key=lambda index: clicks[index].at)
    slugs: Counter[str] = Counter()
    first = told = 0
    for last, index in enumerate(ordered):
        slugs[clicks[index].slug] += 1
        while clicks[index].at - clicks[ordered[first]].at > BURST_WINDOW:
            slugs[clicks[ordered[first]].slug] -= 1
            first += 1
        if len(+slugs) >= BURST_LINKS:
            yield from ordered[max(first, told) : last + 1]
            told = last + 1
