"""What a person decides about an edition that is going out."""

from datetime import datetime, timedelta

from distributor.storage import Storage
from tests.storage.scene import add_edition, add_readers, states

LATER = timedelta(hours=2)


def test_what_is_late_can_be_given_up_and_the_edition_adds_up(storage: Storage, now: datetime) -> None:
    edition = add_edition(storage, now)
    storage.recovery.hold_late(now + LATER)
    assert storage.decisions.give_up(edition, "old news", "anna", now + LATER) == 1
    assert states(storage) == {"skipped": 1}
    (row,) = storage.reports.list_editions()
    assert row.state == "complete"
    assert "old news" in storage.reports.list_notices(level="audit")[0].text


def test_what_still_waits_is_given_up_and_what_is_on_the_wire_finishes(storage: Storage, now: datetime) -> None:
    add_readers(storage, now, 3)
    edition = add_edition(storage, now, channel="letter", list_name="readers")
    storage.ledger.claim("letter", limit=1, paces=(), fence="one", lease=60, now=now)
    assert storage.decisions.give_up(edition, "wrong headline", "anna", now) == 2
    assert states(storage) == {"claimed": 1, "skipped": 2}
    assert storage.reports.list_editions()[0].state == "frozen"


def test_what_went_out_is_not_given_up(storage: Storage, now: datetime) -> None:
    edition = add_edition(storage, now)
    storage.decisions.give_up(edition, "once", "anna", now)
    assert storage.decisions.give_up(edition, "twice", "anna", now) == 0
    assert len(storage.reports.list_notices(level="audit")) == 1
