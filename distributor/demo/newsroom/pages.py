"""The newsroom's pages as HTML: front page, sections, articles with all that machines read from them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape

from distributor.demo.newsroom.paper import Article
from distributor.demo.newsroom.pictures import HEIGHT, WIDTH
from distributor.demo.newsroom.stories import PAPER, TOWN

#: Sections of the navigation, in order; others appear when they have a story.
SECTIONS = ("City", "Harbour", "Culture", "Sport", "Science", "Weather")
_RIGHT_TO_LEFT = frozenset({"ar", "he", "fa"})


def section_path(name: str) -> str:
    return f"/section/{name}"


def picture_path(article: Article) -> str:
    return f"/pictures/{article.story.slug}.png"


def write_front(articles: Sequence[Article], now: datetime) -> str:
    """The newest story large, the rest in a grid; breaking news above everything."""
    lead = next((article for article in articles if article.story.is_breaking), articles[0])
    others = [article for article in articles if article is not lead]
    cards = "".join(_write_card(article) for article in others[:12])
    older = "".join(f"<li>{_write_line(article)}</li>" for article in others[12:40])
    tail = f'<section class="older"><h2>Earlier</h2><ul>{older}</ul></section>' if older else ""
    return _write_page(PAPER, f"{_write_lead(lead)}<div class=grid>{cards}</div>{tail}", articles, now)


def write_section(name: str, articles: Sequence[Article], now: datetime) -> str:
    found = [article for article in articles if article.story.section == name]
    cards = "".join(_write_card(article) for article in found) or "<p>Nothing yet.</p>"
    body = f'<h1 class="section" dir="auto">{escape(name)}</h1><div class=grid>{cards}</div>'
    return _write_page(f"{name} · {PAPER}", body, articles, now)


def write_article(article: Article, articles: Sequence[Article], url: str, now: datetime, strip: str = "") -> str:
    """An article's page. `strip` is HTML for above the masthead."""
    story = article.story
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in story.paragraphs)
    note = f'<aside class="note"><b>Correction.</b> {escape(article.note)}</aside>' if article.note else ""
    tags = "".join(f"<li>{escape(tag)}</li>" for tag in story.tags)
    body = f"""<article lang="{story.language}" dir="{_direction(article)}">
<a class="kicker" href="{escape(section_path(story.section))}">{escape(story.section)}</a>
<h1>{escape(story.headline)}</h1>
<p class="standfirst">{escape(story.summary)}</p>
<p class="meta"><span class="byline">{escape(story.byline)}</span> {_write_times(article)}</p>
{_write_figure(article)}
<div class="text">{note}{paragraphs}</div>
<ul class="tags">{tags}</ul>
</article>{_write_more(article, articles)}"""
    head = _write_facts(article, url)
    return _write_page(f"{story.headline} · {PAPER}", body, articles, now, head, strip, story.section)


def _write_page(
    title: str,
    body: str,
    articles: Sequence[Article],
    now: datetime,
    head: str = "",
    strip: str = "",
    section: str = "",
) -> str:
    names = [*SECTIONS, *dict.fromkeys(a.story.section for a in articles if a.story.section not in SECTIONS)]
    links = "".join(
        f'<a href="{escape(section_path(name))}"{" class=here" if name == section else ""}>{escape(name)}</a>'
        for name in names
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="alternate" type="application/rss+xml" title="{PAPER}" href="/feed.xml">
<link rel="icon" href="/icon.svg"><link rel="stylesheet" href="/newsroom.css">
{head}</head><body>{strip}
<header><p class="date">{TOWN}, {now:%A} {now.day} {now:%B %Y}</p><a class="name" href="/">{PAPER}</a>
<nav>{links}</nav></header>
<main>{body}</main>
<footer>A sample newsroom of an invented town, written for the demo of distributor. Nothing here has happened.
<a href="/feed.xml">RSS</a></footer></body></html>
"""


def _write_lead(article: Article) -> str:
    story = article.story
    label = "Breaking" if story.is_breaking else story.section
    picture = f'<a class="shot" href="{article.path}">{_write_image(article)}</a>' if story.picture else ""
    kind = " breaking" if story.is_breaking else ""
    return f"""<section class="lead{kind}" lang="{story.language}" dir="{_direction(article)}">{picture}<div>
<span class="kicker">{escape(label)}</span><h2><a href="{article.path}">{escape(story.headline)}</a></h2>
<p>{escape(story.summary)}</p>
<p class="meta">{escape(story.byline)} · {_write_times(article)}</p></div></section>"""


def _write_card(article: Article) -> str:
    story = article.story
    picture = f'<a class="shot" href="{article.path}">{_write_image(article)}</a>' if story.picture else ""
    return f"""<section class="card" lang="{story.language}" dir="{_direction(article)}">{picture}
<span class="kicker">{escape(story.section)}</span><h3><a href="{article.path}">{escape(story.headline)}</a></h3>
<p>{escape(story.summary)}</p><p class="meta">{_write_times(article)}</p></section>"""


def _write_line(article: Article) -> str:
    return f'<a href="{article.path}" dir="auto">{escape(article.story.headline)}</a>'


def _write_more(article: Article, articles: Sequence[Article]) -> str:
    found = [a for a in articles if a.story.section == article.story.section and a.path != article.path][:4]
    if not found:
        return ""
    lines = "".join(f"<li>{_write_line(one)}</li>" for one in found)
    return f'<section class="older"><h2>More from {escape(article.story.section)}</h2><ul>{lines}</ul></section>'


def _write_image(article: Article) -> str:
    assert article.story.picture
    alt = escape(article.story.picture.alt)
    return f'<img src="{picture_path(article)}" alt="{alt}" width="{WIDTH}" height="{HEIGHT}" loading="lazy">'


def _write_figure(article: Article) -> str:
    return f"<figure>{_write_image(article)}</figure>" if article.story.picture else ""


def _write_times(article: Article) -> str:
    shown = _write_time(article.published_at, "published")
    if article.is_corrected:
        shown += f" · updated {_write_time(article.updated_at, 'updated')}"
    return shown


def _write_time(at: datetime, kind: str) -> str:
    local = at.astimezone()
    return (
        f'<time dir="ltr" class="{kind}" datetime="{at.isoformat()}">{local.day} {local:%b}, {local:%H:%M}</time>'
    )


def _direction(article: Article) -> str:
    return "rtl" if article.story.language in _RIGHT_TO_LEFT else "ltr"


def _write_facts(article: Article, url: str) -> str:
    """What machines read: canonical address, og, JSON-LD."""
    story = article.story
    metas: dict[str, str] = {
        "og:type": "article",
        "og:site_name": PAPER,
        "og:title": story.headline,
        "og:description": story.summary,
        "og:url": url + article.path,
        "article:published_time": article.published_at.isoformat(),
        "article:section": story.section,
    }
    if article.is_corrected:
        metas["article:modified_time"] = article.updated_at.isoformat()
    if story.picture:
        metas |= {
            "og:image": url + picture_path(article),
            "og:image:alt": story.picture.alt,
            "og:image:width": str(WIDTH),
            "og:image:height": str(HEIGHT),
        }
    lines = [f'<meta property="{name}" content="{escape(value)}">' for name, value in metas.items()]
    facts = json.dumps(_describe(article, url), ensure_ascii=False).replace("<", "\\u003c")
    return "\n".join(
        [
            f'<link rel="canonical" href="{url}{article.path}">',
            f'<meta name="description" content="{escape(story.summary)}">',
            *lines,
            f'<script type="application/ld+json">{facts}</script>\n',
        ]
    )


def _describe(article: Article, url: str) -> Mapping[str, object]:
    story = article.story
    facts: dict[str, object] = {
        "@context": "https://schema.org",
        "@type": "NewsArticle",
        "mainEntityOfPage": url + article.path,
        "headline": story.headline,
        "description": story.summary,
        "inLanguage": story.language,
        "articleSection": story.section,
        "keywords": list(story.tags),
        "author": {"@type": "Organization", "name": story.byline},
        "publisher": {"@type": "Organization", "name": PAPER},
        "datePublished": article.published_at.isoformat(),
        "dateModified": article.updated_at.isoformat(),
    }
    if story.picture:
        address = url + picture_path(article)
        facts["image"] = {"@type": "ImageObject", "url": address, "width": WIDTH, "height": HEIGHT}
    return facts
