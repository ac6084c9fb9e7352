"""The operator's one page: `/`, and `/console` for browsers that have to be asked for the token."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from distributor.core.errors import StorageError
from distributor.web.answers import make_page, make_plain, not_found
from distributor.web.console.door import Door
from distributor.web.health import HealthPages
from distributor.web.parts import WebParts


class Console:
    """Draws the status page for whom the door lets in; for everybody else it is not there."""

    def __init__(self, parts: WebParts, door: Door, health: HealthPages) -> None:
        self._parts = parts
        self._door = door
        self._health = health
        self._style = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(self._style.encode()).digest()).decode()
        self._csp = (
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )

    def status(self, request: Request) -> Response:
        if not self._door.is_open_to(request):
            return not_found()
        return self._draw()

    def ask(self, request: Request) -> Response:
        """As `status`; browsers ask for the token when one is set. A token given here opens `/` too."""
        if self._door.is_open_to(request):
            return self._draw()
        if not self._door.has_key:
            return not_found()
        challenge = {"www-authenticate": 'Basic realm="distributor", charset="UTF-8"'}
        return make_plain("The password is web.console_token; any user name will do.", 401, challenge)

    def _draw(self) -> Response:
        # Not before somebody looks: the first answer to a reader does not wait for it.
        from distributor.web.console.overview import Overview, gather
        from distributor.web.console.page import draw_page

        reasons = self._health.find_reasons()
        try:
            view = gather(self._parts, reasons)
        except StorageError as error:
            view = Overview(self._parts.clock(), {**reasons, "database": str(error)})
        return make_page(draw_page(self._parts.site, view, self._style), csp=self._csp)
