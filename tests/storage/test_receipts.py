"""The evidence of a batch that was accepted stands on one page, and says of each reader what a row would."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from distributor.core.delivery import Settlement, settle
from distributor.core.errors import Busy, Outage, RecipientGone
from distributor.core.message import Accepted, Outcome
from distributor.core.sending import Batch, Claimed, Settled
from distributor.storage import Storage
from distributor.storage.receipts import Kept, find_by_receipt, find_kept, read_page, write_page
from distributor.storage.tables import attempt, delivery, receipt_page
from tests.storage.scene import add_edition, add_readers, states

LEASE = 900.0


@pytest.fixture
def edition_id(storage: Storage, now: datetime) -> int:
    """Six readers wait for their letter."""
    add_readers(storage, now, 6)
    return add_edition(storage, now, channel="letter", list_name="readers")


def claim(storage: Storage, now: datetime, limit: int = 10) -> tuple[Claimed, ...]:
    batch = storage.ledger.claim("letter", limit=limit, paces=(), fence="me", lease=LEASE, now=now)
    assert isinstance(batch, Batch)
    return batch.claimed


def tell(storage: Storage, claimed: Sequence[Claimed], outcomes: Sequence[Outcome], now: datetime) -> list[Settled]:
    settled = [
        Settled(one.delivery_id, one.attempts + 1, now, now, settle(outcome, one.attempts + 1, 20, 1))
        for one, outcome in zip(claimed, outcomes, strict=True)
    ]
    storage.ledger.settle("letter", "me", settled, now)
    return settled


def count(storage: Storage) -> tuple[int, int]:
    """Pages, rows of attempts."""
    with storage.database.read() as connection:
        pages, rows = (select(func.count()).select_from(table) for table in (receipt_page, attempt))
        return connection.execute(pages).scalar_one(), connection.execute(rows).scalar_one()


def receipts(storage: Storage) -> list[tuple[int, str, str, str]]:
    """(delivery, state, receipt, detail), the oldest first."""
    rows = storage.reports.list_deliveries()
    return sorted((row.id, row.state, row.receipt, row.detail) for row in rows)


def test_a_batch_that_was_accepted_leaves_one_page_and_each_reader_his_receipt(
    storage: Storage, edition_id: int, now: datetime
) -> None:
    claimed = claim(storage, now)
    tell(storage, claimed, [Accepted(f"id{n}", f"250 ok {n}") for n in range(6)], now)
    assert count(storage) == (1, 0)
    assert receipts(storage) == [
        (one.delivery_id, "sent", f"id{n}", f"250 ok {n}") for n, one in enumerate(claimed)
    ]


def test_whoever_was_not_simply_accepted_has_a_row_of_his_own(
    storage: Storage, edition_id: int, now: datetime
) -> None:
    claimed = claim(storage, now)
    outcomes: list[Outcome] = [
        Accepted("a"),
        RecipientGone("no such user"),
        Accepted("b"),
        Outage("away"),
        Accepted("c"),
        Busy("slowly", 5),
    ]
    tell(storage, claimed, outcomes, now)
    assert count(storage) == (1, 3)
    told = {row[0]: row[1:3] for row in receipts(storage)}
    assert [told[one.delivery_id] for one in claimed] == [
        ("sent", "a"),
        ("failed", ""),
        ("sent", "b"),
        ("queued", ""),
        ("sent", "c"),
        ("queued", ""),
    ]


def test_a_page_is_the_last_word_after_a_try_that_was_not_counted(
    storage: Storage, edition_id: int, now: datetime
) -> None:
    busy: list[Outcome] = [Busy("slowly", 5)]
    tell(storage, claim(storage, now), busy * 6, now)
    later = now + timedelta(minutes=1)
    tell(storage, claim(storage, later), [Accepted(f"id{n}") for n in range(6)], later)
    assert count(storage) == (1, 6)
    assert [row[1:] for row in receipts(storage)] == [("sent", f"id{n}", "") for n in range(6)]


def test_an_answer_told_twice_leaves_the_page_as_it_is(storage: Storage, edition_id: int, now: datetime) -> None:
    claimed = claim(storage, now)
    settled = tell(storage, claimed, [Accepted(f"id{n}") for n in range(6)], now)
    storage.ledger.settle("letter", "me", settled, now)
    storage.ledger.settle("letter", "me", settled[3:], now)
    assert count(storage) == (1, 0)
    assert [row[2] for row in receipts(storage)] == [f"id{n}" for n in range(6)]


def test_answers_after_the_lease_are_kept_one_by_one(storage: Storage, edition_id: int, now: datetime) -> None:
    claimed = claim(storage, now)
    later = now + timedelta(seconds=LEASE + 1)
    storage.recovery.expire_leases(later)
    assert states(storage) == {"unknown": 6}
    tell(storage, claimed, [Accepted(f"id{n}") for n in range(6)], later)
    assert states(storage) == {"sent": 6}
    assert count(storage) == (0, 6)
    assert [row[2] for row in receipts(storage)] == [f"id{n}" for n in range(6)]


def test_another_holder_is_not_on_the_page(storage: Storage, edition_id: int, now: datetime) -> None:
    claimed = claim(storage, now)
    with storage.database.write("test.take") as connection:
        theirs = delivery.c.id.in_([claimed[0].delivery_id, claimed[5].delivery_id])
        connection.execute(delivery.update().where(theirs).values(fence="another"))
    tell(storage, claimed, [Accepted(f"id{n}") for n in range(6)], now)
    assert states(storage) == {"claimed": 2, "sent": 4}
    with storage.database.read() as connection:
        kept = find_kept(connection, dict.fromkeys((one.delivery_id for one in claimed), edition_id))
    assert sorted(kept) == [one.delivery_id for one in claimed[1:5]]


def test_pages_of_two_batches_do_not_mix(storage: Storage, edition_id: int, now: datetime) -> None:
    for first in (0, 3):
        tell(storage, claim(storage, now, limit=3), [Accepted(f"id{first + n}") for n in range(3)], now)
    assert count(storage) == (2, 0)
    assert [row[2] for row in receipts(storage)] == [f"id{n}" for n in range(6)]


def test_answers_of_two_editions_told_together_have_a_page_each(
    storage: Storage, edition_id: int, now: datetime
) -> None:
    claimed = claim(storage, now)
    add_edition(storage, now, channel="letter", list_name="readers", number=2)
    claimed += claim(storage, now)
    tell(storage, claimed, [Accepted(f"id{n}") for n in range(12)], now)
    assert count(storage) == (2, 0)
    assert [row[1:3] for row in receipts(storage)] == [("sent", f"id{n}") for n in range(12)]


def test_a_page_is_found_by_reader_and_receipt(storage: Storage, edition_id: int, now: datetime) -> None:
    claimed = claim(storage, now)
    odd = ["plain", "100%", "a_b", 'so "called"', "back\\slash", "na\u00efve"]
    tell(storage, claimed, [Accepted(one) for one in odd], now)
    with storage.database.read() as connection:
        for one, receipt in zip(claimed, odd, strict=True):
            assert find_by_receipt(connection, "letter", one.recipient_id, receipt) == {one.delivery_id}
            assert find_by_receipt(connection, "letter", one.recipient_id, receipt[:-1]) == set()
            assert find_by_receipt(connection, "other", one.recipient_id, receipt) == set()
            other = claimed[0] if one is not claimed[0] else claimed[1]
            assert find_by_receipt(connection, "letter", other.recipient_id, receipt) == set()


texts = st.text(max_size=20)
tries = st.tuples(texts, texts, st.integers(0, 100_000), st.integers(0, 100_000))


@given(answers=st.dictionaries(st.integers(1, 10**9), tries, min_size=1, max_size=8), number=st.integers(1, 99))
def test_a_page_says_of_each_what_was_written(answers: dict[int, tuple[str, str, int, int]], number: int) -> None:
    began = datetime(2026, 11, 23, 16, tzinfo=UTC)
    settled = [
        Settled(
            one,
            number,
            began + timedelta(milliseconds=after),
            began + timedelta(milliseconds=after + took),
            Settlement("sent", receipt=receipt, detail=detail),
        )
        for one, (receipt, detail, after, took) in answers.items()
    ]
    assert dict(read_page(SimpleNamespace(**write_page(settled)))) == {
        one.delivery_id: Kept(number, one.started_at, one.ended_at, one.settlement.receipt, one.settlement.detail)
        for one in settled
    }


def test_half_a_character_in_an_answer_costs_that_character_only(now: datetime) -> None:
    said = Settlement("sent", receipt="a\ud800b", detail="fine")
    page = write_page([Settled(1, 1, now, now, said)])
    page["data"].encode()
    assert [kept.receipt for _, kept in read_page(SimpleNamespace(**page))] == ["a?b"]
