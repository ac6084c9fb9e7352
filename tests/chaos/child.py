"""The product as it is, with one bomb in it: it dies by kill -9 the n-th time it reaches a named boundary.

`python -m tests.chaos.child POINT N -- run --config FILE` runs one command so. `--trace FILE` (before POINT)
keeps the names of the boundaries it came by, one a line; POINT "-" sets no bomb. `set_up` can also let one boundary
fail once, as a commit whose acknowledgement is lost.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from distributor.core.errors import StorageError
from distributor.core.points import arm


@dataclass(frozen=True)
class Bomb:
    """Where the plug is pulled: at the `nth` time that `point` is reached."""

    point: str
    nth: int = 1

    def __str__(self) -> str:
        return self.point if self.nth == 1 else f"{self.point} (time {self.nth})"


def set_up(bomb: Bomb | None, trace: Path | None, trip: str = "") -> None:
    """Arm this process; `trip` is the boundary that fails once."""
    lock = threading.Lock()
    left = bomb.nth if bomb else 0
    stumbles = [trip] if trip else []
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    file = os.open(trace, flags, 0o600) if trace else None

    def pull(name: str) -> None:
        nonlocal left
        if file is not None:
            os.write(file, name.encode() + b"\n")
        if bomb is not None and name == bomb.point:
            with lock:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        if name == trip and stumbles:
            stumbles.clear()
            raise StorageError("the connection was lost before the answer came")

    if bomb or trip or file is not None:
        arm(pull)


def main() -> None:
    words = sys.argv[1:]
    trace = Path(words[1]) if words[0] == "--trace" else None
    words = words[2:] if trace else words
    point, nth, dashes, *command = words
    assert dashes == "--", "usage: child [--trace FILE] POINT N -- COMMAND ..."
    set_up(Bomb(point, int(nth)) if point != "-" else None, trace)
    from distributor.cli import app

    app(command)


if __name__ == "__main__":
    main()
