"""Is the page still there? What answers mean, and when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.core.last_look import (
    KEPT,
    PAUSE,
    RELEASED,
    Sight,
    Step,
    describe,
    find_step,
    is_worth_asking,
    note_answer,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
TEN = 10 * MINUTE


def look(*answers: tuple[int, int]) -> tuple[Sight | None, datetime]:
    """What is known after (seconds later, status) each, and when that is."""
    sight, now = None, NOW
    for seconds, status in answers:
        now += seconds * SECOND
        sight = note_answer(sight, status, now)
    return sight, now


@pytest.mark.parametrize(
    ("seen", "published", "reason", "after", "worth"),
    [
        (9 * MINUTE, None, "", TEN, False),
        (TEN, None, "", TEN, True),
        (TEN, 30 * MINUTE, "", TEN, True),
        (TEN, 5 * MINUTE, "", TEN, False),
        (TEN, None, RELEASED, TEN, False),
        (TEN, None, "", None, False),
        (timedelta(), None, "", timedelta(), True),
    ],
    ids=["fresh", "old enough", "dated", "its own hour came lately", "a person let it go", "off", "always"],
)
def test_the_page_of_a_story_is_asked_for_when_the_story_is_old_enough(
    seen: timedelta, published: timedelta | None, reason: str, after: timedelta | None, *, worth: bool
) -> None:
    hour = None if published is None else NOW - published
    assert is_worth_asking(NOW - seen, hour, reason, after, NOW) is worth


@pytest.mark.parametrize("status", [404, 410])
def test_a_page_is_gone_after_two_clear_noes_with_a_pause_between(status: int) -> None:
    once, then = look((0, status))
    assert find_step(once, then) == "wait"
    assert find_step(once, then + PAUSE - SECOND) == "wait"
    assert find_step(once, then + PAUSE) == "ask"
    twice, then = look((0, status), (20, status))
    assert find_step(twice, then) == "gone"
    assert twice is not None
    assert describe(twice) == f"page: its page answered {status} at 2026-11-23 12:00 UTC"


@pytest.mark.parametrize("status", [0, 200, 301, 401, 403, 405, 429, 451, 500, 502, 503, 504])
@pytest.mark.parametrize("before", [(), ((0, 404),)], ids=["first", "after a no"])
def test_whatever_is_no_clear_no_lets_the_story_go(status: int, before: Sequence[tuple[int, int]]) -> None:
    sight, now = look(*before, (20, status))
    assert find_step(sight, now) == "go"
    assert find_step(sight, now + 2 * MINUTE) == "ask", "a later edition looks again"


@pytest.mark.parametrize("distance", [KEPT, -SECOND], ids=["long ago", "a clock that was ahead"])
def test_an_answer_of_another_time_tells_nothing(distance: timedelta) -> None:
    sight, now = look((0, 404), (20, 404))
    assert find_step(sight, now + distance) == "ask"
    assert note_answer(sight, 404, now + distance).noes == 1


@given(st.lists(st.tuples(st.integers(20, 500), st.sampled_from([0, 200, 404, 410, 500])), max_size=8))
def test_only_two_noes_in_a_row_hold_a_story(answers: list[tuple[int, int]]) -> None:
    sight, now = look(*answers)
    step: Step = find_step(sight, now)
    assert (step == "gone") == (len(answers) > 1 and {status for _, status in answers[-2:]} <= {404, 410})
