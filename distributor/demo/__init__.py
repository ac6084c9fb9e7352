"""The whole product on one machine, to be looked at: a sample newsroom, a mailbox, Telegram and X on loopback."""

from __future__ import annotations

from pathlib import Path


def play_once(folder: Path | None = None) -> int:
    """Play the demo through without a browser and print what went where.

    Returns 0 only when everything arrived exactly once and every click was counted; else 1, with the reasons.
    Files are kept in `folder`, in a temporary one that is deleted when there is none.
    """
    from distributor.demo.once import play

    return play(folder)


def run_demo(port: int, folder: Path | None = None) -> int:
    """Show the demo's pages on this port of 127.0.0.1 (0: any free one) until Ctrl-C; returns the exit code."""
    from distributor.demo.live import show

    return show(port, folder)
