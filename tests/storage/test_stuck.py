"""What stands still, as both databases tell it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from distributor.core.delivery import settle
from distributor.core.errors import StorageError, Unknown
from distributor.core.message import DECIDE_WITHIN
from distributor.core.reporting import HeldRow
from distributor.core.sending import Batch, Settled, Wait
from distributor.storage import Storage
from distributor.storage.instance import enter_safe_mode
from distributor.storage.notices import is_paused
from distributor.storage.recorded import RecordedLedger
from distributor.storage.tables import channel, delivery
from tests.storage.scene import add_edition, add_readers, states


def test_held_messages_are_told_by_edition_and_reason(storage: Storage, now: datetime) -> None:
    add_readers(storage, now, 3)
    first = add_edition(storage, now, channel="letter", list_name="readers", number=1)
    second = add_edition(storage, now, number=2)
    with storage.database.write() as connection:
        everything = update(delivery).values(state="held", reason="late")
        connection.execute(everything)
        connection.execute(everything.values(reason="review").where(delivery.c.recipient_id == 2))
    assert storage.reports.list_held() == [
        HeldRow(first, "letter", "Story number 1", "late", 2),
        HeldRow(first, "letter", "Story number 1", "review", 1),
        HeldRow(second, "tg", "Story number 2", "late", 1),
    ]
    assert len(storage.reports.list_held(limit=2)) == 2


def test_the_first_deadline_of_a_channel_is_known(storage: Storage, now: datetime) -> None:
    for number in range(3):
        add_edition(storage, now, number=number)
    for wait in (900.0, 300.0, 0.0):
        batch = storage.ledger.claim("tg", limit=1, paces=(), fence="me", lease=900, now=now)
        assert isinstance(batch, Batch)
        number = batch.claimed[0].delivery_id
        storage.ledger.start([number], "me", now)
        what = settle(Unknown("reset"), 1, 20, 1)
        object.__setattr__(what, "wait", wait)
        storage.ledger.settle("tg", "me", [Settled(number, 1, now, now, what)], now)
    assert storage.reports.find_deadlines() == {"tg": now + timedelta(seconds=300)}
    deadlines = {row.decide_by for row in storage.reports.list_deliveries(state="unknown")}
    assert deadlines == {now + timedelta(seconds=wait) for wait in (900, 300, DECIDE_WITHIN)}


def test_in_safe_mode_what_waits_is_claimed_by_nobody(storage: Storage, now: datetime, tmp_path: Path) -> None:
    add_edition(storage, now)
    enter_safe_mode(storage.database, "a copy", now)
    ledger = RecordedLedger(storage, tmp_path, "me")
    assert ledger.claim("tg", limit=1, paces=(), fence="me", lease=60, now=now) == Wait(None)
    assert states(storage) == {"queued": 1}


def test_who_paused_a_channel_is_told(storage: Storage, now: datetime) -> None:
    storage.decisions.pause("tg", "wrong headline", "anna", now)
    assert storage.reports.list_channels()["tg"].by == "anna"


def test_a_pause_that_is_being_written_waits_for_what_begins(
    postgres_ready_storage: Storage, now: datetime
) -> None:
    """SQLite has one writer; on PostgreSQL the channel's row is held until `sending` is committed."""
    storage = postgres_ready_storage
    storage.decisions.pause("tg", "once", "anna", now)
    storage.decisions.resume("tg", "anna", now)
    asked = select(channel.c.name).where(channel.c.name == "tg").with_for_update(nowait=True)
    with storage.database.write() as beginning:
        assert not is_paused(beginning, "tg", is_binding=True)
        with pytest.raises(StorageError, match="busy"), storage.database.write() as pausing:
            pausing.execute(asked)
    with storage.database.write() as pausing:
        assert pausing.execute(asked).scalar() == "tg"
