"""A process that only redirects: as one of several on a port, or alone where the database may only be read.

It reads its order as a line of JSON, says how many clicks it has written and lost,
and runs until its input ends, with whoever started it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from distributor.logs import start_logging
from distributor.storage.database import Database
from distributor.storage.links import Links
from distributor.web.extra_processes import STOP, ExtraProcess
from distributor.web.redirect_site import Order, RedirectSite
from distributor.web.server import wait_for_port

if TYPE_CHECKING:
    from distributor.settings import Settings

log = logging.getLogger(__name__)

TELL_EVERY = 2.0


def main() -> int:
    order = Order(**json.loads(sys.stdin.readline()))
    start_logging([urlsplit(order.database_url).password or ""], as_json=not sys.stderr.isatty())
    stop = threading.Event()
    # Ctrl-C reaches us too: the process that started us says when it is time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    threading.Thread(target=_wait_for_end, args=(stop,), daemon=True).start()
    database = Database(order.database_url)
    site = RedirectSite(order, Links(database))
    site.start()
    told = ""
    try:
        while not stop.wait(TELL_EVERY):
            told = _tell(site, told)
    finally:
        site.stop()
        _tell(site, told)
        database.close()
    return 0


def _tell(site: RedirectSite, told: str) -> str:
    line = f"{site.journal.written} {site.journal.lost}"
    with contextlib.suppress(OSError):
        if line != told:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    return line


def _wait_for_end(stop: threading.Event) -> None:
    if sys.stdin.readline() != STOP:
        # Whoever started us was killed, and whoever comes next needs the port. What was answered is on disk.
        os._exit(1)
    stop.set()


class Redirector:
    """`--roles web` where the database's user may only read: redirects, on as many processes as are set."""

    def __init__(self, settings: Settings, database: Database) -> None:
        web = settings.web
        folder = settings.state_dir / "clicks"
        order = Order(
            settings.database_url.get_secret_value(),
            web.host,
            web.port,
            str(folder),
            tuple(web.trusted_proxies),
            is_shared=web.processes > 1,
        )
        if order.is_shared:
            wait_for_port(web.host, web.port)
        self.site = RedirectSite(order, Links(database))
        port = self.site.server.port
        self._extra = [
            ExtraProcess(number, replace(order, port=port), None) for number in range(2, web.processes + 1)
        ]
        log.warning(
            "this database user may only read: redirects only, no pages. Clicks are kept in %s until a process "
            "that may write to the database and has the same state_dir counts them",
            folder,
        )

    def start(self) -> None:
        self.site.start()
        for one in self._extra:
            one.start()
        log.info("listening on port %d", self.site.server.port)

    def stop(self) -> None:
        for one in self._extra:
            one.stop()
        self.site.stop()
