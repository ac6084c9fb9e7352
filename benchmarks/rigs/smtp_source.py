"""Postfix's own load generator, the yardstick in C. It builds nothing, keeps nothing and survives nothing."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time

NAME = "smtp-source"
PACKAGE = "postfix"


def find_source() -> str | None:
    """Where it is installed, also where only root's PATH looks; None when it is not."""
    return shutil.which(NAME, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def say_absent() -> str:
    return f"{NAME} is not installed (Debian's package {PACKAGE})"


def run_source(port: int, count: int, size: int, sessions: int) -> dict[str, float]:
    """CPU milliseconds for 1,000 mails of `size` bytes ("ms"), and mails a second ("rate"), on kept connections."""
    program = find_source()
    assert program is not None, say_absent()
    options = ["-d", "-s", str(sessions), "-l", str(size), "-m", str(count)]
    people = ["-f", "news@example.org", "-t", "reader@example.com"]
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([program, *options, *people, f"127.0.0.1:{port}"], check=True)
    seconds, after = time.monotonic() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return {"ms": used / count * 1e6, "rate": count / seconds}
