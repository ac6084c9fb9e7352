"""The secrets of the day, beside the click journal."""

from __future__ import annotations

import contextlib
import os
import secrets
from datetime import date
from pathlib import Path

from distributor.core.points import reach


class DailySalts:
    """A secret for each day, the same for all processes of this machine; gone after two days.

    With it goes every way from a visitor's mark back to a network and a browser.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: tuple[date, bytes] | None = None

    def get(self, day: date) -> bytes:
        if self._known is None or self._known[0] != day:
            self._known = (day, self._read(day))
        return self._known[1]

    def _read(self, day: date) -> bytes:
        path = self.folder / f"{day.isoformat()}.salt"
        with contextlib.suppress(FileNotFoundError):
            return path.read_bytes()
        fresh = self.folder / f"{secrets.token_hex(8)}.new"
        fresh.touch(mode=0o600)
        fresh.write_bytes(secrets.token_bytes(32))
        reach("clicks.salt")
        with contextlib.suppress(FileExistsError):
            # A hard link never replaces: whoever comes second takes what is there.
            os.link(fresh, path)
        fresh.unlink()
        self._forget_before(day)
        return path.read_bytes()

    def _forget_before(self, day: date) -> None:
        for path in self.folder.glob("*.salt"):
            with contextlib.suppress(ValueError, FileNotFoundError):
                if (day - date.fromisoformat(path.stem)).days > 1:
                    path.unlink()
