"""Who may be written to, on both databases."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from distributor.core.subscriber import ImportCount, NewSubscriber
from distributor.storage import Storage
from tests.storage.scene import add_edition


def person(number: int, name: str = "") -> NewSubscriber:
    return NewSubscriber(f"Reader{number}@example.org", f"reader{number}@example.org", name)


def add(storage: Storage, people: Iterable[NewSubscriber], now: datetime, *, chunk: int = 1000) -> ImportCount:
    *_, count = (ImportCount(), *storage.recipients.add_subscribers(people, "readers", now, chunk))
    return count


def id_of(storage: Storage, number: int) -> int:
    rows = storage.recipients.iter_rows("readers")
    return next(i for i, row in enumerate(rows, 1) if row.address == f"Reader{number}@example.org")


@pytest.mark.parametrize("chunk", [2, 5, 6, 1000])
def test_every_line_is_counted_once_however_it_is_chunked(storage: Storage, now: datetime, chunk: int) -> None:
    storage.recipients.suppress(["reader4@example.org"], "readers", "complained", now)
    first = add(storage, [person(n) for n in (3, 1, 4, 1, 2, 3)], now, chunk=chunk)
    assert first == ImportCount(read=6, added=3, suppressed=1, repeated=2)
    again = add(storage, [person(n) for n in (1, 2, 2, 5, 4)], now, chunk=chunk)
    assert again == ImportCount(read=5, added=1, known=2, suppressed=1, repeated=1)
    assert storage.recipients.list_lists() == {"readers": 4}


def test_of_a_repeated_address_the_first_line_counts(storage: Storage, now: datetime) -> None:
    for chunk in (2, 1000):
        add(storage, [person(1, "First"), person(2), person(1, "Second")], now, chunk=chunk)
    assert [row.name for row in storage.recipients.iter_rows("readers")] == ["First", ""]


def test_the_first_line_counts_however_far_the_next_one_is(storage: Storage, now: datetime) -> None:
    lines = [person(number * 7 % 400, f"line {line}") for line, number in enumerate(range(1300))]
    first = {one.key: one.name for one in reversed(lines)}
    assert add(storage, lines, now) == ImportCount(read=1300, added=400, repeated=900)
    assert {row.address.lower(): row.name for row in storage.recipients.iter_rows("readers")} == first


def test_a_known_address_keeps_its_name_and_its_date(storage: Storage, now: datetime) -> None:
    add(storage, [person(1, "Jane")], now)
    add(storage, [person(1, "Somebody else")], now + timedelta(days=1))
    (row,) = storage.recipients.iter_rows("readers")
    assert (row.name, row.since) == ("Jane", now)


def test_who_left_is_not_added_again_by_an_import(storage: Storage, now: datetime) -> None:
    add(storage, [person(1), person(2)], now)
    assert storage.recipients.unsubscribe(id_of(storage, 1), "readers", "unsubscribed", now)
    assert add(storage, [person(1), person(2)], now) == ImportCount(read=2, known=1, left_before=1)
    assert storage.recipients.list_lists() == {"readers": 1}


def test_who_left_one_list_may_be_on_another(storage: Storage, now: datetime) -> None:
    add(storage, [person(1)], now)
    storage.recipients.unsubscribe(id_of(storage, 1), "readers", "unsubscribed", now)
    for _ in storage.recipients.add_subscribers([person(1)], "sport", now):
        pass
    assert storage.recipients.list_lists() == {"sport": 1}


def test_who_is_suppressed_everywhere_is_on_no_list(storage: Storage, now: datetime) -> None:
    storage.recipients.suppress(["reader1@example.org"], "", "erased", now)
    assert add(storage, [person(1)], now) == ImportCount(read=1, suppressed=1)
    assert storage.recipients.list_lists() == {}


def test_leaving_twice_is_leaving_once(storage: Storage, now: datetime) -> None:
    add(storage, [person(1)], now)
    assert storage.recipients.unsubscribe(1, "readers", "unsubscribed", now) is True
    assert storage.recipients.unsubscribe(1, "readers", "unsubscribed", now + timedelta(days=1)) is False
    (row,) = storage.recipients.iter_rows("readers")
    assert (row.state, row.since, row.suppression) == ("left", now, "unsubscribed")


def test_leaving_everything_shows_on_each_list(storage: Storage, now: datetime) -> None:
    """A reader whose edition is no longer known leaves every list; an export has to say so."""
    add(storage, [person(1)], now)
    storage.recipients.suppress(["reader1@example.org"], "readers", "complained", now)
    storage.recipients.unsubscribe(1, "", "unsubscribed", now)
    (row,) = storage.recipients.iter_rows("readers")
    assert row.suppression == "unsubscribed"
    add_edition(storage, now, channel="letter", list_name="readers")
    assert storage.reports.list_editions()[0].audience == 0


def test_an_import_that_adds_nobody_writes_nothing(storage: Storage, now: datetime) -> None:
    assert add(storage, [], now) == ImportCount()
    assert list(storage.recipients.iter_rows("readers")) == []


def test_rows_are_streamed_page_by_page(storage: Storage, now: datetime) -> None:
    add(storage, [person(n) for n in range(7)], now)
    assert len(list(storage.recipients.iter_rows("readers", chunk=3))) == 7


def test_an_import_that_breaks_off_leaves_nothing_behind(storage: Storage, now: datetime) -> None:
    def people() -> Iterable[NewSubscriber]:
        yield from (person(n) for n in range(5))
        raise RuntimeError("the file ends here")

    with pytest.raises(RuntimeError):
        add(storage, people(), now, chunk=2)
    assert storage.recipients.list_lists() == {}
    assert add(storage, [person(1), person(1), person(2)], now, chunk=2).added == 2
    if storage.database.is_sqlite:
        with storage.database.drive() as driver:
            assert [row[1] for row in driver.execute("PRAGMA database_list")] == ["main"]


def test_references_are_looked_after_again_when_an_import_ends_or_fails(storage: Storage, now: datetime) -> None:
    add(storage, [person(1), person(2)], now)
    assert refuses_a_stray_member(storage)
    with pytest.raises(RuntimeError), storage.database.trust_references(), storage.database.write():
        raise RuntimeError("the disk is full")
    assert refuses_a_stray_member(storage)


def refuses_a_stray_member(storage: Storage) -> bool:
    try:
        with storage.database.write() as connection:
            connection.exec_driver_sql("INSERT INTO list_member VALUES ('readers', 99, 'member', 0)")
    except IntegrityError:
        return True
    return False
