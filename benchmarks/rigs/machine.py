"""The machine in words: what a reader needs to judge figures, and nothing that tells whose it is."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
from pathlib import Path


def describe_machine() -> str:
    """ "2 processors (AMD EPYC 7B13), 24 GB of memory, Linux 6.1, Python 3.11.7, SQLite 3.45.1"."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parts = [
        f"{count} processor{'s' * (count != 1)}{_find_processor()}",
        f"{_find_gigabytes():.0f} GB of memory",
        f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
    ]
    return ", ".join(parts)


def describe_load() -> str:
    """How busy the machine was in the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def _find_processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    except OSError:
        return ""
    return f" ({found[1].strip()})" if found else ""


def _find_gigabytes() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
