"""Named step boundaries: before and after each commit, each call over the network, each write beside the database.

In the product `reach` does nothing. The tests of reliability arm it to pull the plug there, or to fail the call, so
that what happens between any two steps is known and not hoped for. A boundary without a name fails the house tests.
"""

from __future__ import annotations

from collections.abc import Callable

_hook: Callable[[str], None] | None = None


def reach(name: str) -> None:
    """The program stands at this boundary. `name` is a constant of the code; it never carries data."""
    if _hook is not None:
        _hook(name)


def arm(hook: Callable[[str], None] | None) -> None:
    """Call `hook` at every boundary of this process; None: at none. It may raise or never return. For tests."""
    global _hook
    _hook = hook
