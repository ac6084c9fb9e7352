"""What stands behind the links of a letter: leaving the list, and the letter in the browser.

A GET never changes anything: scanners of mail providers follow every link (facts/reliability.md rows 13 and 14).
"""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from distributor.core.errors import DistributorError, StorageError
from distributor.core.tokens import read_unsubscribe
from distributor.pipeline.render_context import build_page_context
from distributor.web.answers import CSP_LETTER, make_bare_page, make_page, not_found, read_body, try_later
from distributor.web.parts import WebParts

log = logging.getLogger(__name__)

#: How long a rendered page is used again; all readers of a list get the same one.
PAGE_LIFE = timedelta(seconds=30)
_WORDS = {
    "ask": ("Unsubscribe", "Do you no longer want to get these letters?", "Unsubscribe"),
    "done": ("You are unsubscribed", "You will get no more letters of this kind.", ""),
    "invalid": ("This link does not work", "It is incomplete. Please use the link in the latest letter.", ""),
}


class Letters:
    """Endpoints for /u/{token} and /v/{token}."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        self._pages: dict[tuple[str, str], tuple[datetime, str]] = {}

    async def unsubscribe(self, request: Request) -> Response:
        """GET shows a button, POST acts: from the button, or from a mail program (RFC 8058) with any body."""
        token = str(request.path_params["token"])
        if request.method != "POST":
            return await run_in_threadpool(self._ask, token)
        # Read to its end, so that the answer can be read too; what it says does not matter.
        await read_body(request)
        return await run_in_threadpool(self._leave, token)

    def view(self, request: Request) -> Response:
        """The letter as a web page, without anything personal."""
        try:
            markup = self._parts.view(str(request.path_params["token"]))
        except StorageError as error:
            log.warning("a letter cannot be shown: %s", error)
            return try_later()
        return make_page(markup, csp=CSP_LETTER) if markup else not_found()

    def _ask(self, token: str) -> Response:
        found = read_unsubscribe(self._parts.stores.secret, token)
        if found is None:
            return make_page(self._page("invalid", ""), 404)
        try:
            list_name = self._parts.stores.editions.find_list(found[1])
        except StorageError:
            list_name = ""
        return make_page(self._page("ask", list_name))

    def _leave(self, token: str) -> Response:
        found = read_unsubscribe(self._parts.stores.secret, token)
        if found is None:
            return make_page(self._page("invalid", ""), 404)
        subscriber_id, edition_id = found
        try:
            # "" when the edition is not known any more: then the reader leaves every list, never none.
            list_name = self._parts.stores.editions.find_list(edition_id)
            self._parts.stores.recipients.unsubscribe(subscriber_id, list_name, "unsubscribed", self._parts.clock())
        except StorageError as error:
            log.error("a reader could not unsubscribe and was asked to try again: %s", error)
            return try_later()
        return make_page(self._page("done", list_name))

    def _page(self, state: str, list_name: str) -> str:
        key = (state, list_name if self._parts.has_lists else "")
        now = self._parts.clock()
        with self._lock:
            made_at, markup = self._pages.get(key, (None, ""))
        if made_at is None or not made_at <= now < made_at + PAGE_LIFE:
            markup = self._render(*key)
            with self._lock:
                self._pages[key] = (now, markup)
        return markup

    def _render(self, state: str, list_name: str) -> str:
        context = build_page_context(self._parts.site, state=state, list_name=list_name, address="", action="")
        try:
            return self._parts.render_page("unsubscribe.html", context)
        except DistributorError as error:
            log.error("a plain page is shown instead: %s", error)
            return make_bare_page(*_WORDS[state])
