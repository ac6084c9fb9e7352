"""The demo in a browser: everything runs until Ctrl-C, and a story comes by itself every minute."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from distributor.channels.x.sandbox_rules import find_links
from distributor.core.errors import DistributorError
from distributor.demo.once import choose_folder, end_on_signals, say
from distributor.demo.pages.site import DemoSite
from distributor.demo.ports import is_free
from distributor.demo.readings import Readings
from distributor.demo.setting import Rhythm, find_local_timezone
from distributor.demo.stage import FolderTaken, Stage, open_stage, start_product
from distributor.demo.waiting import Stalled

STORY_EVERY = timedelta(minutes=1)
#: Stories that come at once, so that there is something to see.
FIRST_STORIES = 3
#: Seconds without a look after which nothing comes by itself any more: nobody needs a thousand letters.
NOBODY_LOOKS = 600.0
_TICK = 0.5


def show(port: int, folder: Path | None) -> int:
    """See `distributor.demo.run_demo`."""
    if port and not is_free(port):
        say(f"Port {port} is taken by another program. Name another one, or 0 for any that is free: --port 0")
        return 1
    try:
        with end_on_signals(), choose_folder(folder) as place:
            _show_in(place, port)
    except KeyboardInterrupt:
        say("\nStopped; nothing is left running.")
    except FolderTaken as error:
        say(str(error))
        return 1
    except (Stalled, DistributorError, OSError) as error:
        say(f"The demo cannot go on: {error}")
        return 1
    return 0


def _show_in(folder: Path, port: int) -> None:
    rhythm = Rhythm("1m", 2, find_local_timezone())
    with _open_pages(port) as pages:
        say(f"The demo is at {pages.url}\nStarting: a newsroom, a mailbox, Telegram, X, and the product itself.")
        with open_stage(
            folder, rhythm, pages.url, newsroom_port=port and port + 1, product_port=port and port + 2
        ) as stage:
            start_product(stage, lambda sentence: None)
            readings = Readings(stage.product.config)
            pages.open(stage, readings)
            say(f"Ready. Files and the log are in {folder}\nPress Ctrl-C to stop.")
            try:
                _keep_going(stage, pages)
            finally:
                readings.close()


@contextmanager
def _open_pages(port: int) -> Iterator[DemoSite]:
    pages = DemoSite(port)
    pages.start()
    try:
        yield pages
    finally:
        pages.stop()


def _keep_going(stage: Stage, pages: DemoSite) -> None:
    """Publish what comes by itself, let X look at links, until interrupted."""
    for _ in range(FIRST_STORIES):
        stage.newsroom.publish()
    pause = threading.Event()
    due = datetime.now(UTC) + STORY_EVERY
    while True:
        is_watched = time.monotonic() - pages.looked_at < NOBODY_LOOKS
        pages.next_story = due if is_watched else None
        if datetime.now(UTC) >= due:
            due = datetime.now(UTC) + STORY_EVERY
            if is_watched:
                stage.newsroom.publish()
        _look_at_links(stage, pages)
        pause.wait(_TICK)


def _look_at_links(stage: Stage, pages: DemoSite) -> None:
    """X fetches what a new post links to before its readers do."""
    for post in stage.x.seen:
        for span in find_links(post.text):
            if post.text[span.start : span.end].startswith("http"):
                pages.x_cards.find(post.text[span.start : span.end])
