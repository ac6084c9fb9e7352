"""Sending with the real ledger to each service's sandbox on its real port: what readers see, and what we know."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from distributor.core.contracts import Wire
from distributor.core.errors import Busy, MessageRefused, Outage
from distributor.core.message import Accepted, Message, NotStarted, Outcome, Pace
from distributor.core.tokens import read_unsubscribe
from distributor.pipeline.send import send_next
from distributor.storage import Storage, open_storage
from distributor.storage.send_journal import read_evidence
from tests.pipeline.sending_scene import BULK, SERVICES, AwayLedger, Rig, accept, make_tiny, open_rig

MINUTE = timedelta(minutes=1)

#: Answer -> (state after the first try, how many saw it then, state in the end, how many saw it in the end).
ANSWERS = {
    "accept": ("sent", 1, "sent", 1),
    "busy": ("queued", 0, "sent", 1),
    "outage": ("queued", 0, "sent", 1),
    "refuse": ("failed", 0, "failed", 0),
    "gone": ("failed", 0, "failed", 0),
    "closed": ("held", 0, "held", 0),
    "lost-before": ("unknown", 0, "unknown", 0),
    "lost-after": ("unknown", 1, "unknown", 1),
    "garbage": ("unknown", 1, "unknown", 1),
    "server-error": ("unknown", 0, "unknown", 0),
}
on_sqlite = pytest.mark.parametrize("ready_database_url", ["sqlite"], indirect=True)
each_service = pytest.mark.parametrize("service", SERVICES)
each_bulk_service = pytest.mark.parametrize("service", BULK)
OpenRig = Callable[..., Rig]


@pytest.fixture
def rigs(storage: Storage, now: datetime, tmp_path: Path) -> Iterator[OpenRig]:
    with contextlib.ExitStack() as stack:
        yield lambda service, **more: stack.enter_context(open_rig(service, storage, now, tmp_path, **more))


def skip_lacking(rig: Rig, answer: str) -> None:
    if answer in getattr(rig.sandbox, "lacks", ()):
        pytest.skip(f"this service has no answer {answer!r}")


def row(rig: Rig) -> Any:
    (found,) = rig.storage.reports.list_deliveries()
    return found


# -- one message, each answer --------------------------------------------------------------------------------


@on_sqlite
@each_service
@pytest.mark.parametrize("answer", ANSWERS)
def test_each_answer_leads_to_its_state_and_nobody_sees_a_message_twice(
    rigs: OpenRig, service: str, answer: str
) -> None:
    rig = rigs(service)
    skip_lacking(rig, answer)
    first, seen_first, last, seen_last = ANSWERS[answer]
    rig.add()
    rig.sandbox.script(answer)
    assert rig.send() == 0
    assert (rig.states, len(rig.seen)) == ({first: 1}, seen_first)
    rig.sandbox.script()
    for after in (MINUTE, 30 * MINUTE, timedelta(days=2)):
        rig.send_all(after)
        rig.storage.recovery.expire_leases(rig.now)
    assert (rig.states, len(rig.seen)) == ({last: 1}, seen_last)


@each_service
def test_one_after_the_other_every_answer_leaves_the_channel_able_to_go_on(rigs: OpenRig, service: str) -> None:
    rig = rigs(service)
    lacks = getattr(rig.sandbox, "lacks", ())
    expected: dict[str, int] = {}
    visible = 0
    for number, (answer, (_, _, last, seen)) in enumerate(ANSWERS.items()):
        # A reader who is gone gets nothing more, and a closed channel waits for a person: these come last.
        if answer in ("gone", "closed", *lacks):
            continue
        rig.add(number)
        rig.sandbox.script(answer)
        rig.send_all()
        rig.sandbox.script()
        rig.send_all(2 * MINUTE)
        expected[last] = expected.get(last, 0) + 1
        visible += seen
    assert (rig.states, len(rig.seen)) == (expected, visible)
    by_state = rig.storage.reports.count_deliveries()
    assert {state: number for (_, state), number in by_state.items() if number} == expected
    assert rig.storage.reports.find_mismatches() == []


@each_service
def test_what_is_resent_after_a_decision_is_the_same_to_the_byte(rigs: OpenRig, service: str) -> None:
    """Another process with only the database in hand. On X the words are there already, and found, not posted."""
    rig = rigs(service)
    rig.add()
    rig.sandbox.script("lost-after")
    rig.send()
    rig.storage.decisions.resolve(row(rig).id, "resend", "anna", rig.now)
    rig.restart()
    rig.send_all(MINUTE)
    assert rig.states == {"sent": 1}
    assert row(rig).may_duplicate
    if service == "x":
        assert len(rig.seen) == 1
        assert row(rig).receipt == rig.seen[0].receipt
        return
    first, second = rig.seen
    assert first.raw == second.raw
    assert first.recipient == second.recipient


@each_service
def test_after_an_outage_the_very_message_that_was_frozen_goes_out(rigs: OpenRig, service: str) -> None:
    rig = rigs(service)
    rig.add(1)
    rig.sandbox.script("outage")
    rig.send()
    assert "queued" in rig.states
    assert rig.seen == []
    rig.sandbox.script()
    rig.storage.posts.list_recent()
    rig.restart()
    rig.send_all(MINUTE)
    (sight,) = rig.seen
    assert "Story number 1" in sight.text + sight.html
    assert (row(rig).state, row(rig).attempts, row(rig).receipt) == ("sent", 2, sight.receipt)


@on_sqlite
@each_service
def test_a_closed_channel_waits_for_a_person_and_then_loses_nothing(rigs: OpenRig, service: str) -> None:
    rig = rigs(service)
    rig.add(1)
    rig.add(2)
    rig.sandbox.script("closed")
    rig.send_all()
    assert rig.states == {"held": 1, "queued": 1}
    assert "main" in rig.storage.decisions.list_paused()
    assert rig.storage.reports.list_notices(level="alarm")[0].subject == "channel main closed"
    rig.storage.decisions.resume("main", "anna", rig.now)
    rig.send_all(MINUTE)
    assert rig.states == {"sent": 2}
    assert len(rig.seen) == 2


@each_bulk_service
def test_a_reader_who_is_gone_gets_nothing_more(rigs: OpenRig, service: str) -> None:
    rig = rigs(service)
    rig.add(1)
    rig.sandbox.script("gone")
    rig.send_all()
    assert rig.states == {"failed": 1}
    rig.add(2)
    assert rig.storage.reports.list_editions()[0].audience == 0


def test_stories_go_out_in_the_order_they_were_due(rigs: OpenRig) -> None:
    rig = rigs("x")
    for number in (1, 2, 3):
        rig.add(number)
        rig.now += MINUTE
    rig.send_all()
    assert [sight.text.partition("\n")[0] for sight in rig.seen] == [f"Story number {n}" for n in (1, 2, 3)]


@on_sqlite
@pytest.mark.parametrize("service", ["telegram", "x"])
def test_a_busy_service_is_left_alone_by_the_whole_channel(rigs: OpenRig, service: str) -> None:
    rig = rigs(service)
    rig.add(1)
    rig.add(2)
    rig.sandbox.script("busy")
    assert rig.send() == 0
    wait = rig.send()
    assert wait is not None
    assert wait > 0
    assert rig.seen == []
    rig.send_all(timedelta(seconds=wait) + MINUTE)
    rig.send_all(MINUTE)
    assert (rig.states, len(rig.seen)) == ({"sent": 2}, 2)


# -- many readers --------------------------------------------------------------------------------------------


@each_bulk_service
def test_every_reader_gets_one_letter_with_a_way_out_of_their_own(rigs: OpenRig, service: str) -> None:
    rig = rigs(service, readers=25)
    edition_id = rig.add()
    rig.send_all()
    assert rig.states == {"sent": 25}
    assert sorted(sight.recipient for sight in rig.seen) == sorted(f"reader{n}@example.org" for n in range(25))
    (done,) = rig.storage.reports.list_editions()
    assert (done.state, done.counts) == ("complete", {"sent": 25})
    assert read_evidence(rig.folder)[0].outcomes == {}, "what the ledger has, the journal forgets"
    if service == "smtp":
        for sight in rig.seen:
            token = sight.raw.decode().replace("=\r\n", "").partition("https://go.example.org/u/")[2]
            found = read_unsubscribe(rig.storage.secret, token.partition(">")[0])
            assert found is not None
            assert found[1] == edition_id


def pause_at(rig: Rig, count: int, act: Callable[[], None]) -> None:
    """Do something at the moment the service takes its n-th mail."""
    real, left = rig.sandbox._clock, [count]

    def clock() -> float:
        left[0] -= 1
        if left[0] == 0:
            act()
        return float(real())

    rig.sandbox._clock = clock


def test_a_pause_in_the_middle_of_a_batch_stops_before_the_next_letter(rigs: OpenRig) -> None:
    rig = rigs("smtp", readers=20, connections=1)
    rig.add()
    pause_at(rig, 7, lambda: rig.storage.decisions.pause("main", "wrong headline", "anna", rig.now))
    rig.send_all()
    assert (rig.states, len(rig.seen)) == ({"sent": 7, "queued": 13}, 7)
    assert rig.send() is None
    rig.storage.decisions.resume("main", "anna", rig.now)
    rig.send_all(MINUTE)
    assert rig.states == {"sent": 20}
    assert len({sight.recipient for sight in rig.seen}) == len(rig.seen) == 20


def test_with_several_connections_a_pause_lets_only_what_is_on_the_wire_finish(rigs: OpenRig) -> None:
    rig = rigs("smtp", readers=40, connections=4)
    rig.add()
    pause_at(rig, 10, lambda: rig.storage.decisions.pause("main", "wrong headline", "anna", rig.now))
    rig.send_all()
    assert 10 <= len(rig.seen) <= 13
    assert rig.states == {"sent": len(rig.seen), "queued": 40 - len(rig.seen)}


def test_stopping_in_the_middle_of_a_batch_leaves_the_rest_queued(rigs: OpenRig) -> None:
    rig = rigs("smtp", readers=20, connections=1)
    rig.add()

    def stop() -> None:
        rig.is_stopping = True

    pause_at(rig, 4, stop)
    rig.send_all()
    assert (rig.states, len(rig.seen)) == ({"sent": 4, "queued": 16}, 4)
    assert {one.attempts for one in rig.storage.reports.list_deliveries(state="queued")} == {0}
    rig.lane.close()
    assert list(rig.folder.iterdir()) == []
    rig.is_stopping = False
    rig.restart()
    rig.send_all()
    assert (rig.states, len(rig.seen)) == ({"sent": 20}, 20)


def test_before_the_lease_ends_nothing_new_is_started(rigs: OpenRig) -> None:
    rig = rigs("smtp", readers=10, connections=1)
    rig.add()

    def stall() -> None:
        rig.now += timedelta(seconds=rig.lane.lease - rig.lane.margin)

    pause_at(rig, 3, stall)
    assert rig.send() == 0
    assert (rig.states, len(rig.seen)) == ({"sent": 3, "queued": 7}, 3)


def test_a_service_that_asks_everybody_for_patience_is_left_alone_by_the_whole_channel(rigs: OpenRig) -> None:
    rig = rigs("sendgrid", readers=30, per_call=10)
    rig.add()
    rig.sandbox.script("busy", "busy", "busy", "busy", "busy")
    assert rig.send() == 0
    wait = rig.send()
    assert wait is not None
    assert 0 < wait <= 60
    assert rig.states == {"queued": 30}
    assert len(rig.sandbox.calls) == 1
    for _ in range(10):
        rig.send_all(MINUTE)
    assert (rig.states, len(rig.seen)) == ({"sent": 30}, 30)


def test_one_refused_address_does_not_cost_the_others_their_letter(rigs: OpenRig) -> None:
    rig = rigs("sendgrid", readers=12)
    rig.sandbox.refuse_address("reader5@example.org")
    rig.add()
    for _ in range(4):
        rig.send_all(MINUTE)
    assert rig.states == {"sent": 11, "failed": 1}
    assert len({sight.recipient for sight in rig.seen}) == len(rig.seen) == 11


# -- faults of our own ---------------------------------------------------------------------------------------


def break_off(at: int, error: BaseException, *, is_started: bool) -> Callable[[int, Message, Wire], Outcome]:
    def act(index: int, message: Message, wire: Wire) -> Outcome:
        if index == at:
            if is_started:
                wire.start([index])
            raise error
        return accept(index, message, wire)

    return act


@pytest.mark.parametrize("is_started", [True, False])
def test_a_channel_that_breaks_off_costs_certainty_only_about_what_it_had_started(
    storage: Storage, now: datetime, tmp_path: Path, is_started: bool
) -> None:
    act = break_off(3, RuntimeError("a bug"), is_started=is_started)
    rig = make_tiny(storage, now, tmp_path, act, batch=10, readers=10)
    rig.add()
    rig.send()
    assert rig.states == ({"sent": 3, "unknown": 1, "queued": 6} if is_started else {"sent": 3, "queued": 7})
    assert read_evidence(rig.folder)[0].outcomes == {}


@pytest.mark.parametrize(("is_started", "state"), [(True, "unknown"), (False, "queued")])
def test_the_same_for_a_channel_of_one_voice(
    storage: Storage, now: datetime, tmp_path: Path, is_started: bool, state: str
) -> None:
    rig = make_tiny(storage, now, tmp_path, break_off(0, RuntimeError("a bug"), is_started=is_started))
    rig.add()
    rig.send()
    assert rig.states == {state: 1}


def test_a_channel_that_miscounts_its_answers_is_believed_only_where_it_told_each(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    rig = make_tiny(storage, now, tmp_path, batch=10, readers=5)
    whole = rig.channel.send
    rig.channel.send = lambda messages, wire: [*whole(messages, wire), NotStarted()]  # type: ignore[method-assign]
    rig.add()
    rig.send()
    assert rig.states == {"sent": 5}


def test_a_second_form_withheld_after_an_explicit_no_can_be_tried_again(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    """Telegram refuses an image; the same words without it are about to go; then somebody stops the program."""

    def act(index: int, message: Message, wire: Wire) -> Outcome:
        wire.start([index])
        rig.is_stopping = True
        return NotStarted() if not wire.start([index]) else Accepted("1")

    rig = make_tiny(storage, now, tmp_path, act)
    rig.add()
    rig.send()
    assert rig.states == {"queued": 1}
    assert row(rig).detail == "stopped after an explicit no to its first form"
    rig.restart()
    rig.is_stopping = False
    rig.channel = make_tiny(storage, now, tmp_path).channel
    rig.send_all()
    assert rig.states == {"sent": 1}


def test_a_kill_in_the_middle_of_a_batch_leaves_only_what_was_on_the_wire_unknown(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    rig = make_tiny(
        storage, now, tmp_path, break_off(4, KeyboardInterrupt(), is_started=True), batch=10, readers=10
    )
    rig.add()
    with pytest.raises(KeyboardInterrupt):
        rig.send()
    assert rig.states == {"claimed": 10}
    evidence, _ = read_evidence(rig.folder)
    assert storage.recovery.recover(evidence, ["another"], rig.now) == {"sent": 4, "unknown": 1, "queued": 5}
    assert storage.recovery.recover(evidence, ["another"], rig.now) == {"sent": 0, "unknown": 0, "queued": 0}
    assert {one.receipt for one in storage.reports.list_deliveries(state="sent")} == {
        f"id-{one.id}" for one in storage.reports.list_deliveries(state="sent")
    }


def test_answers_are_told_again_and_again_while_the_database_is_away(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    rig = make_tiny(storage, now, tmp_path, ledger=AwayLedger(storage.ledger, 5), batch=10, readers=3)
    rig.add()
    rig.send()
    assert rig.states == {"sent": 3}
    assert len(rig.pauses) == 5
    assert rig.pauses == sorted(rig.pauses)
    assert rig.pauses[0] < 1


@on_sqlite
def test_a_database_locked_by_another_program_delays_the_answer_and_loses_nothing(
    storage: Storage, ready_database_url: str, now: datetime, tmp_path: Path
) -> None:
    path = ready_database_url.removeprefix("sqlite:///")
    impatient = open_storage(f"{ready_database_url}")
    other = sqlite3.connect(path, isolation_level=None)

    def lock(index: int, message: Message, wire: Wire) -> Outcome:
        outcome = accept(index, message, wire)
        with impatient.database.write() as connection:
            driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA busy_timeout = 10")
        other.execute("BEGIN IMMEDIATE")
        return outcome

    def unlock() -> None:
        other.execute("ROLLBACK")

    rig = make_tiny(impatient, now, tmp_path, lock)
    rig.add()
    rig.on_pause = unlock
    rig.send()
    assert rig.states == {"sent": 1}
    assert len(rig.pauses) == 1
    other.close()
    impatient.close()


class FullJournal:
    """A journal on a disk without room."""

    def note(self, accepted: object, refused: object, started: object) -> None:
        assert started and not accepted and not refused, "nothing was started"
        raise OSError("the send journal could not be written; is the disk full?")

    def forget(self) -> None: ...
    def close(self) -> None: ...


@each_bulk_service
def test_on_a_full_disk_no_letter_leaves(rigs: OpenRig, service: str) -> None:
    rig = rigs(service, readers=8)
    rig.journal = FullJournal()
    rig.add()
    rig.send()
    assert (rig.states, rig.seen) == ({"queued": 8}, [])
    assert {one.attempts for one in rig.storage.reports.list_deliveries()} == {0}


# -- waiting -------------------------------------------------------------------------------------------------


def test_with_nothing_to_do_only_a_wake_up_brings_work(storage: Storage, now: datetime, tmp_path: Path) -> None:
    rig = make_tiny(storage, now, tmp_path)
    assert rig.send() is None
    rig.is_stopping = True
    rig.add()
    assert rig.send() is None
    assert rig.states == {"queued": 1}


def test_the_pace_of_a_channel_is_kept_between_messages(storage: Storage, now: datetime, tmp_path: Path) -> None:
    rig = make_tiny(storage, now, tmp_path, paces=(Pace("chat", 1, 30.0),))
    rig.add(1)
    rig.add(2)
    assert rig.send() == 0
    wait = rig.send()
    assert wait is not None
    assert 25 < wait <= 30
    rig.send_all(timedelta(seconds=wait))
    assert rig.states == {"sent": 2}


def test_a_service_that_used_up_its_window_is_left_alone_until_it_opens(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    def act(index: int, message: Message, wire: Wire) -> Outcome:
        wire.start([index])
        return Accepted("1", rest_until=(now + 10 * MINUTE).timestamp())

    rig = make_tiny(storage, now, tmp_path, act)
    rig.add(1)
    rig.add(2)
    rig.send()
    wait = rig.send()
    assert wait is not None
    assert 590 < wait < 600
    assert rig.states == {"sent": 1, "queued": 1}


@pytest.mark.parametrize(
    ("outcomes", "is_left_alone"),
    [
        ([Outage("refused"), Outage("refused"), Outage("refused")], True),
        ([Busy("later", 5.0), Busy("later", 3.0), Busy("later", 900.0)], True),
        ([Busy("later", 5.0), Outage("refused"), Busy("later", 5.0)], True),
        ([Busy("later", 5.0), MessageRefused("too long"), Busy("later", 5.0)], False),
        ([Accepted("1"), Outage("refused"), Outage("refused")], False),
    ],
)
def test_a_list_rests_only_when_nobody_got_through(
    storage: Storage, now: datetime, tmp_path: Path, outcomes: list[Outcome], is_left_alone: bool
) -> None:
    rig = make_tiny(storage, now, tmp_path, lambda i, m, w: outcomes[i], batch=3, readers=6)
    rig.add()
    rig.send()
    wait = send_next(rig.lane)
    assert (wait is not None and 0 < wait <= 60) == is_left_alone
