"""Readers who click while everything is being killed, each click with a name of its own."""

from __future__ import annotations

import http.client
import itertools
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Self

BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0 Safari/537.36"
TIMEOUT = 5.0


class Visitors:
    """Clicks on `slugs` in turn, about every `pause` seconds, until stopped.

    A click's name is its referrer's host, which the product keeps. `acknowledged` got their redirect; `doubtful`
    were sent and not answered: they may count or not.
    """

    def __init__(self, port: int, slugs: Sequence[str], pause: float = 0.05) -> None:
        self._port, self._slugs, self._pause = port, slugs, pause
        self.acknowledged: set[str] = set()
        self.doubtful: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._click_on, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(TIMEOUT * 2)

    def _click_on(self) -> None:
        for number in itertools.count(1):
            if self._stop.wait(self._pause):
                return
            self._click(f"c{number}.example", self._slugs[number % len(self._slugs)])

    def _click(self, name: str, slug: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)
        try:
            connection.connect()
        except OSError:
            return
        headers = {
            "User-Agent": BROWSER,
            "Accept": "text/html",
            "Referer": f"https://{name}/",
            "Connection": "close",
        }
        try:
            connection.request("GET", f"/l/{slug}", headers=headers)
            answer = connection.getresponse()
            (self.acknowledged if answer.status == 302 else self.doubtful).add(name)
        except (OSError, http.client.HTTPException):
            self.doubtful.add(name)
        finally:
            connection.close()

    def check(self, counted: Sequence[str]) -> list[str]:
        """What is wrong with the clicks that the product counted, by their names."""
        counts = Counter(name for name in counted if name)
        wrong = [f"click {name} was counted {count} times" for name, count in counts.items() if count > 1]
        wrong += [
            f"click {name} was redirected and not counted" for name in sorted(self.acknowledged - counts.keys())
        ]
        unheard = counts.keys() - self.acknowledged - self.doubtful
        return wrong + [f"click {name} was counted and nobody made it" for name in sorted(unheard)]
