"""Reports of services, and what follows from them, on both databases."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import select

from distributor.core.delivery import settle
from distributor.core.errors import Unknown
from distributor.core.message import Accepted, Outcome, ServiceEvent
from distributor.core.sending import Batch, Settled
from distributor.storage import Storage
from distributor.storage.events import EventCount
from distributor.storage.tables import service_event, subscriber
from tests.storage.scene import add_edition, add_readers, states


@pytest.fixture
def sent(storage: Storage, now: datetime) -> list[int]:
    """Delivery ids of three readers: two sent, the last unknown."""
    add_readers(storage, now, 3)
    add_edition(storage, now, channel="letter", list_name="readers")
    batch = storage.ledger.claim("letter", limit=3, paces=(), fence="me", lease=900, now=now)
    assert isinstance(batch, Batch)
    outcomes: list[Outcome] = [Accepted("r0"), Accepted("r1"), Unknown("reset")]
    settled = [
        Settled(item.delivery_id, 1, now, now, settle(outcome, 1, 20, 1))
        for item, outcome in zip(batch.claimed, outcomes, strict=True)
    ]
    storage.ledger.settle("letter", "me", settled, now)
    return [item.delivery_id for item in batch.claimed]


def event(kind: str, delivery_id: int | None = None, address: str = "", receipt: str = "") -> ServiceEvent:
    key = f"{kind}:{delivery_id}:{address}:{receipt}"
    return ServiceEvent(kind, key, 1_795_000_000.0, receipt, address, delivery_id, "said so")


def stored(storage: Storage) -> list[tuple[str, int | None, str]]:
    with storage.database.read() as connection:
        rows = connection.execute(select(service_event).order_by(service_event.c.id)).all()
    return [(row.kind, row.delivery_id, row.detail) for row in rows]


def statuses(storage: Storage) -> dict[str, str]:
    with storage.database.read() as connection:
        return {row.address: row.status for row in connection.execute(select(subscriber))}


def test_a_delivered_message_is_a_fact_and_changes_no_state(
    storage: Storage, sent: list[int], now: datetime
) -> None:
    count = storage.events.add("letter", [event("delivered", sent[0], "reader0@example.org")], now)
    assert count == EventCount(new=1)
    assert stored(storage) == [("delivered", sent[0], "said so")]
    assert states(storage) == {"sent": 2, "unknown": 1}


def test_the_same_event_again_is_stored_once(storage: Storage, sent: list[int], now: datetime) -> None:
    one, other = event("delivered", sent[0]), event("delivered", sent[1])
    assert storage.events.add("letter", [one, one, other], now) == EventCount(new=2, repeated=1)
    assert storage.events.add("letter", [other], now) == EventCount(repeated=1)
    assert len(stored(storage)) == 2


def test_an_event_without_a_key_of_its_own_is_stored_once_too(
    storage: Storage, sent: list[int], now: datetime
) -> None:
    bare = ServiceEvent("delivered", "", 1.0, delivery_id=sent[0])
    assert storage.events.add("letter", [bare], now) == EventCount(new=1)
    assert storage.events.add("letter", [bare], now) == EventCount(repeated=1)


def test_a_bounce_marks_the_reader_unreachable(storage: Storage, sent: list[int], now: datetime) -> None:
    storage.events.add("letter", [event("bounced", sent[0], "Reader0@Example.org")], now)
    assert statuses(storage)["reader0@example.org"] == "unreachable"
    assert storage.recipients.is_member(1, "readers")


def test_a_block_says_nothing_about_the_reader(storage: Storage, sent: list[int], now: datetime) -> None:
    storage.events.add("letter", [event("blocked", sent[0], "reader0@example.org")], now)
    assert set(statuses(storage).values()) == {"active"}


@pytest.mark.parametrize("kind", ["complained", "unsubscribed"])
def test_who_complains_or_leaves_there_is_off_the_list_here(
    storage: Storage, sent: list[int], now: datetime, kind: str
) -> None:
    storage.events.add("letter", [event(kind, sent[0])], now)
    row = next(iter(storage.recipients.iter_rows("readers")))
    assert (row.state, row.suppression) == ("left", kind)
    assert storage.recipients.list_lists() == {"readers": 2}


def test_later_good_news_takes_nothing_back(storage: Storage, sent: list[int], now: datetime) -> None:
    storage.events.add("letter", [event("complained", sent[0]), event("bounced", sent[1])], now)
    storage.events.add("letter", [event("delivered", sent[0]), event("delivered", sent[1])], now)
    assert statuses(storage)["reader1@example.org"] == "unreachable"
    assert storage.recipients.list_lists() == {"readers": 2}


def test_a_report_proves_that_an_unknown_message_went_out(storage: Storage, sent: list[int], now: datetime) -> None:
    storage.events.add("letter", [event("delivered", sent[2], "reader2@example.org", "abc")], now)
    assert states(storage) == {"sent": 3}
    (edition,) = storage.reports.list_editions()
    assert edition.state == "complete"
    (row,) = [row for row in storage.reports.list_deliveries() if row.id == sent[2]]
    assert row.receipt == "abc"


def test_an_event_with_the_address_of_somebody_else_has_no_effect(
    storage: Storage, sent: list[int], now: datetime
) -> None:
    forged = event("complained", sent[0], "reader1@example.org")
    assert storage.events.add("letter", [forged], now) == EventCount(new=1, unmatched=1)
    assert stored(storage) == [("complained", None, "reader1@example.org: said so")]
    assert storage.recipients.list_lists() == {"readers": 3}


@pytest.mark.parametrize("name", ["other", "lette"])
def test_an_event_of_another_channel_has_no_effect(
    storage: Storage, sent: list[int], now: datetime, name: str
) -> None:
    assert storage.events.add(name, [event("bounced", sent[0])], now).unmatched == 1
    assert set(statuses(storage).values()) == {"active"}


def test_an_unknown_number_or_a_bare_address_suppresses_nobody(
    storage: Storage, sent: list[int], now: datetime
) -> None:
    events = [event("bounced", 999_999), event("complained", address="reader0@example.org"), event("unsubscribed")]
    assert storage.events.add("letter", events, now) == EventCount(new=3, unmatched=3)
    assert set(statuses(storage).values()) == {"active"}
    assert storage.recipients.list_lists() == {"readers": 3}


def test_a_receipt_with_its_reader_names_the_delivery(storage: Storage, sent: list[int], now: datetime) -> None:
    right = event("bounced", address="reader1@example.org", receipt="r1")
    wrong = event("bounced", address="reader0@example.org", receipt="r1")
    assert storage.events.add("letter", [right, wrong], now) == EventCount(new=2, unmatched=1)
    assert statuses(storage)["reader1@example.org"] == "unreachable"
    assert statuses(storage)["reader0@example.org"] == "active"


def test_a_receipt_alone_names_a_delivery_of_one_voice_only(
    storage: Storage, sent: list[int], now: datetime
) -> None:
    add_edition(storage, now, channel="tg", number=2)
    batch = storage.ledger.claim("tg", limit=1, paces=(), fence="me", lease=900, now=now)
    assert isinstance(batch, Batch)
    delivery_id = batch.claimed[0].delivery_id
    storage.ledger.settle("tg", "me", [Settled(delivery_id, 1, now, now, settle(Accepted("r0"), 1, 20, 1))], now)
    assert storage.events.add("tg", [event("complained", receipt="r0")], now) == EventCount(new=1)
    assert storage.events.add("letter", [event("bounced", receipt="r0")], now).unmatched == 1


def test_an_empty_report_is_nothing(storage: Storage, now: datetime) -> None:
    assert storage.events.add("letter", [], now) == EventCount()


def test_a_sound_database_has_no_problem_and_the_look_leaves_no_trace(storage: Storage) -> None:
    from sqlalchemy import text

    def count() -> int:
        with storage.database.read() as connection:
            return int(connection.execute(text("SELECT count(*) FROM meta")).scalar_one())

    before = count()
    assert storage.health.find_problem() == ""
    assert count() == before


def test_a_database_of_another_version_is_a_problem_with_a_fix(storage: Storage) -> None:
    from sqlalchemy import text

    with storage.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert "newer than this program" in storage.health.find_problem()


def test_editions_are_counted_by_channel_and_state(storage: Storage, sent: list[int]) -> None:
    assert storage.health.count_editions() == {("letter", "frozen"): 1}
