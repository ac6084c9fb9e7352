"""Each trouble is told once, again while it lasts, and its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from distributor.core.alerting import Trouble
from distributor.core.telling import KnownTrouble, Telling, compose, decide_telling

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
AGAIN = timedelta(hours=12)
DISK = Trouble("disk", "8 % is free")


def know(told_hours_ago: float | None, since_hours_ago: float = 20.0) -> dict[str, KnownTrouble]:
    told = None if told_hours_ago is None else NOW - timedelta(hours=told_hours_ago)
    return {"disk": KnownTrouble("disk", "9 % is free", NOW - timedelta(hours=since_hours_ago), told)}


def test_what_is_new_or_was_never_told_is_told() -> None:
    assert decide_telling([DISK], {}, NOW, AGAIN) == Telling(begun=(DISK,))
    assert decide_telling([DISK], know(None), NOW, AGAIN) == Telling(begun=(DISK,))


def test_what_was_told_is_told_again_only_after_its_time() -> None:
    assert not decide_telling([DISK], know(11.9), NOW, AGAIN)
    assert decide_telling([DISK], know(12), NOW, AGAIN) == Telling(still=(DISK,))


def test_the_end_is_told_to_whom_the_beginning_was_told() -> None:
    assert decide_telling([], know(1), NOW, AGAIN) == Telling(over=(know(1)["disk"],))
    assert not decide_telling([], know(None), NOW, AGAIN)


def test_what_may_end_by_itself_is_waited_for() -> None:
    patient = Trouble("disk", "8 %", (), timedelta(hours=1))
    assert not decide_telling([patient], {}, NOW, AGAIN)
    assert not decide_telling([patient], know(None, 0.9), NOW, AGAIN)
    assert decide_telling([patient], know(None, 1.0), NOW, AGAIN)


def test_one_message_says_all_and_what_to_type() -> None:
    late = Trouble("late 7", "Edition 7 is not finished.", ("distributor status",))
    telling = Telling((late,), (DISK,), (KnownTrouble("paused tg", "tg is closed.", NOW, NOW),))
    since = {"disk": NOW - timedelta(hours=20)}
    notice = compose(telling, "The Daily Example", since, NOW)
    assert notice.subject == "[The Daily Example] 2 things are wrong: Edition 7 is not finished."
    assert notice.text.splitlines() == [
        "New:",
        "- Edition 7 is not finished.",
        "    distributor status",
        "",
        "Still:",
        "- 8 % is free (for 20 h)",
        "",
        "Over:",
        "- tg is closed.",
    ]
    assert [(one["state"], one["key"]) for one in notice.data["alerts"]] == [  # type: ignore[attr-defined]
        ("begun", "late 7"),
        ("still", "disk"),
        ("over", "paused tg"),
    ]


def test_a_flood_is_one_readable_message() -> None:
    flood = tuple(Trouble(f"late {n}", f"Edition {n}\r\nBcc: x@example.org") for n in range(500))
    notice = compose(Telling(begun=flood), "The Daily Example", {}, NOW)
    assert len(notice.text.splitlines()) < 30
    assert "and 480 more: distributor status" in notice.text
    assert "\n" not in notice.subject
    assert "\r" not in notice.text


def test_no_message_holds_a_readers_address() -> None:
    closed = Trouble("paused letter", "550 5.1.1 <jane.doe+news@mail.example.org>: unknown; ask @dailyexample")
    notice = compose(Telling(begun=(closed,)), "Site", {}, NOW)
    assert "jane" not in f"{notice.subject}{notice.text}{notice.data}"
    assert "(address)>: unknown; ask @dailyexample" in notice.text


def test_an_end_alone_says_so() -> None:
    over = KnownTrouble("disk", "8 % is free", NOW, NOW)
    assert compose(Telling(over=(over,)), "Site", {}, NOW).subject == "[Site] over: 8 % is free"
    assert compose(Telling(over=(over, over)), "Site", {}, NOW).subject == "[Site] 2 are over"
