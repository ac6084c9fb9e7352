"""The demo's own pages on one port: looks at the stage, presses the newsroom's buttons."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from distributor.core.errors import DistributorError
from distributor.core.reporting import GroupBy
from distributor.demo.board import Snapshot, make_board
from distributor.demo.cards import Cards
from distributor.demo.pages.frame import Places, write_page
from distributor.demo.pages.inside import write_inside
from distributor.demo.pages.mailbox import BOXES, VIEWS, write_letter, write_letter_page, write_mailbox
from distributor.demo.pages.numbers import write_numbers
from distributor.demo.pages.overview import Overview, write_overview
from distributor.demo.pages.telegram import write_telegram
from distributor.demo.pages.x import write_timeline
from distributor.demo.product import name_program
from distributor.demo.readings import Readings
from distributor.demo.stage import ACCOUNT, CHAT, Stage
from distributor.demo.visits import TELEGRAM_BOT, X_BOT
from distributor.demo.waiting import Stalled
from distributor.demo.web import Request, Response, WebSite, not_found, redirect

_STARTING = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>distributor demo</title>
<meta http-equiv="refresh" content="1"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><link rel="stylesheet" href="/look.css"></head><body>
<header class="bar"><a class="mark" href="/">distributor <span>demo</span></a></header>
<main><p class="empty">The newsroom and the product are starting. This takes a few seconds.</p></main></body></html>
"""
_FILES = {"/look.css": "text/css; charset=utf-8", "/live.js": "text/javascript; charset=utf-8"}


class DemoSite(WebSite):
    """Shows "starting" until `open` is called with what there is to see."""

    def __init__(self, port: int) -> None:
        super().__init__(self._answer, port)
        self.stage: Stage | None = None
        #: When the next story comes by itself.
        self.next_story: datetime | None = None
        #: `time.monotonic` of the last look that somebody took.
        self.looked_at = time.monotonic()
        self.telegram_cards = Cards(TELEGRAM_BOT)
        self.x_cards = Cards(X_BOT)
        self._readings: Readings | None = None
        self._lock = threading.Lock()
        self._last = (0.0, Snapshot())

    def open(self, stage: Stage, readings: Readings) -> None:
        self._readings = readings
        self.stage = stage

    def _answer(self, request: Request) -> Response:
        self.looked_at = time.monotonic()
        if request.path in _FILES:
            return Response(Path(__file__).with_name(request.path[1:]).read_bytes(), _FILES[request.path])
        if self.stage is None:
            return Response(_STARTING)
        if request.method == "POST":
            return self._press(self.stage, request.path)
        pages: dict[str, Callable[[Stage, Request], str]] = {
            "/": self._show_overview,
            "/mailbox": self._show_mailbox,
            "/telegram": lambda stage, _: write_telegram(stage.telegram.posts, CHAT, self.telegram_cards),
            "/x": lambda stage, _: write_timeline(stage.x.seen, ACCOUNT, self.x_cards),
            "/numbers": self._show_numbers,
            "/inside": self._show_inside,
        }
        if request.path.startswith("/mailbox/"):
            return self._show_letter(self.stage, request)
        if request.path not in pages:
            return not_found()
        return self._frame(self.stage, request.path, pages[request.path](self.stage, request))

    def _frame(self, stage: Stage, path: str, body: str, *, live: bool = True) -> Response:
        places = Places(stage.site.url, stage.product.url)
        title = path.strip("/").partition("/")[0].capitalize() or "Overview"
        page = write_page(title, path, body, places, alarm=_find_alarm(stage), live=live)
        return Response(page, headers=_guard(stage))

    def _press(self, stage: Stage, path: str) -> Response:
        actions = {
            "/publish": stage.newsroom.publish,
            "/breaking": stage.newsroom.publish_breaking,
            "/correct": stage.newsroom.correct,
        }
        if path not in actions:
            return not_found()
        actions[path]()
        return redirect("/")

    def _show_overview(self, stage: Stage, request: Request) -> str:
        snapshot, now = self._look(), datetime.now(UTC)
        mails = stage.mails
        view = Overview(
            board=make_board(stage.newsroom.articles, stage.site.url, snapshot, now),
            can_break=stage.newsroom.can_break,
            can_correct=stage.newsroom.can_correct,
            next_story=self.next_story,
            mails=len(mails),
            mailboxes=len({mail.recipient for mail in mails}),
            posts=len(stage.telegram.posts),
            tweets=len(stage.x.seen),
            people=sum(link.human for link in snapshot.links),
        )
        return write_overview(view, Places(stage.site.url, stage.product.url))

    def _show_mailbox(self, stage: Stage, request: Request) -> str:
        chosen = request.query.get("reader", "")
        return write_mailbox(stage.mails, chosen if chosen in BOXES else BOXES[0])

    def _show_letter(self, stage: Stage, request: Request) -> Response:
        number, _, rest = request.path.removeprefix("/mailbox/").partition("/")
        mails = stage.mails
        if not (number.isascii() and number.isdigit() and int(number) < len(mails)) or rest not in ("", "page"):
            return not_found("There is no such letter.")
        if rest:
            return Response(write_letter_page(mails[int(number)]), headers=_guard_letter(stage))
        view = request.query.get("as", "")
        body = write_letter(mails, int(number), view if view in VIEWS else "letter")
        return self._frame(stage, "/mailbox/letter", body, live=False)

    def _show_numbers(self, stage: Stage, request: Request) -> str:
        assert self._readings is not None
        names: tuple[GroupBy, ...] = ("channel", "slot", "post")
        clicks = {name: self._readings.clicks(name) for name in names}
        command = f"{name_program()} report --by slot --config {stage.product.config}"
        return write_numbers(clicks, self._look().deliveries, command)

    def _show_inside(self, stage: Stage, request: Request) -> str:
        program, config = name_program(), stage.product.config
        commands = (
            ("what went out, edition by edition", f"{program} editions --config {config}"),
            ("what became of each message", f"{program} deliveries --config {config}"),
            ("whether anything needs a person", f"{program} status --config {config}"),
            ("the newest story as X would get it", f"{program} preview x --config {config}"),
            (
                "stop a channel, and open it again with resume",
                f"{program} pause telegram --reason fog --config {config}",
            ),
        )
        return write_inside(config.read_text(encoding="utf-8"), stage.product.read_log(60), commands)

    def _look(self) -> Snapshot:
        """What the product knows, at most half a second old; what it knew before while its database is busy."""
        assert self._readings is not None
        with self._lock:
            at, snapshot = self._last
            if time.monotonic() - at > 0.5:
                try:
                    snapshot = self._readings.take_snapshot()
                except DistributorError:
                    return snapshot
                self._last = (time.monotonic(), snapshot)
            return snapshot


def _find_alarm(stage: Stage) -> str:
    try:
        stage.product.check()
    except Stalled as error:
        return str(error)
    return ""


def _guard(stage: Stage) -> dict[str, str]:
    policy = (
        f"default-src 'none'; img-src {stage.site.url}; style-src 'self'; script-src 'self'; connect-src 'self'; "
        f"frame-src 'self'; form-action 'self' {stage.product.url}; base-uri 'none'; frame-ancestors 'none'"
    )
    return {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}


def _guard_letter(stage: Stage) -> dict[str, str]:
    """A letter is a stranger's HTML: it may show its own style and the newsroom's pictures, and run nothing."""
    policy = f"default-src 'none'; img-src {stage.site.url}; style-src 'unsafe-inline'; frame-ancestors 'self'"
    return {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}
