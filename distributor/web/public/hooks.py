"""What mail services report back: POST /hooks/{channel}, believed only when the channel says that it is genuine."""

from __future__ import annotations

import logging
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from distributor.core.errors import StorageError
from distributor.web.answers import make_plain, read_body
from distributor.web.parts import WebParts
from distributor.web.stores import EventCount

log = logging.getLogger(__name__)

#: (channel, what came of it): the counts of a report, or None for one that was refused.
Count = Callable[[str, EventCount | None], None]


class Hooks:
    """The endpoint for reports. A report is stored whole before it is answered, so that none is lost."""

    def __init__(self, parts: WebParts, count: Count) -> None:
        self._parts = parts
        self._count = count

    async def receive(self, request: Request) -> Response:
        name = str(request.path_params["channel"])
        if name not in self._parts.channels:
            return make_plain("not found", 404)
        body = await read_body(request)
        if body is None:
            return make_plain("the body did not arrive", 408)
        return await run_in_threadpool(self._store, name, dict(request.headers), body)

    def _store(self, name: str, headers: dict[str, str], body: bytes) -> Response:
        try:
            events = self._parts.read_events(name, headers, body)
            if events:
                self._count(name, self._parts.stores.events.add(name, events, self._parts.clock()))
        except PermissionError as error:
            self._count(name, None)
            log.warning("a report for %s was refused: %s", name, error)
            return make_plain("refused", 403)
        except ValueError as error:
            self._count(name, None)
            log.warning("a report for %s cannot be read: %s", name, error)
            return make_plain("cannot be read", 400)
        except StorageError as error:
            log.warning("a report for %s could not be stored and will be repeated: %s", name, error)
            return make_plain("try again", 503, {"retry-after": "30"})
        return Response(status_code=204)
