"""Counts of all processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from distributor.core.tally import count, give_back, take_counts
from distributor.storage import Storage
from distributor.storage.counters import Counters


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    """Other tests count too."""
    before = take_counts()
    yield
    take_counts()
    give_back(before)


def test_counts_add_up_over_processes_and_restarts(storage: Storage) -> None:
    counters = Counters(storage.database)
    counters.add({})
    assert counters.load() == {}
    counters.add({("attempts", "tg", "sent"): 2.0, ("seconds", "tg"): 0.25})
    Counters(storage.database).add({("attempts", "tg", "sent"): 3.0, ("attempts", "x", "sent"): 1.0})
    assert counters.load() == {
        ("attempts", "tg", "sent"): 5.0,
        ("attempts", "x", "sent"): 1.0,
        ("seconds", "tg"): 0.25,
    }


def test_millions_stay_exact(storage: Storage) -> None:
    counters = Counters(storage.database)
    for _ in range(3):
        counters.add({("attempts", "letter", "sent"): 123_456_789.0})
    assert counters.load() == {("attempts", "letter", "sent"): 370_370_367.0}


def test_what_is_counted_is_taken_once_and_may_be_given_back() -> None:
    count("attempts", "tg", "sent")
    count("attempts", "tg", "sent", by=2)
    count("attempts", "x", "sent", by=0)
    taken = take_counts()
    assert taken == {("attempts", "tg", "sent"): 3}
    assert take_counts() == {}
    give_back(taken)
    assert take_counts() == taken
