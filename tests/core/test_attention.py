"""A look is worth its cost after a commit, when a time has come, and now and then in any case."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from distributor.core.attention import Attention

NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)


@dataclass
class Scene:
    mark: int = 1
    seconds: float = 100.0

    def attend(self, longest: float = 5.0) -> Attention:
        return Attention(lambda: self.mark, lambda: self.seconds, longest)


def test_the_first_look_is_worth_it_and_the_next_is_not() -> None:
    attention = Scene().attend()
    assert attention.is_worth(NOW)
    assert not attention.is_worth(NOW)


def test_a_commit_makes_one_look_worth_it() -> None:
    scene = Scene()
    attention = scene.attend()
    attention.is_worth(NOW)
    scene.mark += 1
    assert attention.is_worth(NOW)
    assert not attention.is_worth(NOW)


def test_a_commit_during_the_look_is_seen_at_the_next() -> None:
    scene = Scene()
    attention = scene.attend()
    assert attention.is_worth(NOW)
    scene.mark += 1
    attention.rest_until(None)
    assert attention.is_worth(NOW)


def test_a_time_that_has_come_makes_each_look_worth_it() -> None:
    attention = Scene().attend()
    attention.is_worth(NOW)
    attention.rest_until(NOW + timedelta(seconds=2))
    assert not attention.is_worth(NOW + timedelta(seconds=1))
    assert attention.is_worth(NOW + timedelta(seconds=2))
    assert attention.is_worth(NOW + timedelta(seconds=3))


def test_a_look_that_failed_is_made_again() -> None:
    attention = Scene().attend()
    attention.is_worth(NOW)
    attention.forget()
    assert attention.is_worth(NOW)


def test_a_clock_that_was_set_back_is_noticed() -> None:
    attention = Scene().attend()
    attention.is_worth(NOW)
    attention.rest_until(NOW + timedelta(days=3))
    assert attention.is_worth(NOW - timedelta(days=2))


def test_now_and_then_a_look_is_made_in_any_case() -> None:
    scene = Scene()
    attention = scene.attend(longest=5.0)
    attention.is_worth(NOW)
    scene.seconds += 4.9
    assert not attention.is_worth(NOW)
    scene.seconds += 0.1
    assert attention.is_worth(NOW)
    assert not attention.is_worth(NOW)
