"""Counts a journal and kills itself on the way: `python drain_rig.py URL FOLDER before|after CALL`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from distributor.core.clicks import ClickRow, classify
from distributor.pipeline.track import Rules, drain
from distributor.storage.database import Database
from distributor.storage.links import Links
from distributor.web.public.clicks import ClickFiles


class Killed(Links):
    """Dies right before or right after the transaction of its n-th call."""

    when = ""
    calls = 0

    def add_clicks(self, journal_name: str, new_position: int, clicks: Sequence[ClickRow]) -> int:
        self.calls -= 1
        if self.calls == 0 and self.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        count = super().add_clicks(journal_name, new_position, clicks)
        if self.calls == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return count


def main() -> None:
    url, folder, when, call = sys.argv[1:]
    store = Killed(Database(url))
    store.when, store.calls = when, int(call)
    drain(ClickFiles(Path(folder)), store, Rules(classify, lambda day: b"salt"), chunk_bytes=2000)


if __name__ == "__main__":
    main()
