"""Words for a planned edition: collect what templates may say, render, mint links, freeze content and audience."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import format_datetime
from typing import Protocol
from urllib.parse import urlsplit

from distributor.core.contracts import Channel, Site
from distributor.core.errors import DistributorError, TemplateError, Unsupported
from distributor.core.links import is_safe_target, merge_utm, share_url
from distributor.core.message import Content
from distributor.core.minting import Mint, MintedLink, Utm
from distributor.core.planning import HELD, NOT_AS_READ, PlannedEdition
from distributor.core.tally import count
from distributor.pipeline import last_look
from distributor.pipeline.last_look import LastLook
from distributor.pipeline.render import (
    EditionView,
    Job,
    LinkSpec,
    OverflowView,
    PostView,
    Renderer,
    ScheduleView,
    build_context,
)

log = logging.getLogger(__name__)

#: How many other stories "more from this section" names.
MORE_STORIES = 3


class StoredPost(last_look.StoredPost, Protocol):
    """A post as wording needs it."""

    @property
    def revision(self) -> int: ...


class PostStore(Protocol):
    """What wording asks of the posts."""

    def load_posts(self, ids: Sequence[int]) -> Mapping[int, StoredPost]: ...
    def list_section(
        self, section: str, before: datetime, leave_out: Sequence[int], limit: int
    ) -> Sequence[StoredPost]: ...
    def hold_gone(self, gone: Mapping[int, str], now: datetime) -> None: ...


class EditionStore(Protocol):
    """What wording asks of the editions."""

    def freeze(
        self,
        edition_id: int,
        content: Content,
        *,
        list_name: str,
        revisions: dict[int, int],
        links: Sequence[MintedLink],
        now: datetime,
    ) -> int: ...
    def park(self, edition_id: int, state: str, reason: str) -> None: ...
    def leave_out(self, edition_id: int, post_ids: Sequence[int], now: datetime) -> bool: ...


@dataclass(frozen=True)
class Desk:
    """Everything wording needs besides the edition itself. Without a `look` no page is asked for."""

    site: Site
    renderer: Renderer
    posts: PostStore
    editions: EditionStore
    secret: bytes
    look: LastLook | None = None


@dataclass(frozen=True)
class Wording:
    """How one schedule words its editions on its channel: template folders in order, title, campaign marks."""

    channel: Channel
    folders: tuple[str, ...]
    schedule: ScheduleView
    utm: Utm


def freeze_all(
    desk: Desk,
    planned: Sequence[PlannedEdition],
    find_wording: Callable[[PlannedEdition], Wording | None],
    clock: Callable[[], datetime],
) -> list[str]:
    """Word and fix these editions; returns the channels that have something to send.

    Those whose pages have to be asked for come after the others; where a page is said to be gone for the first time
    the edition stays planned.
    """
    woken, later = [], []
    for edition in planned:
        wording = find_wording(edition)
        if wording is None:
            reason = f"the schedule {edition.schedule} is no longer in the configuration"
            desk.editions.park(edition.id, "held", reason)
            continue
        outcome = freeze(desk, edition, wording, clock())
        if outcome == "frozen":
            woken.append(edition.channel)
        elif outcome == "ask":
            later.append((edition, wording))
    if desk.look is not None and later:
        desk.look.ask_all(clock())
        woken += [one.channel for one, words in later if freeze(desk, one, words, clock()) == "frozen"]
    return woken


def freeze(desk: Desk, edition: PlannedEdition, wording: Wording, now: datetime) -> str:
    """Word one planned edition and fix it. Returns "frozen", "parked", "held", "again" (somebody else did it), or
    what `look` says of its pages: "ask" for them first, or "wait".

    A template that fails, or words that cannot fit, park this edition with the reason; the others go on. Stories
    that were withdrawn meanwhile are left out; an edition of nothing else is held, and so is one that would go to
    many more readers than the last one.
    """
    stored = desk.posts.load_posts((*edition.post_ids, *edition.overflow_ids))
    if desk.look is not None:
        looked = desk.look.judge([stored[post_id] for post_id in edition.post_ids], now)
        if looked.step != "go":
            return looked.step
        if looked.gone:
            desk.posts.hold_gone(looked.gone, now)
            stored = desk.posts.load_posts((*edition.post_ids, *edition.overflow_ids))
    withdrawn = [post_id for post_id in edition.post_ids if stored[post_id].status in ("held", "dropped")]
    left = tuple(post_id for post_id in edition.post_ids if post_id not in withdrawn)
    if withdrawn and not left:
        desk.editions.park(edition.id, "held", _say_withdrawn(stored[withdrawn[0]]))
        return "held"
    if withdrawn and not desk.editions.leave_out(edition.id, withdrawn, now):
        return "again"
    return _word_and_fix(desk, replace(edition, post_ids=left), stored, wording, now)


def _say_withdrawn(story: StoredPost) -> str:
    return f"story {story.id} is {story.status}" + (f" ({story.reason})" if story.reason else "")


def _word_and_fix(
    desk: Desk, edition: PlannedEdition, stored: Mapping[int, StoredPost], wording: Wording, now: datetime
) -> str:
    mint = Mint(desk.secret, desk.site.public_url, edition.id)
    views = [PostView(post_id, stored[post_id].post) for post_id in edition.post_ids]
    begun = time.monotonic()
    try:
        content = word(desk, edition, wording, views, make_minter(mint, wording.utm), now)
    except (TemplateError, Unsupported) as error:
        desk.editions.park(edition.id, "parked", str(error))
        return "parked"
    except DistributorError:
        raise
    except Exception as error:  # a channel's bug must not keep the editions behind it from their words for ever
        log.exception("edition %d of %s could not be worded", edition.id, edition.schedule)
        reason = f"the program failed while wording it ({type(error).__name__}: {error}); see the log"
        desk.editions.park(edition.id, "parked", reason)
        return "parked"
    count("wordings", edition.channel)
    count("wording_seconds", edition.channel, by=time.monotonic() - begun)
    revisions = {post_id: stored[post_id].revision for post_id in edition.post_ids}
    audience = desk.editions.freeze(
        edition.id,
        content,
        list_name=wording.channel.list_name,
        revisions=revisions,
        links=tuple(mint.links.values()),
        now=now,
    )
    return {NOT_AS_READ: "again", HELD: "held"}.get(audience, "frozen")


def word(
    desk: Desk,
    edition: PlannedEdition,
    wording: Wording,
    views: Sequence[PostView],
    minter: Callable[[LinkSpec], str],
    now: datetime,
) -> Content:
    """The content of an edition: the same call for a preview and for the send, only the minter differs."""
    view_url = f"{desk.site.public_url.rstrip('/')}/v/{edition.token}"
    context = build_context(
        desk.site,
        wording.channel.name,
        wording.schedule,
        EditionView(edition.due_at, view_url),
        views,
        overflow=_overflow(edition, views),
        more=_more(desk, edition, views, now),
    )
    content = desk.renderer.render(Job(wording.channel, wording.folders, edition.form, context), minter)
    # A retry is byte-identical, so the date of the messages is frozen with their words.
    payload = {**content.payload, "date": format_datetime(now.replace(microsecond=0)), "view_url": view_url}
    return replace(content, payload=payload)


def make_minter(mint: Mint, utm: Utm) -> Callable[[LinkSpec], str]:
    """Links for a real edition. A share button leads over a tracked link to the network's share page, which
    carries a tracked link of its own: so both "pressed share" and "came from that share" are counted."""

    def make(spec: LinkSpec) -> str:
        if not is_safe_target(spec.url):
            raise TemplateError(f"the link of slot {spec.slot!r} is not a web address: {spec.url[:200]!r}")
        if not spec.network:
            is_ours = spec.post_id is not None or spec.slot == "overflow"
            return mint.make(spec.slot, merge_utm(spec.url, utm.own) if is_ours else spec.url, spec.post_id)
        shared = mint.make(f"shared_{spec.network}", merge_utm(spec.url, utm.shared(spec.network)), spec.post_id)
        page = share_url(spec.network, shared, spec.title)
        return mint.make(spec.slot, page, spec.post_id) if is_safe_target(page) and page != shared else page

    return make


def make_preview_minter(public_url: str) -> Callable[[LinkSpec], str]:
    """Links for a preview: as long as real ones, kept nowhere, leading nowhere."""
    address = f"{public_url.rstrip('/')}/l/preview0000"

    def make(spec: LinkSpec) -> str:
        return share_url(spec.network, address, spec.title) if spec.network == "email" else address

    return make


def _overflow(edition: PlannedEdition, views: Sequence[PostView]) -> OverflowView:
    parts = urlsplit(views[0].post.link)
    return OverflowView(len(edition.overflow_ids), f"{parts.scheme}://{parts.netloc}/")


def _more(
    desk: Desk, edition: PlannedEdition, views: Sequence[PostView], now: datetime
) -> dict[str, list[PostView]]:
    told = (*edition.post_ids, *edition.overflow_ids)
    sections = {view.post.section for view in views if view.post.section}
    found = {name: desk.posts.list_section(name, now, told, MORE_STORIES) for name in sorted(sections)}
    return {name: [PostView(row.id, row.post) for row in rows] for name, rows in found.items() if rows}
