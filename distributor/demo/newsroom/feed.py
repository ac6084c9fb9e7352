"""The newsroom's RSS feed: thin, as many are. Bylines, pictures and tags stand on the article pages only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime
from xml.sax.saxutils import escape

from distributor.demo.newsroom.paper import FEED_LENGTH, Article
from distributor.demo.newsroom.stories import PAPER, TOWN

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel>
<title>{title}</title>
<link>{url}/</link>
<description>{about}</description>
<lastBuildDate>{changed}</lastBuildDate>
"""
_ITEM = """<item>
<title>{headline}</title>
<link>{link}</link>
<guid isPermaLink="false">{guid}</guid>
<pubDate>{published}</pubDate>
<category>{section}</category>
<dc:language>{language}</dc:language>
<description>{summary}</description>
</item>
"""


def find_last_change(articles: Sequence[Article]) -> datetime:
    return max(article.updated_at for article in articles)


def write_feed(articles: Sequence[Article], url: str) -> bytes:
    """RSS 2.0 of the newest articles; the same bytes until one is added or corrected."""
    changed = format_datetime(find_last_change(articles), usegmt=True)
    head = _HEAD.format(title=PAPER, url=url, about=f"News from {TOWN}", changed=changed)
    items = [_write_item(article, url) for article in articles[:FEED_LENGTH]]
    return f"{head}{''.join(items)}</channel>\n</rss>\n".encode()


def _write_item(article: Article, url: str) -> str:
    story = article.story
    return _ITEM.format(
        headline=escape(story.headline),
        link=url + article.path,
        guid=f"gazette-{story.slug}",
        published=format_datetime(article.published_at, usegmt=True),
        section=escape(story.section),
        language=story.language,
        summary=escape(story.summary),
    )
