"""Between claim and first byte: who left, what was withdrawn, whether the words are the frozen ones, and whether
the channel itself is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from distributor.core.contracts import Wire
from distributor.core.errors import Busy, MessageRefused, RecipientGone, StorageError
from distributor.core.identity import identity_keys, judge
from distributor.core.message import Accepted, Limits, Message, NotStarted, Outcome, Pace
from distributor.pipeline.needs import find_capped
from distributor.storage import Storage
from distributor.storage.tables import delivery, edition, post
from tests.pipeline.sending_scene import Rig, accept, make_tiny
from tests.storage.scene import make_post

Act = Callable[[int, Message, Wire], Outcome]


def once_at(at: int, do: Callable[[], None], then: Act = accept) -> Act:
    """Do something just before the n-th message is started."""

    def act(index: int, message: Message, wire: Wire) -> Outcome:
        if index == at:
            do()
        return then(index, message, wire)

    return act


def answer(error: Exception) -> Act:
    def act(index: int, message: Message, wire: Wire) -> Outcome:
        outcome: Any = error if wire.start([index]) else NotStarted()
        wire.settle(index, outcome)
        return outcome  # type: ignore[no-any-return]

    return act


def revise(storage: Storage, now: datetime, number: int, **fields: Any) -> None:
    """The site shows the story with other words."""
    changed = make_post(number, published_at=now, **fields)
    known = storage.posts.find_known("front", identity_keys(changed))
    verdicts = judge([changed], known, storage.posts.source_stats("front"), now)
    storage.posts.apply_poll("front", "{}", verdicts, {}, None, now)


def reasons(storage: Storage) -> list[str]:
    return [row.reason for row in storage.reports.list_deliveries(state="held")]


def alarms(storage: Storage) -> list[str]:
    return [row.subject for row in storage.reports.list_notices(level="alarm")]


# -- readers -------------------------------------------------------------------------------------------------


def test_who_leaves_in_the_middle_of_a_batch_gets_no_letter(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    def leave() -> None:
        storage.recipients.suppress(["reader7@example.org"], "readers", "unsubscribed", rig.now)
        rig.now += timedelta(seconds=0.5)

    rig = make_tiny(storage, now, tmp_path, once_at(3, leave), batch=10, readers=10)
    rig.add()
    rig.send_all()
    assert rig.states == {"sent": 9, "skipped": 1}
    (left,) = storage.reports.list_deliveries(state="skipped")
    assert (left.recipient, left.attempts) == ("reader7@example.org", 0)


def test_a_whole_call_waits_when_one_of_its_readers_left(storage: Storage, now: datetime, tmp_path: Path) -> None:
    """A service that takes many readers in one call is asked for all of them at once."""

    def send(messages: Sequence[Message], wire: Wire) -> list[Outcome]:
        if not rig.pauses:
            rig.pauses.append(0)
            storage.recipients.suppress(["reader1@example.org"], "", "complained", rig.now)
            rig.now += timedelta(seconds=0.5)
        is_open = wire.start(range(len(messages)))
        return [Accepted("1") if is_open else NotStarted() for _ in messages]

    rig = make_tiny(storage, now, tmp_path, batch=10, readers=4)
    rig.channel.send = send  # type: ignore[method-assign]
    rig.add()
    rig.send_all()
    assert rig.states == {"sent": 3, "skipped": 1}


def test_who_cannot_be_asked_about_is_not_written_to(storage: Storage, now: datetime, tmp_path: Path) -> None:
    class Blind:
        def __getattr__(self, name: str) -> Any:
            return getattr(storage.ledger, name)

        def find_gone(self, delivery_ids: Sequence[int]) -> set[int]:
            raise StorageError("the database is locked by another program")

    rig = make_tiny(storage, now, tmp_path, batch=10, readers=5, ledger=Blind())
    rig.add()
    rig.send()
    assert rig.states["queued"] >= 3, "only what started within half a second of the claim went out"


def test_a_reader_of_a_list_with_one_voice_a_call_is_asked_about_at_the_sending_commit(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    def leave() -> None:
        storage.recipients.suppress(["reader0@example.org"], "", "complained", rig.now)

    rig = make_tiny(storage, now, tmp_path, batch=10, readers=1)
    rig.channel = make_tiny(storage, now, tmp_path, once_at(0, leave)).channel
    rig.channel.list_name = "readers"
    rig.add()
    rig.send_all()
    assert rig.states == {"skipped": 1}


# -- stories -------------------------------------------------------------------------------------------------


def test_a_story_that_now_says_embargo_is_held_before_its_first_byte(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    rig = make_tiny(storage, now, tmp_path)
    edition_id = rig.add(1)
    revise(storage, now, 1, headline="EMBARGO: story number 1")
    rig.send_all()
    assert rig.states == {"held": 1}
    assert reasons(storage) == ["story: 'EMBARGO: story number 1' was held (words) meanwhile"]
    assert alarms(storage) == ["withdrawn story"]
    storage.decisions.release(edition_id, None, "anna", rig.now)
    rig.send_all()
    assert rig.states == {"sent": 1}


def test_a_story_that_is_withdrawn_between_claim_and_first_byte_is_held(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    act = once_at(0, lambda: revise(storage, now, 1, headline="DO NOT PUBLISH story number 1"))
    rig = make_tiny(storage, now, tmp_path, act)
    rig.add(1)
    rig.send_all()
    assert rig.states == {"held": 1}
    assert storage.reports.list_deliveries()[0].attempts == 0


def test_a_letter_stops_at_the_next_batch_and_the_others_go_on(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    act = once_at(2, lambda: revise(storage, now, 1, headline="EMBARGO: story number 1"))
    rig = make_tiny(storage, now, tmp_path, act, batch=4, readers=10)
    rig.add(1)
    rig.add(2)
    rig.send_all()
    assert rig.states == {"sent": 14, "held": 6}


def test_a_dropped_story_is_held_with_its_edition(storage: Storage, now: datetime, tmp_path: Path) -> None:
    rig = make_tiny(storage, now, tmp_path)
    rig.add(1)
    revise(storage, now, 1, headline="EMBARGO: story number 1")
    storage.posts.drop(storage.posts.list_held_ids(), "anna", now)
    rig.send_all()
    assert rig.states == {"held": 1}


def test_only_told_stories_count_not_those_that_are_merely_linked(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    rig = make_tiny(storage, now, tmp_path)
    rig.add(1)
    with storage.database.write() as connection:
        connection.exec_driver_sql("UPDATE edition_post SET role = 'overflow'")
        connection.execute(post.update().values(status="held", reason="words"))
    rig.send_all()
    assert rig.states == {"sent": 1}


# -- bytes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ['{"each.txt":"Other words"}', "{", ""])
def test_words_that_changed_after_the_freeze_go_to_nobody(
    storage: Storage, now: datetime, tmp_path: Path, text: str
) -> None:
    rig = make_tiny(storage, now, tmp_path)
    edition_id = rig.add(1)
    with storage.database.write() as connection:
        connection.execute(edition.update().values(content=text))
    rig.send_all()
    assert rig.states == {"held": 1}
    assert alarms(storage) == ["changed bytes"]
    storage.decisions.release(edition_id, None, "anna", rig.now)
    rig.send_all()
    assert rig.states == {"held": 1}, "no release lets it out"


def test_the_bytes_are_compared_at_every_try(storage: Storage, now: datetime, tmp_path: Path) -> None:
    def spoil() -> None:
        with storage.database.write() as connection:
            connection.execute(edition.update().values(content='{"each.txt":"Other words"}'))

    rig = make_tiny(storage, now, tmp_path, once_at(0, spoil), batch=2, readers=6)
    rig.add(1)
    rig.send_all()
    assert rig.states == {"sent": 2, "held": 4}


# -- sums ----------------------------------------------------------------------------------------------------


def spoil_rows(rig: Rig, how: str) -> None:
    with rig.storage.database.write() as connection:
        last = connection.execute(delivery.select().order_by(delivery.c.id.desc()).limit(1)).one()
        if how == "lost":
            connection.execute(delivery.delete().where(delivery.c.id == last.id))
        else:
            row = {**last._mapping, "id": last.id + 1_000_000, "recipient_id": 4711, "state": "sent"}
            connection.execute(delivery.insert().values(row))


@pytest.mark.parametrize("how", ["lost", "added"])
def test_an_edition_whose_sums_disagree_is_not_complete_and_raises_one_alarm(
    storage: Storage, now: datetime, tmp_path: Path, how: str
) -> None:
    rig = make_tiny(storage, now, tmp_path, batch=2, readers=6)
    edition_id = rig.add(1)
    rig.send()
    spoil_rows(rig, how)
    rig.send_all()
    rig.add(2)
    rig.send_all()
    whole = {row.id: row for row in storage.reports.list_editions()}[edition_id]
    counted = {"lost": 5, "added": 7}[how]
    assert (whole.state, whole.reason) == ("frozen", f"does not add up: 6 planned, {counted} counted")
    assert alarms(storage) == ["accounting"]
    assert storage.reports.find_mismatches() == [edition_id]


# -- the channel itself --------------------------------------------------------------------------------------


def test_a_relay_that_refuses_everything_is_stopped_before_the_batch_is_used_up(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    rig = make_tiny(storage, now, tmp_path, answer(MessageRefused("spam", "554")), batch=100, readers=60)
    rig.add()
    rig.send_all()
    assert rig.states == {"failed": 11, "queued": 49}
    assert "11 of the last 11 messages were refused" in storage.decisions.list_paused()["main"]


def test_a_relay_that_knows_nobody_does_not_cost_the_whole_list(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    rig = make_tiny(storage, now, tmp_path, answer(RecipientGone("no such mailbox", "550")), batch=100, readers=60)
    rig.add()
    rig.send_all()
    assert rig.states == {"failed": 26, "queued": 34}
    assert "26 of the last 26 readers are said not to exist" in storage.decisions.list_paused()["main"]


def test_a_voice_stops_after_five_refusals_in_a_row(storage: Storage, now: datetime, tmp_path: Path) -> None:
    rig = make_tiny(storage, now, tmp_path, answer(MessageRefused("too long")))
    for number in range(8):
        rig.add(number)
    rig.send_all()
    assert rig.states == {"failed": 5, "queued": 3}


def test_a_burst_of_stories_waits_for_its_turn_behind_the_cap(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    rig = make_tiny(storage, now, tmp_path, paces=(Pace("cap:main", 5, 600.0),))
    for number in range(12):
        rig.add(number)
    rig.send_all()
    assert rig.states == {"sent": 5, "queued": 7}
    rig.send_all(timedelta(minutes=5))
    assert rig.states == {"sent": 5, "queued": 7}
    rig.send_all(timedelta(minutes=5))
    assert rig.states == {"sent": 10, "queued": 2}
    rig.send_all(timedelta(minutes=10))
    assert rig.states == {"sent": 12}


def test_what_is_more_than_the_cap_of_a_day_waits_for_its_turn_and_is_held_when_it_is_late(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    paces = (Pace("cap:main", 5, 600.0), Pace("cap:main", 8, 86_400.0))
    rig = make_tiny(storage, now, tmp_path, paces=paces)
    for number in range(12):
        rig.add(number)
    rig.send_all()
    rig.send_all(timedelta(minutes=10))
    assert rig.states == {"sent": 8, "queued": 4}
    rig.send_all(timedelta(minutes=10))
    assert rig.states == {"sent": 8, "queued": 4}
    capped = find_capped({"main": Limits(paces=paces)}, storage.figures.load_paces(), rig.now)
    assert now <= capped["main"] - timedelta(days=1) < now + timedelta(minutes=1)
    rig.send_all(timedelta(hours=2))
    storage.recovery.housekeep(rig.now)
    assert rig.states == {"sent": 8, "held": 4}


# -- the record, the hour, the pause -------------------------------------------------------------------------


def test_a_voice_is_on_record_before_its_first_byte(storage: Storage, now: datetime, tmp_path: Path) -> None:
    seen: list[dict[str, int]] = []

    def act(index: int, message: Message, wire: Wire) -> Outcome:
        seen.append(rig.states)
        wire.start([index])
        seen.append(rig.states)
        raise KeyboardInterrupt

    rig = make_tiny(storage, now, tmp_path, act)
    rig.add()
    with pytest.raises(KeyboardInterrupt):
        rig.send()
    assert seen == [{"claimed": 1}, {"sending": 1}]


def test_nothing_goes_out_after_its_hour_even_before_anybody_held_it(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    rig = make_tiny(storage, now, tmp_path)
    rig.add()
    rig.send_all(timedelta(hours=2, seconds=1))
    assert rig.states == {"queued": 1}
    storage.recovery.housekeep(rig.now)
    assert (rig.states, reasons(storage)) == ({"held": 1}, ["late"])


def test_a_service_that_is_busy_for_ever_ends_with_the_hour_and_not_in_a_loop(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    """Greylisting, for one: it counts as no try, so only lateness ends it."""

    rig = make_tiny(storage, now, tmp_path, answer(Busy("try again later", 300.0)), batch=10, readers=2)
    rig.add()
    for _ in range(30):
        rig.send_all(timedelta(minutes=6))
        storage.recovery.housekeep(rig.now)
    assert rig.states == {"held": 2}
    assert reasons(storage) == ["late", "late"]


def test_a_pause_between_claim_and_first_byte_wins(storage: Storage, now: datetime, tmp_path: Path) -> None:
    act = once_at(0, lambda: storage.decisions.pause("main", "wrong headline", "anna", rig.now))
    rig = make_tiny(storage, now, tmp_path, act)
    rig.add()
    rig.send_all()
    assert rig.states == {"queued": 1}
