"""The sample newsroom on a port of its own: pages, pictures and the feed that the product polls."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from html import escape
from pathlib import Path

from distributor.demo.newsroom.feed import find_last_change, write_feed
from distributor.demo.newsroom.pages import SECTIONS, write_article, write_front, write_section
from distributor.demo.newsroom.paper import Newsroom
from distributor.demo.newsroom.pictures import draw
from distributor.demo.web import Request, Response, WebSite, not_found

_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    '<rect width="32" height="32" rx="6" fill="#0f4a4f"/>'
    '<path d="M15 6v14H7zM17 9v11h7z" fill="#fff7d9"/><path d="M5 22h22l-4 5H9z" fill="#fff7d9"/></svg>'
)


class NewsroomSite(WebSite):
    """`now` gives local time. `report_url` is where a visitor can see their own click counted."""

    def __init__(self, newsroom: Newsroom, now: Callable[[], datetime], port: int = 0) -> None:
        super().__init__(self._answer, port)
        self.newsroom = newsroom
        self.report_url = ""
        self._now = now
        self._polled = threading.Event()
        self._draw_lock = threading.Lock()

    @property
    def feed_url(self) -> str:
        return f"{self.url}/feed.xml"

    @property
    def is_known(self) -> bool:
        """Whether the product has stored what was in the feed: it came back with the validators of a first look."""
        return self._polled.is_set()

    def _answer(self, request: Request) -> Response:
        path, articles = request.path, self.newsroom.articles
        if path == "/":
            return Response(write_front(articles, self._now()).encode())
        if path == "/feed.xml":
            return self._answer_feed(request)
        if path.startswith("/pictures/"):
            return self._answer_picture(path.removeprefix("/pictures/").removesuffix(".png"))
        if path.startswith("/section/"):
            name = path.removeprefix("/section/")
            if name in SECTIONS or any(article.story.section == name for article in articles):
                return Response(write_section(name, articles, self._now()).encode())
        if path == "/newsroom.css":
            return Response(Path(__file__).with_name("newsroom.css").read_bytes(), "text/css; charset=utf-8")
        if path == "/icon.svg":
            return Response(_ICON.encode(), "image/svg+xml")
        return self._answer_article(request)

    def _answer_article(self, request: Request) -> Response:
        article = self.newsroom.find(request.path)
        if article is None:
            return not_found("There is no such story in the Gazette.")
        strip = self._welcome(request)
        return Response(write_article(article, self.newsroom.articles, self.url, self._now(), strip).encode())

    def _welcome(self, request: Request) -> str:
        """For who came by a counted link: what the link said about the way here."""
        marks = [
            f"{name[4:]} <b>{escape(value)}</b>" for name, value in request.query.items() if name[:4] == "utm_"
        ]
        if not marks or not self.report_url:
            return ""
        report = f'<a href="{escape(self.report_url)}">See it in the click report</a>'
        return f'<p class="strip">You came by a counted link: {", ".join(marks)}. {report}</p>'

    def _answer_feed(self, request: Request) -> Response:
        if request.is_conditional:
            self._polled.set()
        articles = self.newsroom.articles
        body, changed = write_feed(articles, self.url), find_last_change(articles)
        return Response(body, "application/rss+xml; charset=utf-8", changed_at=changed)

    def _answer_picture(self, slug: str) -> Response:
        article = next((one for one in self.newsroom.articles if one.story.slug == slug), None)
        if article is None or article.story.picture is None:
            return not_found("There is no such picture.")
        with self._draw_lock:
            return Response(
                draw(slug, article.story.picture), "image/png", headers={"Cache-Control": "max-age=3600"}
            )
