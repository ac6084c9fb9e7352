"""Counts of what this process has done, until somebody carries them to the database.

Sums for watching only: nothing is decided by them. A process that is killed loses what it counted in its last
seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

#: A name and its labels, in the order that the page of metrics names them.
Key = tuple[str, ...]

_lock = threading.Lock()
_sums: dict[Key, float] = {}


def count(name: str, *labels: str, by: float = 1.0) -> None:
    """Add to a sum. `name` is a constant of the code; labels are names from the configuration or constants too."""
    if by:
        key = (name, *labels)
        with _lock:
            _sums[key] = _sums.get(key, 0.0) + by


def take_counts() -> dict[Key, float]:
    """Everything counted since the last time; it counts from nothing again."""
    with _lock:
        taken = dict(_sums)
        _sums.clear()
    return taken


def give_back(counts: Mapping[Key, float]) -> None:
    """What could not be carried away is counted on."""
    for key, number in counts.items():
        count(*key, by=number)
