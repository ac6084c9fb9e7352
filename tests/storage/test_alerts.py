"""The table of troubles, and which process watches."""

from __future__ import annotations

from datetime import datetime, timedelta

from distributor.core.alerting import Trouble
from distributor.storage import Storage

DISK, PAUSED = Trouble("disk", "8 % is free"), Trouble("paused tg", "tg is closed")


def test_a_trouble_is_written_once_and_keeps_its_beginning(storage: Storage, now: datetime) -> None:
    later = now + timedelta(minutes=5)
    assert storage.alerts.note([DISK], now)["disk"].since == now
    known = storage.alerts.note([Trouble("disk", "7 % is free"), PAUSED], later)
    assert {key: (row.text, row.since, row.told_at) for key, row in known.items()} == {
        "disk": ("7 % is free", now, None),
        "paused tg": ("tg is closed", later, None),
    }
    assert storage.alerts.load() == known
    assert storage.alerts.count() == 2


def test_what_ends_untold_is_forgotten_and_what_was_told_waits_for_its_end(storage: Storage, now: datetime) -> None:
    storage.alerts.note([DISK, PAUSED], now)
    storage.alerts.note_told(["disk"], [], now)
    assert set(storage.alerts.note([], now)) == {"disk"}
    storage.alerts.note_told([], ["disk"], now)
    assert storage.alerts.load() == {}


def test_one_process_watches_until_its_time_is_over(storage: Storage, now: datetime) -> None:
    assert storage.alerts.take_watch("a", 60, now)
    assert not storage.alerts.take_watch("b", 60, now + timedelta(seconds=59))
    assert storage.alerts.take_watch("a", 60, now + timedelta(seconds=59))
    assert not storage.alerts.take_watch("b", 60, now + timedelta(seconds=100))
    assert storage.alerts.take_watch("b", 60, now + timedelta(seconds=120))
    assert not storage.alerts.take_watch("a", 60, now + timedelta(seconds=121))


def test_a_process_that_stops_lets_another_watch_at_once(storage: Storage, now: datetime) -> None:
    storage.alerts.take_watch("a", 60, now)
    storage.alerts.leave_watch("b")
    assert not storage.alerts.take_watch("b", 60, now)
    storage.alerts.leave_watch("a")
    assert storage.alerts.take_watch("b", 60, now)


def test_a_clock_that_was_far_ahead_does_not_keep_the_watch_for_ever(storage: Storage, now: datetime) -> None:
    assert storage.alerts.take_watch("a", 60, now + timedelta(days=9))
    assert storage.alerts.take_watch("b", 60, now)
