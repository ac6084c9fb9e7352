"""After a pause: what waited goes out in order, is skipped, is spread, or waits for a person; always in numbers."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from distributor.core.deciding import Resumed
from distributor.core.delivery import settle
from distributor.core.errors import ChannelClosed, MessageRefused
from distributor.core.sending import Batch, Settled, Wait
from distributor.storage import Storage
from distributor.storage.tables import delivery
from tests.storage.scene import add_edition, add_readers, states

MINUTE = timedelta(minutes=1)


def claim(storage: Storage, now: datetime, channel: str = "tg", limit: int = 100) -> Batch | Wait:
    return storage.ledger.claim(channel, limit=limit, paces=(), fence="me", lease=900, now=now)


def queue_behind_a_pause(storage: Storage, now: datetime, count: int = 3) -> list[int]:
    storage.decisions.pause("tg", "wrong headline", "anna", now)
    return [add_edition(storage, now + n * MINUTE, number=n) for n in range(count)]


def resume(storage: Storage, now: datetime, mode: str = "all", minutes: int = 0, channel: str = "tg") -> Resumed:
    done = storage.decisions.resume(channel, "anna", now, mode, minutes)  # type: ignore[arg-type]
    assert done is not None
    said = storage.reports.list_notices(level="audit")[0].text
    assert said == f"anna resumed {channel}: {done.describe()}"
    return done


def waits(storage: Storage) -> list[float]:
    with storage.database.read() as connection:
        rows = connection.execute(select(delivery.c.not_before).order_by(delivery.c.id)).scalars()
        return [row.timestamp() if row else 0.0 for row in rows]


def test_all_go_out_in_the_order_they_were_due(storage: Storage, now: datetime) -> None:
    editions = queue_behind_a_pause(storage, now)
    later = now + 10 * MINUTE
    assert claim(storage, later) == Wait(None)
    done = resume(storage, later)
    assert done == Resumed("tg", "all", going=3, going_editions=3)
    assert done.describe() == "3 messages of 3 editions go out in order"
    order = []
    while isinstance(batch := claim(storage, later, limit=1), Batch):
        order.append(batch.edition.id)
    assert order == editions


def test_what_waited_can_be_skipped_and_every_edition_is_complete(storage: Storage, now: datetime) -> None:
    queue_behind_a_pause(storage, now)
    done = resume(storage, now + 10 * MINUTE, "drop")
    assert done.describe() == "3 messages of 3 editions are skipped"
    assert states(storage) == {"skipped": 3}
    assert {row.state for row in storage.reports.list_editions()} == {"complete"}
    row = storage.reports.list_deliveries()[0]
    assert row.reason == "dropped after a pause"


def test_dropping_what_waited_also_drops_what_became_late_meanwhile(storage: Storage, now: datetime) -> None:
    queue_behind_a_pause(storage, now, 2)
    storage.recovery.hold_late(now + timedelta(hours=3))
    add_edition(storage, now + timedelta(hours=3), number=7)
    assert resume(storage, now + timedelta(hours=3), "drop").skipped == 3
    assert states(storage) == {"skipped": 3}


def test_what_was_late_before_the_pause_is_another_decision(storage: Storage, now: datetime) -> None:
    add_edition(storage, now, number=9)
    storage.recovery.hold_late(now + timedelta(hours=3))
    storage.decisions.pause("tg", "wrong headline", "anna", now + timedelta(hours=4))
    done = resume(storage, now + timedelta(hours=5), "drop")
    assert done.describe() == "nothing waited"
    assert states(storage) == {"held": 1}


def test_only_the_newest_of_each_schedule_goes(storage: Storage, now: datetime) -> None:
    editions = queue_behind_a_pause(storage, now)
    done = resume(storage, now + 10 * MINUTE, "newest")
    assert done.describe() == "1 message of 1 edition goes out in order; 2 messages of 2 editions are skipped"
    batch = claim(storage, now + 10 * MINUTE)
    assert isinstance(batch, Batch)
    assert batch.edition.id == editions[-1]
    assert states(storage) == {"skipped": 2, "claimed": 1}


def test_a_voice_spreads_its_editions_evenly(storage: Storage, now: datetime) -> None:
    queue_behind_a_pause(storage, now)
    later = now + 10 * MINUTE
    done = resume(storage, later, "spread", 30)
    assert done.describe() == "3 messages of 3 editions go out over 30 minutes"
    assert waits(storage) == [(later + n * 10 * MINUTE).timestamp() for n in range(3)]
    assert isinstance(claim(storage, later), Batch)
    assert claim(storage, later) == Wait(600.0)


def test_what_is_spread_does_not_become_late_by_that(storage: Storage, now: datetime) -> None:
    queue_behind_a_pause(storage, now)
    later = now + 50 * MINUTE
    resume(storage, later, "spread", 90)
    assert isinstance(claim(storage, later), Batch)
    storage.recovery.hold_late(later + 65 * MINUTE)
    assert isinstance(claim(storage, later + 65 * MINUTE), Batch)


def test_a_list_is_spread_in_portions_one_a_minute(storage: Storage, now: datetime) -> None:
    add_readers(storage, now, 20)
    storage.decisions.pause("letter", "wrong headline", "anna", now)
    add_edition(storage, now, channel="letter", list_name="readers")
    resume(storage, now, "spread", 5, "letter")
    found = [round(one - now.timestamp()) for one in waits(storage)]
    assert found == sorted([0, 60, 120, 180, 240] * 4)


def test_everything_can_be_held_for_a_person(storage: Storage, now: datetime) -> None:
    editions = queue_behind_a_pause(storage, now)
    done = resume(storage, now + 10 * MINUTE, "review")
    assert done.describe() == "3 messages of 3 editions are held for a person"
    assert claim(storage, now + 10 * MINUTE) == Wait(None)
    storage.decisions.pause("tg", "again", "anna", now + 11 * MINUTE)
    assert resume(storage, now + 12 * MINUTE).describe() == "nothing waited"
    storage.decisions.release(editions[1], None, "anna", now + 12 * MINUTE)
    batch = claim(storage, now + 12 * MINUTE)
    assert isinstance(batch, Batch)
    assert batch.edition.id == editions[1]


def test_what_is_late_by_now_stays_held_and_is_told(storage: Storage, now: datetime) -> None:
    queue_behind_a_pause(storage, now, 2)
    later = now + timedelta(hours=3)
    add_edition(storage, later, number=9)
    storage.recovery.hold_late(later)
    done = resume(storage, later)
    assert done.describe() == "1 message of 1 edition goes out in order; 2 are late by now and stay held"
    assert states(storage) == {"held": 2, "queued": 1}


def test_a_half_sent_letter_goes_on_where_it_stopped(storage: Storage, now: datetime) -> None:
    add_readers(storage, now, 5)
    add_edition(storage, now, channel="letter", list_name="readers")
    claim(storage, now, "letter", 2)
    storage.decisions.pause("letter", "wrong headline", "anna", now)
    assert resume(storage, now, channel="letter").going == 3


def test_nothing_is_decided_about_a_channel_that_is_open(storage: Storage, now: datetime) -> None:
    add_edition(storage, now)
    assert storage.decisions.resume("tg", "anna", now, "drop") is None
    assert states(storage) == {"queued": 1}
    assert storage.reports.list_notices() == []


def test_resuming_lets_go_only_what_the_channel_s_closing_held(storage: Storage, now: datetime) -> None:
    add_edition(storage, now, number=1)
    add_edition(storage, now, number=2)
    batch = claim(storage, now)
    assert isinstance(batch, Batch)
    one = Settled(batch.claimed[0].delivery_id, 1, now, now, settle(ChannelClosed("kicked"), 1, 20, 1))
    storage.ledger.settle("tg", "me", [one], now)
    with storage.database.write() as connection:
        held = delivery.update().where(delivery.c.state == "queued")
        connection.execute(held.values(state="held", reason="restored"))
    assert storage.decisions.list_paused() == {"tg": "kicked"}
    assert resume(storage, now).going == 1
    assert states(storage) == {"held": 1, "queued": 1}


def test_all_channels_are_paused_at_once_and_a_reason_that_is_there_stays(storage: Storage, now: datetime) -> None:
    storage.decisions.pause("x", "no credit", "the service", now)
    assert storage.decisions.pause_all(["tg", "x", "letter"], "evacuation", "anna", now) == ["tg", "letter"]
    assert storage.decisions.list_paused() == {"tg": "evacuation", "letter": "evacuation", "x": "no credit"}


# -- the breaker ---------------------------------------------------------------------------------------------


def refuse(storage: Storage, now: datetime, channel: str = "tg", limit: int = 1) -> None:
    batch = claim(storage, now, channel, limit)
    assert isinstance(batch, Batch)
    what = settle(MessageRefused("refused", "too long"), 1, 20, 1)
    done = [Settled(one.delivery_id, 1, now, now, what) for one in batch.claimed]
    storage.ledger.settle(channel, "me", done, now)


def test_five_refusals_in_a_row_pause_a_voice_with_an_alarm(storage: Storage, now: datetime) -> None:
    for number in range(6):
        add_edition(storage, now, number=number)
    for _ in range(4):
        refuse(storage, now)
    assert storage.decisions.list_paused() == {}
    refuse(storage, now)
    why = "5 messages in a row were refused, the last one: refused too long"
    assert storage.decisions.list_paused() == {"tg": why}
    assert storage.reports.list_notices(level="alarm")[0].subject == "channel tg stopped"
    assert storage.reports.list_notices(level="audit")[0].text.startswith("the breaker paused tg")
    assert claim(storage, now) == Wait(None)


def test_an_opened_channel_has_no_past(storage: Storage, now: datetime) -> None:
    for number in range(7):
        add_edition(storage, now, number=number)
    for _ in range(5):
        refuse(storage, now)
    resume(storage, now)
    refuse(storage, now)
    assert storage.decisions.list_paused() == {}


@pytest.mark.parametrize(("refused", "is_stopped"), [(10, False), (11, True)])
def test_a_list_is_stopped_by_more_than_a_fifth(
    storage: Storage, now: datetime, refused: int, is_stopped: bool
) -> None:
    add_readers(storage, now, refused)
    add_edition(storage, now, channel="letter", list_name="readers")
    refuse(storage, now, "letter", refused)
    assert ("letter" in storage.decisions.list_paused()) == is_stopped
