"""What a guard against wrong sending is, to those that list them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Guard:
    """`text` stands exactly once in `file` (below distributor/); `replacement` is the program without the guard."""

    row: int
    what: str
    file: str
    text: str
    replacement: str
    test: str
