"""Waiting for a condition, never for luck."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Generous: a slow machine takes its time, a broken product does not hang the demo for ever.
PATIENCE = 120.0
_PAUSE = 0.05


class Stalled(Exception):
    """What was waited for did not come; the text says what it was."""


def wait_for(
    what: str,
    is_there: Callable[[], bool],
    check: Callable[[], None] = lambda: None,
    seconds: float = PATIENCE,
) -> None:
    """Return as soon as `is_there()`. Stalled after `seconds`; `check` may raise it earlier with better reasons."""
    until = time.monotonic() + seconds
    while not is_there():
        check()
        if time.monotonic() > until:
            raise Stalled(f"waited {seconds:.0f} seconds for {what}, which did not come")
        time.sleep(_PAUSE)
