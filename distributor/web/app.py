"""The web application behind the redirects: pages of letters, reports of services, health, metrics, the console."""

from __future__ import annotations

import logging
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from distributor.core.errors import StorageError
from distributor.web.answers import ALWAYS, SecurityHeaders, make_plain, not_found, try_later
from distributor.web.console.console import Console
from distributor.web.console.door import Door
from distributor.web.health import HealthPages
from distributor.web.metrics import Metrics
from distributor.web.parts import WebParts
from distributor.web.public.hooks import Hooks
from distributor.web.public.letters import Letters

log = logging.getLogger(__name__)

#: Bytes of a request's body; more is refused with 413.
LARGEST_BODY = 1024 * 1024
LARGEST_REPORT = 2 * 1024 * 1024


def create_app(parts: WebParts) -> Starlette:
    """An ASGI application for every path but /l/, which `public.redirect` answers before it.

    It starts no tasks and needs no lifespan. Nothing in it reads the Host header, except to keep strangers out.
    """
    door = Door(parts.console_token)
    metrics = Metrics(parts, door)
    letters, health = Letters(parts), HealthPages(parts, door)
    console = Console(parts, door, health)
    hooks = Hooks(parts, metrics.count_events)
    routes = [
        Route("/u/{token}", letters.unsubscribe, methods=["GET", "POST"]),
        Route("/v/{token}", letters.view),
        Route("/hooks/{channel}", hooks.receive, methods=["POST"], max_body_size=LARGEST_REPORT),
        Route("/healthz", health.healthz),
        Route("/readyz", health.readyz),
        Route("/metrics", metrics.metrics),
        Route("/", console.status),
        Route("/console", console.ask),
        Route("/robots.txt", refuse_robots),
    ]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(RequestBodyLimitMiddleware, max_body_size=LARGEST_BODY),
        ],
        exception_handlers={HTTPException: explain, StorageError: explain_storage, Exception: explain_bug},
    )
    # Mending a slash would answer with an address made of the request's own Host header.
    app.router.redirect_slashes = False
    return app


async def refuse_robots(request: Request) -> Response:
    """Nothing on this host is for search engines."""
    return make_plain("User-agent: *\nDisallow: /")


async def explain(request: Request, error: Any) -> Response:
    if error.status_code == 404:
        return not_found()
    return make_plain(error.detail, error.status_code, dict(error.headers or {}))


async def explain_storage(request: Request, error: Exception) -> Response:
    log.warning("a page could not be shown: %s", error)
    return try_later()


async def explain_bug(request: Request, error: Exception) -> Response:
    # The only answer that is made outside of SecurityHeaders.
    return make_plain("something went wrong here; it was written to the log", 500, ALWAYS)
