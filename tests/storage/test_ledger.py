"""The ledger's promises, on both databases."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest

from distributor.core.delivery import Settlement, settle
from distributor.core.errors import ChannelClosed, Outage, RecipientGone, Unknown
from distributor.core.message import Accepted, Pace
from distributor.core.sending import Batch, Evidence, Settled, Wait
from distributor.storage import Storage
from tests.storage.scene import add_edition, add_readers, states


def claim(storage: Storage, now: datetime, *, channel: str = "tg", limit: int = 1) -> Batch:
    batch = storage.ledger.claim(channel, limit=limit, paces=(), fence="me", lease=900, now=now)
    assert isinstance(batch, Batch)
    return batch


def settled(batch: Batch, settlement: Settlement, now: datetime, index: int = 0) -> Settled:
    item = batch.claimed[index]
    return Settled(item.delivery_id, item.attempts + 1, now, now, settlement)


def test_a_delivery_goes_queued_claimed_sending_sent_and_the_edition_completes(
    storage: Storage, now: datetime
) -> None:
    add_edition(storage, now)
    assert states(storage) == {"queued": 1}
    batch = claim(storage, now)
    assert states(storage) == {"claimed": 1}
    ids = [item.delivery_id for item in batch.claimed]
    assert storage.ledger.start(ids, "me", now) == ids
    assert states(storage) == {"sending": 1}
    storage.ledger.settle("tg", "me", [settled(batch, Settlement("sent", receipt="42"), now)], now)
    (row,) = storage.reports.list_deliveries()
    assert (row.state, row.receipt, row.attempts) == ("sent", "42", 1)
    (edition,) = storage.reports.list_editions()
    assert edition.state == "complete"


def test_a_claimed_delivery_cannot_be_claimed_again(storage: Storage, now: datetime) -> None:
    add_edition(storage, now)
    claim(storage, now)
    again = storage.ledger.claim("tg", limit=1, paces=(), fence="you", lease=900, now=now)
    assert again == Wait(None)


def test_many_claimers_get_each_delivery_once(storage: Storage, now: datetime) -> None:
    add_readers(storage, now, 60)
    add_edition(storage, now, channel="letter", list_name="readers")
    taken: list[int] = []
    lock = threading.Lock()

    def work(fence: str) -> None:
        while True:
            batch = storage.ledger.claim("letter", limit=7, paces=(), fence=fence, lease=900, now=now)
            if isinstance(batch, Wait):
                return
            with lock:
                taken.extend(item.delivery_id for item in batch.claimed)

    threads = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 60


def test_only_the_holder_of_the_fence_may_start_and_settle(storage: Storage, now: datetime) -> None:
    add_edition(storage, now)
    batch = claim(storage, now)
    ids = [item.delivery_id for item in batch.claimed]
    assert storage.ledger.start(ids, "thief", now) == []
    storage.ledger.settle("tg", "thief", [settled(batch, Settlement("sent"), now)], now)
    assert states(storage) == {"claimed": 1}


def test_pause_wins_over_a_claim_already_made(storage: Storage, now: datetime) -> None:
    add_edition(storage, now)
    batch = claim(storage, now)
    storage.decisions.pause("tg", "wrong headline", "the editor", now)
    assert storage.ledger.start([batch.claimed[0].delivery_id], "me", now) == []
    assert storage.ledger.claim("tg", limit=1, paces=(), fence="me", lease=900, now=now) == Wait(None)


def test_who_left_the_list_after_the_freeze_is_skipped(storage: Storage, now: datetime) -> None:
    add_readers(storage, now, 3)
    add_edition(storage, now, channel="letter", list_name="readers")
    storage.recipients.suppress(["reader1@example.org"], "readers", "complained", now)
    batch = claim(storage, now, channel="letter", limit=10)
    assert [item.address for item in batch.claimed] == ["reader0@example.org", "reader2@example.org"]
    assert states(storage) == {"claimed": 2, "skipped": 1}


def test_a_claimed_delivery_of_a_dead_process_is_queued_again(storage: Storage, now: datetime) -> None:
    add_edition(storage, now)
    claim(storage, now)
    assert storage.recovery.recover(Evidence(), ["alive"], now) == {"queued": 1, "unknown": 0, "sent": 0}
    assert states(storage) == {"queued": 1}


def test_a_sending_delivery_of_a_dead_process_becomes_unknown_and_stays_so(storage: Storage, now: datetime) -> None:
    add_edition(storage, now)
    batch = claim(storage, now)
    storage.ledger.start([batch.claimed[0].delivery_id], "me", now)
    storage.recovery.recover(Evidence(), ["alive"], now)
    assert states(storage) == {"unknown": 1}
    assert storage.recovery.recover(Evidence(), ["alive"], now) == {"queued": 0, "unknown": 0, "sent": 0}
    assert storage.ledger.claim("tg", limit=1, paces=(), fence="x", lease=900, now=now) == Wait(None)


def test_bulk_recovery_follows_the_send_journal(storage: Storage, now: datetime) -> None:
    add_readers(storage, now, 3)
    add_edition(storage, now, channel="letter", list_name="readers")
    batch = claim(storage, now, channel="letter", limit=3)
    a, b, c = [item.delivery_id for item in batch.claimed]
    evidence = Evidence({a: "sent 250 queued", b: "started"}, frozenset({"me"}))
    assert storage.recovery.recover(evidence, [], now) == {"queued": 1, "unknown": 1, "sent": 1}
    found = {row.id: row.state for row in storage.reports.list_deliveries()}
    assert found == {a: "sent", b: "unknown", c: "queued"}


def test_without_a_complete_journal_a_claimed_bulk_delivery_is_unknown(storage: Storage, now: datetime) -> None:
    add_readers(storage, now, 2)
    add_edition(storage, now, channel="letter", list_name="readers")
    claim(storage, now, channel="letter", limit=2)
    assert storage.recovery.recover(Evidence(), [], now)["unknown"] == 2


def test_an_expired_claim_of_one_voice_is_queued_and_a_bulk_one_is_unknown(storage: Storage, now: datetime) -> None:
    add_readers(storage, now, 1)
    add_edition(storage, now, channel="letter", list_name="readers", number=1)
    add_edition(storage, now, channel="tg", number=2)
    claim(storage, now, channel="letter")
    claim(storage, now)
    assert storage.recovery.expire_leases(now + timedelta(minutes=10)) == {"queued": 0, "unknown": 0}
    assert storage.recovery.expire_leases(now + timedelta(minutes=20)) == {"queued": 1, "unknown": 1}


def test_late_truth_turns_unknown_into_sent(storage: Storage, now: datetime) -> None:
    add_edition(storage, now)
    batch = claim(storage, now)
    storage.ledger.start([batch.claimed[0].delivery_id], "me", now)
    storage.recovery.expire_leases(now + timedelta(hours=1))
    assert states(storage) == {"unknown": 1}
    storage.ledger.settle("tg", "me", [settled(batch, Settlement("sent", receipt="7"), now)], now)
    assert states(storage) == {"sent": 1}


def test_an_outage_waits_and_a_retry_counts_its_attempt(storage: Storage, now: datetime) -> None:
    add_edition(storage, now)
    batch = claim(storage, now)
    what = settle(Outage("connection refused"), 1, 20, batch.claimed[0].delivery_id)
    storage.ledger.settle("tg", "me", [settled(batch, what, now)], now)
    wait = storage.ledger.claim("tg", limit=1, paces=(), fence="me", lease=900, now=now)
    assert isinstance(wait, Wait)
    assert wait.seconds == pytest.approx(what.wait, abs=0.01)
    later = now + timedelta(seconds=what.wait + 1)
    assert claim(storage, later).claimed[0].attempts == 1


def test_a_closed_channel_holds_its_delivery_pauses_and_resumes(storage: Storage, now: datetime) -> None:
    add_edition(storage, now)
    batch = claim(storage, now)
    what = settle(ChannelClosed("the bot was kicked"), 1, 20, 1)
    storage.ledger.settle("tg", "me", [settled(batch, what, now)], now)
    assert states(storage) == {"held": 1}
    assert "kicked" in storage.decisions.list_paused()["tg"]
    storage.decisions.resume("tg", "the operator", now)
    assert states(storage) == {"queued": 1}


def test_a_gone_reader_is_marked_and_not_in_the_next_audience(storage: Storage, now: datetime) -> None:
    add_readers(storage, now, 2)
    add_edition(storage, now, channel="letter", list_name="readers", number=1)
    batch = claim(storage, now, channel="letter", limit=1)
    what = settle(RecipientGone("no such mailbox"), 1, 20, 1)
    storage.ledger.settle("letter", "me", [settled(batch, what, now)], now)
    add_edition(storage, now, channel="letter", list_name="readers", number=2)
    assert storage.reports.list_editions()[0].audience == 1


def test_late_deliveries_are_held_and_released_by_a_person(storage: Storage, now: datetime) -> None:
    edition_id = add_edition(storage, now, lateness=timedelta(minutes=5))
    later = now + timedelta(minutes=6)
    assert storage.ledger.claim("tg", limit=1, paces=(), fence="me", lease=900, now=later) == Wait(None)
    assert storage.recovery.hold_late(later) == 1
    storage.decisions.release(edition_id, later + timedelta(hours=1), "the editor", later)
    assert claim(storage, later).claimed


def test_a_person_resolves_an_unknown(storage: Storage, now: datetime) -> None:
    for number, decision, state in ((1, "sent", "sent"), (2, "resend", "queued"), (3, "leave", "presumed")):
        add_edition(storage, now, channel=f"tg{number}", number=number)
        batch = claim(storage, now, channel=f"tg{number}")
        delivery_id = batch.claimed[0].delivery_id
        storage.ledger.start([delivery_id], "me", now)
        storage.ledger.settle(f"tg{number}", "me", [settled(batch, settle(Unknown("reset"), 1, 20, 1), now)], now)
        assert storage.decisions.resolve(delivery_id, decision, "the editor", now)
        assert not storage.decisions.resolve(delivery_id, decision, "the editor", now)
        row = next(r for r in storage.reports.list_deliveries() if r.id == delivery_id)
        assert (row.state, row.may_duplicate) == (state, decision == "resend")


def test_an_edition_with_an_unknown_is_not_complete(storage: Storage, now: datetime) -> None:
    add_edition(storage, now)
    batch = claim(storage, now)
    storage.ledger.start([batch.claimed[0].delivery_id], "me", now)
    storage.ledger.settle("tg", "me", [settled(batch, settle(Unknown("reset"), 1, 20, 1), now)], now)
    assert storage.reports.list_editions()[0].state == "frozen"
    storage.decisions.resolve(batch.claimed[0].delivery_id, "leave", "the editor", now)
    assert storage.reports.list_editions()[0].state == "complete"


def test_pace_is_shared_and_exact(storage: Storage, now: datetime) -> None:
    for number in range(1, 5):
        add_edition(storage, now, number=number)
    pace = (Pace("telegram:chat", 2, 60.0),)

    def ask(at: datetime) -> Batch | Wait:
        return storage.ledger.claim("tg", limit=1, paces=pace, fence="me", lease=900, now=at)

    assert isinstance(ask(now), Batch)
    assert isinstance(ask(now + timedelta(seconds=10)), Batch)
    assert ask(now + timedelta(seconds=20)) == Wait(pytest.approx(40.0))
    assert isinstance(ask(now + timedelta(seconds=60.1)), Batch)


def test_a_channel_rests_when_the_service_asks_for_it(storage: Storage, now: datetime) -> None:
    add_edition(storage, now)
    storage.ledger.rest_channel("tg", now + timedelta(seconds=30))
    assert storage.ledger.claim("tg", limit=1, paces=(), fence="me", lease=900, now=now) == Wait(
        pytest.approx(30.0)
    )
    assert claim(storage, now + timedelta(seconds=31)).claimed


def test_an_edition_is_frozen_once_and_planned_once(storage: Storage, now: datetime) -> None:
    edition_id = add_edition(storage, now)
    from distributor.core.message import Content

    again = storage.editions.freeze(
        edition_id, Content({"text": "other words"}), list_name="", revisions={}, links=(), now=now
    )
    assert again == -1
    assert storage.reports.count_deliveries() == {("tg", "queued"): 1}


def test_a_sum_that_disagrees_keeps_the_edition_open_and_is_reported(storage: Storage, now: datetime) -> None:
    from distributor.storage.tables import delivery

    add_readers(storage, now, 2)
    edition_id = add_edition(storage, now, channel="letter", list_name="readers")
    batch = claim(storage, now, channel="letter", limit=2)
    with storage.database.write() as connection:
        connection.execute(delivery.delete().where(delivery.c.id == batch.claimed[1].delivery_id))
    storage.ledger.settle("letter", "me", [settled(batch, Settlement("sent"), now)], now)
    assert storage.reports.list_editions()[0].state == "frozen"
    assert storage.reports.find_mismatches() == [edition_id]


def test_accepted_answers_of_a_batch_are_stored_with_their_receipts(storage: Storage, now: datetime) -> None:
    add_readers(storage, now, 5)
    add_edition(storage, now, channel="letter", list_name="readers")
    batch = claim(storage, now, channel="letter", limit=5)
    items = [settled(batch, settle(Accepted(f"queued as {i}"), 1, 20, 1), now, index=i) for i in range(5)]
    storage.ledger.settle("letter", "me", items, now)
    assert {row.receipt for row in storage.reports.list_deliveries()} == {f"queued as {i}" for i in range(5)}
    (edition,) = storage.reports.list_editions()
    assert (edition.state, edition.audience) == ("complete", 5)
