"""A clock that was ahead and is set right: what was put down under it must not silence anything."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from distributor.core.source_state import SourceState
from distributor.storage import Storage
from tests.desk import HOUR, Desk, make_plan, make_story

DAYS = timedelta(days=30)


@pytest.fixture
def desk(storage: Storage, now: datetime) -> Desk:
    return Desk(storage, now)


def test_a_schedule_that_began_under_a_clock_that_was_ahead_tells_what_comes(desk: Desk) -> None:
    """Found by the simulation: for as long as the clock had been ahead, no story was ever told."""
    schedule = make_plan()
    desk.open(schedule)
    desk.now -= HOUR
    desk.plan(schedule)
    desk.poll([make_story(1)])
    assert desk.plan(schedule) == 1


def test_what_was_released_under_a_clock_that_was_set_back_is_told(desk: Desk) -> None:
    schedule = make_plan()
    desk.open(schedule)
    desk.poll([make_story(1, headline="Draft: a story")])
    desk.now -= 2 * HOUR
    desk.storage.posts.release(desk.storage.posts.list_held_ids(), "anna", desk.now)
    assert desk.plan(schedule) == 1


def test_a_schedule_that_begins_after_the_clock_was_set_back_tells_nothing_older(desk: Desk) -> None:
    desk.open(make_plan())
    desk.now += DAYS
    desk.poll([make_story(1)])
    desk.now -= DAYS
    later = make_plan("later-tg")
    assert desk.plan(later) == 0
    desk.poll([make_story(2)])
    assert desk.plan(later) == 1


def test_a_schedule_that_is_due_at_once_goes_on_after_a_clock_was_days_ahead(desk: Desk) -> None:
    schedule = make_plan()
    desk.open(schedule)
    desk.now += DAYS
    desk.plan(schedule)
    desk.now -= DAYS
    desk.poll([make_story(1)])
    assert desk.plan(schedule) == 1


def test_a_morning_brief_goes_out_next_morning_after_a_clock_was_days_ahead(desk: Desk) -> None:
    schedule = make_plan("brief", at="07:30", form="digest")
    desk.open(schedule)
    desk.now += DAYS
    desk.plan(schedule)
    desk.now -= DAYS
    desk.plan(schedule)
    desk.poll([make_story(1)])
    desk.now += timedelta(days=1)
    assert desk.plan(schedule) == 1


def test_an_hour_shown_twice_plans_its_brief_once(desk: Desk, now: datetime) -> None:
    schedule = make_plan("brief", at=f"{now + HOUR / 2:%H:%M}", form="digest")
    desk.open(schedule)
    desk.poll([make_story(1)])
    desk.now += HOUR / 2
    assert desk.plan(schedule) == 1
    desk.now -= HOUR
    desk.poll([make_story(2)])
    desk.now += HOUR
    assert desk.plan(schedule) == 0


def test_a_source_that_was_asked_under_a_clock_days_ahead_is_asked_again(desk: Desk) -> None:
    desk.now += DAYS
    desk.poll([make_story(1)])
    state = SourceState.from_json(desk.storage.posts.load_state("front"))
    assert not state.is_due("", desk.now)
    assert state.is_due("", desk.now - DAYS)
    assert not state.is_due("", desk.now - timedelta(seconds=30)), "clocks of two machines differ by seconds"
