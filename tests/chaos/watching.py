"""The watch of the product without its minute of grace: looks at once, tells what is wrong, and ends."""

from __future__ import annotations

import os
import time
from pathlib import Path

PATIENCE = 90.0
EVERY = 0.5
CLOSED = "paused x"


def watch_once(config: Path) -> int:
    """One process that watches until somebody was told that a channel is closed; its exit code."""
    from distributor.alerts import Alerts
    from distributor.app import open_app, read_settings

    app = open_app(read_settings(config, os.environ))
    alerts = Alerts(app, grace=0.0, every=EVERY)
    alerts.start()
    deadline = time.monotonic() + PATIENCE
    while not any(one.told_at and key == CLOSED for key, one in app.storage.alerts.load().items()):
        if time.monotonic() > deadline:
            return 1
        time.sleep(EVERY / 4)
    # The ping comes after the telling of the same look.
    time.sleep(EVERY)
    alerts.stop()
    app.close()
    return 0
