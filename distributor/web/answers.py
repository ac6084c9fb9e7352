"""Answers with the headers that every page of ours carries."""

from __future__ import annotations

import asyncio
import html

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Nothing at all: for answers that are no page.
CSP_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
#: Pages from templates/pages: their own style, pictures, and a form that posts back.
CSP_PAGE = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src * data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
#: A letter in the browser. Its words come from elsewhere, so it is cut off from everything else on this host.
CSP_LETTER = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src * data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation"
)

#: On every answer.
ALWAYS = {
    "cache-control": "no-store",
    "content-security-policy": CSP_NOTHING,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex",
}
_ALWAYS = [(name.encode(), value.encode()) for name, value in ALWAYS.items()]

_BARE_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>:root {{ color-scheme: light dark }} body {{ max-width: 36rem; margin: 4rem auto;
padding: 0 1.25rem; font: 1.0625rem/1.6 Georgia, serif }} button {{ font: inherit; padding: .6rem 1.4rem }}</style>
</head><body><h1>{title}</h1><p>{text}</p>{form}</body></html>
"""


class SecurityHeaders:
    """Puts the headers on whatever leaves the application without them, refusals of the framework included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in _ALWAYS if pair[0] not in present)]
            await send(message)

        await self.app(scope, receive, send_with_headers)


def make_page(
    markup: str, status: int = 200, csp: str = CSP_PAGE, headers: dict[str, str] | None = None
) -> Response:
    """An HTML page."""
    all_headers = {"content-security-policy": csp, **(headers or {})}
    return Response(markup, status, all_headers, media_type="text/html; charset=utf-8")


def make_plain(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A line of text."""
    return Response(f"{text}\n", status, headers, media_type="text/plain; charset=utf-8")


def make_bare_page(title: str, text: str, button: str = "") -> str:
    """A page without any template: for when a template fails, and for addresses that never were."""
    label = html.escape(button)
    form = f'<form method="post"><button type="submit">{label}</button></form>' if button else ""
    return _BARE_PAGE.format(title=html.escape(title), text=html.escape(text), form=form)


def make_missing_page() -> str:
    return make_bare_page("Not found", "There is no such page. The link may be incomplete.")


def not_found() -> Response:
    """The same for a wrong address, a wrong token and a page that is not for everybody."""
    return make_page(make_missing_page(), 404)


def try_later() -> Response:
    """The database is busy or away."""
    page = make_bare_page("Please try again", "This does not work at the moment. Please try again in a minute.")
    return make_page(page, 503, headers={"retry-after": "30"})


async def read_body(request: Request, seconds: float = 30.0) -> bytes | None:
    """The body within a time limit; None when the client went away or is too slow."""
    try:
        async with asyncio.timeout(seconds):
            return await request.body()
    except (ClientDisconnect, TimeoutError):
        return None
