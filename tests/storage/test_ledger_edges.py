"""The ledger where two truths meet: old holders, late answers, tries that do not count."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text

from distributor.core.delivery import Settlement, settle
from distributor.core.errors import Busy, ChannelClosed, MessageRefused, Outage, StorageError
from distributor.core.message import Accepted, NotStarted, Outcome
from distributor.core.sending import Batch, Claimed, Evidence, Settled, Wait
from distributor.storage import Storage
from distributor.storage.tables import attempt
from tests.storage.scene import add_edition, add_readers, states

LEASE = 900.0


def claim(storage: Storage, now: datetime, channel: str = "tg", limit: int = 1, fence: str = "me") -> Batch:
    batch = storage.ledger.claim(channel, limit=limit, paces=(), fence=fence, lease=LEASE, now=now)
    assert isinstance(batch, Batch)
    return batch


def tell(
    storage: Storage, item: Claimed, outcome: Outcome, now: datetime, *, channel: str = "tg", fence: str = "me"
) -> Settlement:
    number = item.attempts + 1
    what = settle(outcome, number, 20, item.delivery_id)
    storage.ledger.settle(channel, fence, [Settled(item.delivery_id, number, now, now, what)], now)
    return what


def attempts(storage: Storage) -> list[tuple[int, str, str]]:
    """(number, outcome, receipt) of every try there is evidence of."""
    with storage.database.read() as connection:
        rows = connection.execute(select(attempt).order_by(attempt.c.delivery_id, attempt.c.number))
        return [(row.number, row.outcome, row.receipt or "") for row in rows]


def test_an_old_holder_cannot_overwrite_the_evidence_of_the_new_one(storage: Storage, now: datetime) -> None:
    add_edition(storage, now)
    (old,) = claim(storage, now, fence="old").claimed
    later = now + timedelta(seconds=LEASE + 1)
    storage.recovery.expire_leases(later)
    (new,) = claim(storage, later, fence="new").claimed
    storage.ledger.start([new.delivery_id], "new", later)
    tell(storage, new, Accepted("42"), later, fence="new")
    tell(storage, old, Outage("woke up without a network"), later, fence="old")
    assert states(storage) == {"sent": 1}
    assert attempts(storage) == [(1, "sent", "42")]


def test_an_answer_to_an_earlier_try_changes_nothing_of_a_later_one(storage: Storage, now: datetime) -> None:
    add_edition(storage, now)
    (first,) = claim(storage, now).claimed
    storage.ledger.start([first.delivery_id], "me", now)
    storage.recovery.expire_leases(now + timedelta(hours=1))
    storage.decisions.resolve(first.delivery_id, "resend", "the editor", now)
    (second,) = claim(storage, now).claimed
    storage.ledger.start([second.delivery_id], "me", now)
    tell(storage, first, MessageRefused("the answer to the first try"), now)
    assert states(storage) == {"sending": 1}
    tell(storage, second, Accepted("43"), now)
    assert attempts(storage) == [(1, "unknown", ""), (2, "sent", "43")]


@pytest.mark.parametrize("late", [MessageRefused("too long"), Outage("refused"), Busy("later", 2.0), NotStarted()])
def test_only_an_acceptance_comes_too_late_and_still_decides(
    storage: Storage, now: datetime, late: Outcome
) -> None:
    add_edition(storage, now)
    (item,) = claim(storage, now).claimed
    storage.ledger.start([item.delivery_id], "me", now)
    storage.recovery.expire_leases(now + timedelta(hours=1))
    tell(storage, item, late, now + timedelta(hours=1))
    assert states(storage) == {"unknown": 1}
    (row,) = storage.reports.list_deliveries()
    assert str(late) in row.detail if isinstance(late, Exception) else row.detail
    tell(storage, item, Accepted("7"), now + timedelta(hours=1))
    assert states(storage) == {"sent": 1}


def test_an_expired_bulk_delivery_counts_its_try_and_leaves_evidence(storage: Storage, now: datetime) -> None:
    add_readers(storage, now, 1)
    add_edition(storage, now, channel="letter", list_name="readers")
    (item,) = claim(storage, now, "letter").claimed
    storage.recovery.expire_leases(now + timedelta(hours=1))
    (row,) = storage.reports.list_deliveries()
    assert (row.state, row.attempts) == ("unknown", 1)
    assert attempts(storage) == [(1, "unknown", "")]
    assert storage.reports.list_notices(level="alarm")[0].text.startswith("1 message may or may not have gone out")
    tell(storage, item, Accepted("250 ok"), now, channel="letter")
    assert attempts(storage) == [(1, "sent", "250 ok")]


def test_a_service_that_asks_for_patience_uses_up_no_try_and_can_be_tried_again(
    storage: Storage, now: datetime
) -> None:
    add_edition(storage, now)
    for round_number in range(3):
        at = now + timedelta(seconds=10 * round_number)
        (item,) = claim(storage, at).claimed
        assert item.attempts == 0
        assert storage.ledger.start([item.delivery_id], "me", at) == [item.delivery_id]
        tell(storage, item, Busy("later", 5.0, "429"), at)
    at = now + timedelta(minutes=1)
    (item,) = claim(storage, at).claimed
    storage.ledger.start([item.delivery_id], "me", at)
    assert attempts(storage) == [(1, "", "")]
    tell(storage, item, Accepted("9"), at)
    assert attempts(storage) == [(1, "sent", "9")]


def test_a_message_withheld_after_it_was_put_on_record_can_start_again(storage: Storage, now: datetime) -> None:
    add_edition(storage, now)
    (item,) = claim(storage, now).claimed
    storage.ledger.start([item.delivery_id], "me", now)
    tell(storage, item, NotStarted(), now)
    (again,) = claim(storage, now).claimed
    assert storage.ledger.start([again.delivery_id], "me", now) == [item.delivery_id]


def test_an_edition_whose_last_readers_left_is_complete_without_a_send(storage: Storage, now: datetime) -> None:
    add_readers(storage, now, 2)
    add_edition(storage, now, channel="letter", list_name="readers")
    storage.recipients.suppress(["reader0@example.org", "reader1@example.org"], "", "complained", now)
    assert claim(storage, now, "letter", limit=10).claimed == ()
    (edition,) = storage.reports.list_editions()
    assert (edition.state, edition.counts) == ("complete", {"skipped": 2})


def test_an_edition_goes_to_the_list_it_was_frozen_for(storage: Storage, now: datetime) -> None:
    """A channel that gets another list in the configuration does not lose the readers of what is on its way."""
    add_readers(storage, now, 2, "readers")
    add_edition(storage, now, channel="letter", list_name="readers")
    add_readers(storage, now, 1, "subscribers")
    assert len(claim(storage, now, "letter", limit=10).claimed) == 2


def test_a_closed_channel_without_a_word_is_resumed_like_any_other(storage: Storage, now: datetime) -> None:
    add_edition(storage, now)
    (item,) = claim(storage, now).claimed
    tell(storage, item, ChannelClosed(""), now)
    storage.decisions.resume("tg", "the operator", now)
    assert states(storage) == {"queued": 1}


def test_releasing_what_is_not_held_leaves_its_hour_as_it_was(storage: Storage, now: datetime) -> None:
    edition_id = add_edition(storage, now, lateness=timedelta(minutes=5))
    assert storage.decisions.release(edition_id, None, "the editor", now) == 0
    assert storage.recovery.hold_late(now + timedelta(minutes=6)) == 1


def test_a_claim_that_ran_out_can_be_started_by_nobody(storage: Storage, now: datetime) -> None:
    add_edition(storage, now)
    (item,) = claim(storage, now).claimed
    storage.recovery.expire_leases(now + timedelta(hours=1))
    assert storage.ledger.start([item.delivery_id], "me", now + timedelta(hours=1)) == []


def test_nothing_starts_twice(storage: Storage, now: datetime) -> None:
    add_edition(storage, now)
    (item,) = claim(storage, now).claimed
    assert storage.ledger.start([item.delivery_id], "me", now) == [item.delivery_id]
    assert storage.ledger.start([item.delivery_id], "me", now) == []


def test_a_settled_delivery_can_be_told_again_without_harm(storage: Storage, now: datetime) -> None:
    """The database may lose the connection after it committed; then the lane tells it once more."""
    add_edition(storage, now)
    (item,) = claim(storage, now).claimed
    storage.ledger.start([item.delivery_id], "me", now)
    for _ in range(2):
        tell(storage, item, Accepted("42"), now)
    assert states(storage) == {"sent": 1}
    assert attempts(storage) == [(1, "sent", "42")]
    assert storage.recovery.recover(Evidence(), [], now) == {"queued": 0, "unknown": 0, "sent": 0}


def test_a_paused_channel_says_so_by_waiting_for_a_wake_up(storage: Storage, now: datetime) -> None:
    add_edition(storage, now)
    storage.decisions.pause("tg", "wrong picture", "the editor", now)
    assert storage.ledger.claim("tg", limit=1, paces=(), fence="me", lease=LEASE, now=now) == Wait(None)
    assert storage.decisions.list_paused() == {"tg": "wrong picture"}


def test_a_lock_that_is_not_given_is_trouble_of_the_database_and_not_a_bug(
    postgres_ready_storage: Storage, now: datetime
) -> None:
    """Only then does the lane tell its answers again instead of losing them."""
    add_edition(postgres_ready_storage, now)
    write = postgres_ready_storage.database.write
    with write() as one:
        one.execute(text("LOCK TABLE delivery IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(StorageError, match="busy"), write() as two:
            two.execute(text("SET LOCAL lock_timeout = '20ms'"))
            two.execute(text("SELECT count(*) FROM delivery"))


def test_what_was_presumed_and_is_found_after_all_is_counted_as_sent(storage: Storage, now: datetime) -> None:
    add_edition(storage, now)
    (item,) = claim(storage, now).claimed
    storage.ledger.start([item.delivery_id], "me", now)
    storage.recovery.recover(Evidence(), [], now)
    storage.decisions.resolve(item.delivery_id, "leave", "anna", now)
    assert storage.reports.count_deliveries() == {("tg", "presumed"): 1}
    assert storage.recovery.prove_sent(item.delivery_id, "42", "found on the timeline", now)
    assert storage.reports.count_deliveries() == {("tg", "sent"): 1}
    assert attempts(storage) == [(1, "sent", "42")]
