"""Counts a journal: `python drain_rig.py URL FOLDER before|after CALL` kills itself on the way, and
`python drain_rig.py URL FOLDER` goes on until it is killed, with a line for each commit."""

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


class Told(Links):
    """Prints how many clicks each transaction has counted."""

    def add_clicks(self, journal_name: str, new_position: int, clicks: Sequence[ClickRow]) -> int:
        count = super().add_clicks(journal_name, new_position, clicks)
        print(count, flush=True)
        return count


def main() -> None:
    url, folder, *moment = sys.argv[1:]
    files, rules = ClickFiles(Path(folder)), Rules(classify, lambda day: b"salt")
    if moment:
        store = Killed(Database(url))
        store.when, store.calls = moment[0], int(moment[1])
        drain(files, store, rules, chunk_bytes=2000)
        return
    told = Told(Database(url))
    print("ready", flush=True)
    while True:
        drain(files, told, rules, chunk_bytes=8000)


if __name__ == "__main__":
    main()
