"""Figures that are found without reading most of what they count."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta

import pytest
from sqlalchemy import delete, insert, select, update

from distributor.core.message import ServiceEvent
from distributor.storage import Storage, figures
from distributor.storage.tables import channel, delivery, edition, occurrence, worker
from tests.storage.scene import add_edition, add_post, add_readers

STATES = ("queued", "claimed", "sending", "sent", "failed", "skipped", "held", "unknown", "presumed")


@pytest.fixture
def letter(storage: Storage, now: datetime) -> int:
    """An edition for 60 readers, which counts as large."""
    add_readers(storage, now, 60)
    return add_edition(storage, now, channel="letter", list_name="readers")


def count_one_by_one(storage: Storage) -> dict[tuple[str, str], int]:
    with storage.database.read() as connection:
        rows = connection.execute(
            select(edition.c.channel, delivery.c.state).join(delivery, delivery.c.edition_id == edition.c.id)
        )
        return dict(Counter((row[0], row[1]) for row in rows))


def set_states(storage: Storage, states: dict[int, str]) -> None:
    with storage.database.write() as connection:
        for number, state in states.items():
            connection.execute(update(delivery).where(delivery.c.id == number).values(state=state))


def list_ids(storage: Storage) -> list[int]:
    with storage.database.read() as connection:
        return list(connection.execute(select(delivery.c.id).order_by(delivery.c.id)).scalars())


@pytest.mark.parametrize("seed", range(6))
def test_deliveries_are_counted_right_whatever_became_of_them(storage: Storage, letter: int, seed: int) -> None:
    chance = random.Random(seed)
    reached = chance.randrange(0, 61)
    ids = list_ids(storage)
    set_states(storage, {number: chance.choice(STATES) for number in ids[:reached]})
    with storage.database.read() as connection:
        counted = figures.count_edition(connection, letter, 60)
    expected = count_one_by_one(storage)
    assert {("letter", state): number for state, number in counted.items()} == expected
    assert storage.figures.count_deliveries() == expected


def test_numbers_with_gaps_are_counted_row_by_row(storage: Storage, letter: int) -> None:
    gone = list_ids(storage)[-1]
    with storage.database.write() as connection:
        connection.execute(delete(delivery).where(delivery.c.id == gone))
        assert figures.count_edition(connection, letter, 60) == {"queued": 59}
    assert storage.figures.find_mismatches() == [letter]


def test_a_row_that_is_missing_in_the_middle_is_noticed(storage: Storage, letter: int) -> None:
    assert storage.figures.find_mismatches() == []
    gone = list_ids(storage)[30]
    with storage.database.write() as connection:
        connection.execute(delete(delivery).where(delivery.c.id == gone))
    assert storage.figures.find_mismatches() == [letter]


def test_sums_that_do_not_add_up_are_noticed(storage: Storage, letter: int) -> None:
    sums = {"state": "complete", "sent": 50, "failed": 0, "skipped": 9, "presumed": 0}
    with storage.database.write() as connection:
        connection.execute(update(edition).values(sums))
    assert storage.figures.find_mismatches() == [letter]
    assert storage.figures.count_deliveries() == {("letter", "sent"): 50, ("letter", "skipped"): 9}


def test_the_oldest_of_a_state_and_the_reasons_for_holding(storage: Storage, letter: int, now: datetime) -> None:
    early, late = now - timedelta(hours=2), now - timedelta(hours=1)
    ids = list_ids(storage)
    with storage.database.write() as connection:
        for number, state, at in ((ids[0], "unknown", late), (ids[1], "unknown", early), (ids[2], "held", late)):
            changed = {"state": state, "changed_at": at, "reason": "late" if state == "held" else None}
            connection.execute(update(delivery).where(delivery.c.id == number).values(changed))
    assert storage.figures.find_oldest("unknown") == {"letter": early}
    assert storage.figures.find_oldest("queued") == {"letter": now}
    assert storage.figures.find_oldest("claimed") == {}
    assert storage.figures.count_unknown() == {"letter": (2, early)}
    assert storage.figures.count_reasons() == {("letter", "late"): 1}


def test_late_editions_come_with_their_deliveries(storage: Storage, letter: int, now: datetime) -> None:
    set_states(storage, dict.fromkeys(list_ids(storage)[:7], "sent"))
    (found,) = storage.figures.list_late(now + timedelta(hours=1))
    assert (found.id, found.channel, found.state) == (letter, "letter", "frozen")
    assert found.counts == {"queued": 53, "sent": 7}
    assert storage.figures.list_late(now - timedelta(hours=1)) == []
    with storage.database.write() as connection:
        connection.execute(update(edition).values(state="complete"))
    assert storage.figures.list_late(now + timedelta(hours=1)) == []


def test_due_times_that_the_program_slept_through(storage: Storage, now: datetime) -> None:
    with storage.database.write() as connection:
        for key, outcome, hours in (("a@1", "late", 2), ("a@2", "empty", 1), ("a@0", "late", 50)):
            due = now - timedelta(hours=hours)
            row = {"key": key, "schedule": "a", "due_at": due, "planned_at": now, "outcome": outcome}
            connection.execute(insert(occurrence).values(row))
    assert [one.key for one in storage.figures.list_missed(now - timedelta(hours=24))] == ["a@1"]


def test_only_channels_that_no_person_paused_are_closed_ones(storage: Storage, now: datetime) -> None:
    storage.decisions.pause("x", "night", "an editor", now)
    for name in figures.PROGRAM:
        storage.decisions.pause(name, "refused", name, now)
    assert {one.channel for one in storage.figures.list_closed()} == set(figures.PROGRAM)


def test_arrivals_and_held_stories(storage: Storage, now: datetime) -> None:
    add_post(storage, now, 1)
    add_post(storage, now, 2)
    assert len(storage.figures.list_arrivals("front", now + timedelta(days=1))) == 2
    assert storage.figures.list_arrivals("other", now) == []
    assert storage.figures.count_held_posts() == {}


def test_a_service_that_reports_nothing_of_what_went_out(storage: Storage, letter: int, now: datetime) -> None:
    last = now - timedelta(hours=5)
    assert storage.figures.find_silent_hooks(now) == {}
    storage.events.add("letter", [ServiceEvent("delivered", "k", last.timestamp())], last)
    later = now + timedelta(hours=1)
    assert storage.figures.find_silent_hooks(later) == {}, "nothing went out since"
    with storage.database.write() as connection:
        connection.execute(insert(channel).values(name="letter", is_paused=False, last_ok_at=now))
        connection.execute(update(edition).values(frozen_at=now - timedelta(minutes=1)))
    assert storage.figures.find_silent_hooks(later) == {"letter": last}
    assert storage.figures.find_silent_hooks(now - timedelta(minutes=2)) == {}, "it began just now"
    storage.events.add("letter", [ServiceEvent("delivered", "l", now.timestamp())], now)
    assert storage.figures.find_silent_hooks(later) == {}


def test_processes_and_the_clock_of_the_server(storage: Storage, now: datetime) -> None:
    with storage.database.write() as connection:
        row = {"fence": "f", "host": "h", "process": 1, "roles": "clock,worker", "version": "1", "started_at": now}
        connection.execute(insert(worker).values(**row, beat_at=now))
    from distributor.app import read_clock

    today = read_clock()
    (found,) = storage.figures.list_processes(today)
    assert found.roles == {"clock", "worker"}
    assert abs((today - now) - found.beat_age) < timedelta(minutes=5)
    assert abs(storage.figures.measure_clock_offset(lambda: read_clock() + timedelta(seconds=90))) < 120
    if not storage.database.is_sqlite:
        assert storage.figures.measure_clock_offset(lambda: read_clock() + timedelta(seconds=90)) > 60
    assert storage.figures.measure_wal() >= 0
