"""What the sandbox's news site serves, in the shapes that WordPress has (facts/api-facts.md 5.3)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from xml.sax.saxutils import escape, quoteattr


@dataclass(frozen=True)
class Story:
    """One story of the site. `guid` is the site's own ?p= address unless it is given."""

    slug: str
    headline: str
    summary: str = ""
    body_html: str = ""
    byline: str = ""
    section: str = ""
    tags: tuple[str, ...] = ()
    image: str = ""
    published_at: datetime | None = None
    updated_at: datetime | None = None
    guid: str = ""
    id: int = 0

    @property
    def path(self) -> str:
        return f"/news/{self.slug}/"

    def guid_at(self, site: str) -> str:
        return self.guid or f"{site}/?p={self.id}"

    @property
    def times(self) -> tuple[datetime, datetime]:
        published = self.published_at or datetime(2026, 1, 1, tzinfo=UTC)
        return published.astimezone(UTC), (self.updated_at or published).astimezone(UTC)


def rss(title: str, site: str, stories: Sequence[Story]) -> tuple[bytes, str]:
    """RSS 2.0 as WordPress writes it: no modified date."""
    items = "".join(_rss_item(site, story) for story in stories)
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:media="http://search.yahoo.com/mrss/">'
        f"<channel><title>{escape(title)}</title><link>{site}/</link><language>en</language>{items}</channel></rss>"
    )
    return text.encode(), "application/rss+xml; charset=UTF-8"


def _rss_item(site: str, story: Story) -> str:
    parts = [
        f"<title>{escape(story.headline)}</title><link>{site}{story.path}</link>",
        f'<guid isPermaLink="false">{escape(story.guid_at(site))}</guid>',
        f"<pubDate>{format_datetime(story.times[0])}</pubDate>",
        f"<dc:creator>{escape(story.byline)}</dc:creator>" if story.byline else "",
        *(f"<category>{escape(name)}</category>" for name in (story.section, *story.tags) if name),
        f"<description>{escape(story.summary)}</description>" if story.summary else "",
        f"<content:encoded><![CDATA[{story.body_html}]]></content:encoded>" if story.body_html else "",
        f'<media:content url={quoteattr(story.image)} medium="image"/>' if story.image else "",
    ]
    return f"<item>{''.join(parts)}</item>"


def atom(title: str, site: str, stories: Sequence[Story]) -> tuple[bytes, str]:
    """Atom 1.0, which tells the modification time."""
    entries = "".join(
        f"<entry><id>{escape(story.guid_at(site))}</id><title type='html'>{escape(escape(story.headline))}</title>"
        f"<link rel='alternate' href='{site}{story.path}'/><published>{_iso(story.times[0])}</published>"
        f"<updated>{_iso(story.times[1])}</updated><summary>{escape(story.summary)}</summary>"
        f"<content type='html'>{escape(story.body_html)}</content></entry>"
        for story in stories
    )
    text = (
        f"<feed xmlns='http://www.w3.org/2005/Atom'><title>{escape(title)}</title><id>{site}/</id>{entries}</feed>"
    )
    return text.encode(), "application/atom+xml; charset=UTF-8"


def json_feed(title: str, site: str, stories: Sequence[Story]) -> tuple[bytes, str]:
    """JSON Feed 1.1."""
    items = [
        {
            "id": story.guid_at(site),
            "url": site + story.path,
            "title": story.headline,
            "summary": story.summary,
            "content_html": story.body_html or story.summary,
            "date_published": _iso(story.times[0]),
            "date_modified": _iso(story.times[1]),
            "authors": [{"name": story.byline}] if story.byline else [],
            "tags": [name for name in (story.section, *story.tags) if name],
            **({"image": story.image} if story.image else {}),
        }
        for story in stories
    ]
    feed = {"version": "https://jsonfeed.org/version/1.1", "title": title, "items": items}
    return json.dumps(feed).encode(), "application/feed+json"


def home(title: str, stories: Sequence[Story]) -> bytes:
    links = "".join(f"<li><a href='{story.path}'>{escape(story.headline)}</a>" for story in stories)
    return f"<!doctype html><html lang=en><title>{escape(title)}</title><ul>{links}</ul></html>".encode()


def article(site: str, story: Story) -> bytes:
    """A page with JSON-LD, og and canonical, as common SEO plugins write them."""
    published, updated = story.times
    linked = {
        "@context": "https://schema.org",
        "@type": "NewsArticle",
        "headline": story.headline,
        "datePublished": _iso(published),
        "dateModified": _iso(updated),
        "articleSection": story.section,
        "author": {"@type": "Person", "name": story.byline},
        "keywords": ",".join(story.tags),
    }
    data = json.dumps(linked).replace("</", "<\\/")
    image = f'<meta property="og:image" content={quoteattr(story.image)}>' if story.image else ""
    head = (
        f'<meta charset="utf-8"><title>{escape(story.headline)}</title>{image}'
        f'<link rel="canonical" href="{site}{story.path}">'
        f'<meta property="og:description" content={quoteattr(story.summary)}>'
        f'<script type="application/ld+json">{data}</script>'
    )
    body = f"<article><h1>{escape(story.headline)}</h1>{story.body_html}</article>"
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'.encode()


def rest(
    route: str, query: Mapping[str, str], site: str, stories: Sequence[Story]
) -> tuple[int, bytes, dict[str, str]]:
    """The part of the REST API that sources ask: its root and /wp/v2/posts by modification."""
    if route in ("", "/"):
        return 200, json.dumps({"name": "Sandbox", "namespaces": ["oembed/1.0", "wp/v2"]}).encode(), {}
    if route.strip("/") != "wp/v2/posts":
        return 404, b'{"code":"rest_no_route","message":"No route was found"}', {}
    after = query.get("modified_after")
    since = datetime.fromisoformat(after) if after else datetime.min.replace(tzinfo=UTC) + timedelta(days=1)
    found = sorted((story for story in stories if story.times[1] > since), key=lambda story: story.times[1])
    if query.get("order", "desc") == "desc":
        found.reverse()
    size, page = int(query.get("per_page", "10")), int(query.get("page", "1"))
    count = max(1, -(-len(found) // size))
    if page > count:
        return 400, b'{"code":"rest_post_invalid_page_number","message":"too far"}', {}
    shown = [_rest_post(site, story) for story in found[(page - 1) * size : page * size]]
    return 200, json.dumps(shown).encode(), {"X-WP-Total": str(len(found)), "X-WP-TotalPages": str(count)}


def _rest_post(site: str, story: Story) -> dict[str, Any]:
    published, updated = story.times
    terms = [
        [{"taxonomy": "category", "name": escape(story.section)}] if story.section else [],
        [{"taxonomy": "post_tag", "name": escape(tag)} for tag in story.tags],
    ]
    return {
        "id": story.id,
        "date_gmt": f"{published:%Y-%m-%dT%H:%M:%S}",
        "modified_gmt": f"{updated:%Y-%m-%dT%H:%M:%S}",
        "slug": story.slug,
        "status": "publish",
        "link": site + story.path,
        "guid": {"rendered": story.guid_at(site)},
        "title": {"rendered": escape(story.headline)},
        "excerpt": {"rendered": f"<p>{escape(story.summary)}</p>", "protected": False},
        "content": {"rendered": story.body_html, "protected": False},
        "_embedded": {
            "author": [{"name": story.byline}] if story.byline else [],
            "wp:featuredmedia": [{"source_url": story.image, "alt_text": ""}] if story.image else [],
            "wp:term": terms,
        },
    }


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
