"""Rate limits in the database: exact, shared, and unmoved by clocks that are set."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distributor.core.message import Pace
from distributor.storage import Storage
from distributor.storage.paces import reserve, rest

SECOND = timedelta(seconds=1)
PER_SECOND = Pace("bot", 3, 1.0)
names = count()
PER_MINUTE = Pace("bot:chat", 5, 60.0)


def ask(storage: Storage, now: datetime, *paces: Pace, wanted: int = 1, key: str = "channel:tg") -> int | float:
    with storage.database.write() as connection:
        return reserve(connection, key, paces, wanted, now)


def test_without_a_pace_everything_may_go(storage: Storage, now: datetime) -> None:
    assert ask(storage, now, wanted=1000) == 1000


def test_a_batch_gets_what_there_is_room_for(storage: Storage, now: datetime) -> None:
    assert ask(storage, now, PER_SECOND, wanted=2) == 2
    assert ask(storage, now, PER_SECOND, wanted=2) == 1
    assert ask(storage, now, PER_SECOND, wanted=2) == pytest.approx(1.0)


def test_every_pace_is_met_at_once_or_nothing_is_reserved(storage: Storage, now: datetime) -> None:
    """What one pace refuses does not use up the other."""
    for _ in range(5):
        assert ask(storage, now, PER_MINUTE) == 1
    for _ in range(10):
        assert ask(storage, now + 30 * SECOND, PER_SECOND, PER_MINUTE) == pytest.approx(30.0)
    assert ask(storage, now + 30 * SECOND, PER_SECOND, wanted=9) == 3


def test_channels_with_the_same_key_share_their_pace_and_others_do_not(storage: Storage, now: datetime) -> None:
    assert ask(storage, now, PER_SECOND, wanted=3, key="channel:tg") == 3
    assert isinstance(ask(storage, now, PER_SECOND, key="channel:tg2"), float)
    assert ask(storage, now, Pace("other bot", 3, 1.0), key="channel:tg2") == 1


def test_two_windows_of_one_key_are_both_kept(storage: Storage, now: datetime) -> None:
    paces = (Pace("account", 2, 10.0), Pace("account", 3, 100.0))
    assert [ask(storage, now + i * 11 * SECOND, *paces) for i in range(3)] == [1, 1, 1]
    assert ask(storage, now + 33 * SECOND, *paces) == pytest.approx(67.0)


def test_a_rest_holds_the_channel_and_the_longer_one_wins(storage: Storage, now: datetime) -> None:
    with storage.database.write() as connection:
        rest(connection, "channel:tg", now + 60 * SECOND)
        rest(connection, "channel:tg", now + 10 * SECOND)
    assert ask(storage, now, wanted=5) == pytest.approx(60.0)
    assert ask(storage, now, key="channel:x") == 1
    assert ask(storage, now + 61 * SECOND) == 1


def test_a_clock_that_is_set_back_does_not_silence_a_channel(storage: Storage, now: datetime) -> None:
    """A virtual machine that woke up in next year, and was then corrected."""
    next_year = now + timedelta(days=365)
    assert ask(storage, next_year, PER_MINUTE, wanted=5) == 5
    assert ask(storage, now, PER_MINUTE, wanted=9) == 5
    assert ask(storage, now + SECOND, PER_MINUTE) == pytest.approx(59.0)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 4)), min_size=1, max_size=30))
def test_no_window_ever_holds_more_than_it_may(
    storage: Storage, now: datetime, steps: list[tuple[int, int]]
) -> None:
    name = next(names)
    paces = (Pace(f"{name}", 4, 2.0), Pace(f"{name}:long", 9, 7.0))
    sent: list[float] = []
    at = now
    for pause, wanted in steps:
        at += timedelta(milliseconds=pause)
        answer = ask(storage, at, *paces, wanted=wanted, key=f"channel:{name}")
        if isinstance(answer, int):
            assert 1 <= answer <= wanted
            sent += [at.timestamp()] * answer
        else:
            later = at + timedelta(seconds=answer + 0.001)
            assert any(sum(t > at.timestamp() - p.seconds for t in sent) >= p.count for p in paces)
            assert all(sum(t > later.timestamp() - p.seconds for t in sent) < p.count for p in paces)
        for pace in paces:
            for moment in sent:
                assert sum(moment - pace.seconds < t <= moment for t in sent) <= pace.count
