"""The words a template may use, as plain data. `templates/README.md` tells template authors the same.

    site         name, home (tracked), url, language, dir (ltr | rtl), timezone,
                 follow: [{network, label, url, link}]
    channel      name
    schedule     name, title
    edition      date, view_url, subject_hint
    posts        [post], and `post` for the first of them
      post       id, headline, byline, summary, body_html, section, tags, language, dir, published, updated,
                 is_updated, url, canonical_url, source, image (none or url, alt, width, height),
                 link, share: {x, telegram, whatsapp, facebook, linkedin, email, copy}
    sections     the posts grouped: [{name, posts, more}]
    more         other recent stories of the first post's section: [{headline, link, published}]
    overflow     count, url, link: what had no room in this edition
    recipient    name, address; and unsubscribe_url: filled in for each reader
    words        the fixed words of the site's language

Dates are ISO 8601 text in UTC, "" where unknown. Every word is always there, so a template's typing error
is an error and never an empty line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

from distributor.core.contracts import Site
from distributor.core.errors import TemplateError
from distributor.core.links import SHARE_NETWORKS, is_safe_target
from distributor.core.message import make_slot
from distributor.core.post import Image, Post
from distributor.core.text_clean import strip_controls
from distributor.pipeline.render_links import LinkSpec, mark_link

_RIGHT_TO_LEFT = frozenset(
    ("ar", "arc", "ckb", "dv", "fa", "he", "iw", "ks", "nqo", "ps", "sd", "syr", "ug", "ur", "yi")
)
_NETWORK_LABELS = {
    "google_news": "Google News",
    "rss": "RSS",
    "telegram": "Telegram",
    "x": "X",
    "whatsapp": "WhatsApp",
    "facebook": "Facebook",
    "linkedin": "LinkedIn",
    "instagram": "Instagram",
    "youtube": "YouTube",
    "tiktok": "TikTok",
    "threads": "Threads",
    "mastodon": "Mastodon",
    "bluesky": "Bluesky",
}
#: A change within a minute of publication is the same click in most newsrooms' systems.
_UPDATED_AFTER_SECONDS = 60

Words = dict[str, Any]


@dataclass(frozen=True)
class PostView:
    """A post with the id that its links are counted under."""

    id: int
    post: Post


@dataclass(frozen=True)
class ScheduleView:
    """A schedule as readers may see it: `title` is what an editor calls the edition ("Morning briefing")."""

    name: str
    title: str = ""


@dataclass(frozen=True)
class EditionView:
    """What is known of an edition before it has words. `subject_hint` is an editor's own subject, if any."""

    date: datetime
    view_url: str = ""
    subject_hint: str = ""


@dataclass(frozen=True)
class OverflowView:
    """Stories that had no room: how many, and the page of the site where they are."""

    count: int = 0
    url: str = ""


def build_context(
    site: Site,
    channel_name: str,
    schedule: ScheduleView,
    edition: EditionView,
    posts: Sequence[PostView],
    *,
    overflow: OverflowView | None = None,
    more: Mapping[str, Sequence[PostView]] | None = None,
) -> Words:
    """Everything a template may say, as JSON-able data. Pure.

    `more` holds other recent stories by section name. Raises ValueError when there is no post, TemplateError
    when a story has no address that a reader can be sent to.
    """
    if not posts:
        raise ValueError("an edition has at least one post")
    more_words = {strip_controls(name): _list_more(views) for name, views in (more or {}).items()}
    post_words = [_post_words(view, site) for view in posts]
    return {
        "site": _site_words(site) | {"home": mark_link(LinkSpec("home", _find_home(posts[0].post)))},
        "channel": {"name": channel_name},
        "schedule": {"name": schedule.name, "title": schedule.title},
        "edition": {
            "date": _moment(edition.date),
            "view_url": edition.view_url,
            "subject_hint": strip_controls(edition.subject_hint),
        },
        "post": post_words[0],
        "posts": post_words,
        "sections": _group_by_section(post_words, more_words),
        "more": more_words.get(post_words[0]["section"], []),
        "overflow": _overflow_words(overflow or OverflowView()),
        "recipient": {"name": make_slot("name"), "address": make_slot("address")},
        "unsubscribe_url": make_slot("unsubscribe_url"),
    }


def build_page_context(site: Site, home: str = "", **words: Any) -> Words:
    """What a page of `templates/pages/` may say: `site`, whose `home` leads to the newsroom's own pages or is
    "", and the page's own words, named at the top of its template."""
    return {"site": _site_words(site) | {"home": home if is_safe_target(home) else ""}, **words}


def find_direction(language: str) -> str:
    """ "rtl" for languages written from right to left, else "ltr"."""
    parts = language.lower().replace("_", "-").split("-")
    if "arab" in parts[1:] or "hebr" in parts[1:]:
        return "rtl"
    return "rtl" if parts[0] in _RIGHT_TO_LEFT and "latn" not in parts[1:] else "ltr"


def _site_words(site: Site) -> Words:
    return {
        "name": strip_controls(site.name),
        "url": site.public_url,
        "language": site.language,
        "dir": find_direction(site.language),
        "timezone": site.timezone,
        "follow": [_follow_words(network, url) for network, url in site.follow.items() if is_safe_target(url)],
    }


def _find_home(post: Post) -> str:
    """Where the newsroom is: the front page of the site that the story stands on."""
    return urljoin(post.link, "/")


def _follow_words(network: str, url: str) -> Words:
    slot = "follow_" + "".join(char if char.isalnum() and char.isascii() else "_" for char in network.lower())
    label = _NETWORK_LABELS.get(network.lower(), network.replace("_", " ").title())
    return {"network": network, "label": label, "url": url, "link": mark_link(LinkSpec(slot[:40], url))}


def _post_words(view: PostView, site: Site) -> Words:
    post = view.post
    if not is_safe_target(post.link):
        raise TemplateError(f"the story {post.headline[:80]!r} has no web address to link to")
    language = post.language or site.language
    return {
        "id": view.id,
        "headline": strip_controls(post.headline),
        "byline": strip_controls(post.printed_byline),
        "summary": strip_controls(post.summary),
        "body_html": strip_controls(post.body_html),
        "section": strip_controls(post.section),
        "tags": [strip_controls(tag) for tag in post.tags],
        "language": language,
        "dir": find_direction(language),
        "published": _moment(post.published_at),
        "updated": _moment(post.updated_at),
        "is_updated": _is_updated(post),
        "url": post.url,
        "canonical_url": post.link,
        "source": post.source,
        "image": _image_words(post.image),
        "link": mark_link(LinkSpec("article", post.link, view.id)),
        "share": {network: mark_link(_share_spec(network, view)) for network in SHARE_NETWORKS},
    }


def _share_spec(network: str, view: PostView) -> LinkSpec:
    title = strip_controls(view.post.headline)
    return LinkSpec(f"share_{network}", view.post.link, view.id, network, title)


def _list_more(views: Sequence[PostView]) -> list[Words]:
    return [_more_words(view) for view in views if is_safe_target(view.post.link)]


def _more_words(view: PostView) -> Words:
    return {
        "headline": strip_controls(view.post.headline),
        "published": _moment(view.post.published_at),
        "link": mark_link(LinkSpec("more", view.post.link, view.id)),
    }


def _overflow_words(overflow: OverflowView) -> Words:
    link = mark_link(LinkSpec("overflow", overflow.url)) if is_safe_target(overflow.url) else ""
    return {"count": overflow.count, "url": overflow.url, "link": link}


def _image_words(image: Image | None) -> Words | None:
    if image is None or not is_safe_target(image.url):
        return None
    return {"url": image.url, "alt": strip_controls(image.alt), "width": image.width, "height": image.height}


def _group_by_section(posts: Sequence[Words], more: Mapping[str, list[Words]]) -> list[Words]:
    """Sections in the order of their first story; stories without one keep together."""
    groups: dict[str, list[Words]] = {}
    for post in posts:
        groups.setdefault(post["section"], []).append(post)
    return [{"name": name, "posts": group, "more": more.get(name, [])} for name, group in groups.items()]


def _is_updated(post: Post) -> bool:
    if post.updated_at is None or post.published_at is None:
        return False
    return (post.updated_at - post.published_at).total_seconds() >= _UPDATED_AFTER_SECONDS


def _moment(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat() if moment else ""
