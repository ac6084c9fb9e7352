"""An edition that would go to many more readers than the one before it waits for a person."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import select

from distributor.core.message import Content
from distributor.core.planning import HELD, EditionPlan, say_jump
from distributor.storage import Storage
from distributor.storage.tables import notice
from tests.storage.scene import add_post, add_readers, states

WORDS = Content({"text": "words"})


def plan(storage: Storage, now: datetime, number: int, schedule: str = "morning", channel: str = "letter") -> int:
    post = add_post(storage, now, number)
    key = f"{schedule}:{channel}:{number}"
    edition = EditionPlan(key, schedule, channel, "digest", "T", now, None, (post,))
    found = storage.editions.add_edition(edition, now)
    assert found is not None
    return found


def freeze(storage: Storage, edition_id: int, now: datetime, list_name: str = "readers") -> int:
    return storage.editions.freeze(edition_id, WORDS, list_name=list_name, revisions={}, links=[], now=now)


@pytest.fixture
def grown(storage: Storage, now: datetime) -> int:
    """The second edition of a schedule whose first went to 10 readers; now there are 150."""
    add_readers(storage, now, 10)
    assert freeze(storage, plan(storage, now, 1), now) == 10
    add_readers(storage, now, 150)
    return plan(storage, now, 2)


def test_many_more_readers_than_the_last_time_wait_for_a_person(
    storage: Storage, now: datetime, grown: int
) -> None:
    assert freeze(storage, grown, now) == HELD
    assert states(storage) == {"queued": 10}
    row = next(one for one in storage.reports.list_editions() if one.id == grown)
    assert (row.state, row.reason, row.counts) == ("held", "audience: 150 readers, the last one had 10", {})
    assert storage.editions.find_hold(grown) == row.reason
    with storage.database.read() as connection:
        told = connection.execute(select(notice.c.level, notice.c.text)).all()
    assert [(level, f"edition {grown} for letter is held" in text) for level, text in told] == [("alarm", True)]


def test_what_a_person_lets_go_goes_to_as_many_and_is_held_again_when_there_are_many_more(
    storage: Storage, now: datetime, grown: int
) -> None:
    freeze(storage, grown, now)
    assert storage.editions.unpark(grown, None)
    add_readers(storage, now, 300)
    assert freeze(storage, grown, now) == HELD
    assert storage.editions.find_hold(grown) == "audience: 300 readers, the last one had 10"
    assert storage.editions.unpark(grown, None)
    assert freeze(storage, grown, now) == 300
    assert storage.editions.find_hold(grown) == ""
    assert freeze(storage, plan(storage, now, 3), now) == 300


def test_another_schedule_begins_with_its_own_first_edition(storage: Storage, now: datetime, grown: int) -> None:
    assert freeze(storage, plan(storage, now, 3, schedule="evening"), now) == 150
    assert freeze(storage, plan(storage, now, 4, channel="other"), now) == 150


def test_an_edition_that_was_given_up_is_not_what_the_next_one_is_measured_by(
    storage: Storage, now: datetime
) -> None:
    add_readers(storage, now, 10)
    freeze(storage, plan(storage, now, 1), now)
    add_readers(storage, now, 150, list_name="wrong")
    wrong = plan(storage, now, 2)
    freeze(storage, wrong, now, "wrong")
    storage.editions.unpark(wrong, None)
    assert freeze(storage, wrong, now, "wrong") == 150
    storage.decisions.give_up(wrong, "wrong list", "anna", now)
    assert freeze(storage, plan(storage, now, 3), now, "wrong") == HELD


def test_a_voice_has_one_recipient_and_is_not_held(storage: Storage, now: datetime) -> None:
    for number in (1, 2):
        assert freeze(storage, plan(storage, now, number, channel="tg"), now, "") == 1


@pytest.mark.parametrize(
    ("audience", "before", "is_held"),
    [
        (5000, 1000, True),
        (1500, 1000, False),
        (1501, 1000, True),
        (109, 10, False),
        (110, 10, True),
        (5, 1000, False),
    ],
)
def test_a_jump_is_more_than_half_as_many_again_and_a_hundred_more(
    audience: int, before: int, is_held: bool
) -> None:
    assert bool(say_jump(audience, before)) is is_held


def test_a_jump_is_said_in_numbers() -> None:
    assert say_jump(5000, 1000) == "audience: 5,000 readers, the last one had 1,000"
