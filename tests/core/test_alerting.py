"""What is wrong enough to call somebody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from distributor.core.alerting import (
    Facts,
    Missed,
    OpenEdition,
    Paused,
    ProcessFacts,
    SourceFacts,
    find_patience,
    find_troubles,
)
from distributor.core.schedule import parse_rule

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
AFTER = timedelta(minutes=15)
MORNING = parse_rule(at="07:30", timezone="UTC")


def keys(**facts: Any) -> list[str]:
    return [one.key for one in find_troubles(Facts(**facts), NOW, AFTER)]


def ago(**length: float) -> datetime:
    return NOW - timedelta(**length)


def make_edition(**changes: Any) -> OpenEdition:
    fields: dict[str, Any] = {"id": 7, "schedule": "morning", "channel": "letter", "title": "Morning"}
    fields |= {"state": "frozen", "reason": "", "due_at": ago(minutes=30)}
    return OpenEdition(**{**fields, **changes})


def test_nothing_is_wrong_when_nothing_is() -> None:
    assert keys() == []


def test_lost_clicks_are_a_trouble() -> None:
    assert keys(clicks_lost=3.0) == ["clicks lost"]


@pytest.mark.parametrize(
    ("planned_until", "expected"),
    [
        (ago(minutes=29), []),
        (ago(minutes=31), ["unplanned morning"]),
        (ago(days=3), ["unplanned morning"]),
    ],
)
def test_a_due_time_that_was_not_even_planned(planned_until: datetime, expected: list[str]) -> None:
    assert keys(planned_until={"morning": (MORNING, planned_until)}) == expected


def test_a_due_time_is_given_its_quarter_of_an_hour() -> None:
    rule = parse_rule(at="07:46", timezone="UTC")
    assert keys(planned_until={"morning": (rule, ago(hours=1))}) == []


def test_what_the_program_slept_through_is_told_for_a_day() -> None:
    old = Missed("morning@old", "morning", ago(hours=25))
    assert keys(missed=[Missed("morning@new", "morning", ago(hours=2)), old]) == ["missed morning@new"]


def test_an_edition_that_is_not_finished_in_time() -> None:
    late = make_edition(counts={"queued": 40, "sent": 60})
    (found,) = find_troubles(Facts(late=[late, make_edition(id=8, due_at=ago(minutes=14))]), NOW, AFTER)
    assert found.key == "late 7"
    assert found.text == (
        'Edition 7 "Morning" of morning was due at 2026-11-23 07:30 UTC and is not finished on letter: '
        "40 queued, 60 sent."
    )
    assert found.commands == ("distributor status", "distributor deliveries --edition 7")


@pytest.mark.parametrize("change", [{"state": "parked", "reason": "line 3"}, {"counts": {"held": 1}}])
def test_a_late_edition_that_waits_for_a_person_says_what_to_type(change: dict[str, Any]) -> None:
    (found,) = find_troubles(Facts(late=[make_edition(**change)]), NOW, AFTER)
    assert "distributor editions release 7" in found.commands
    assert change.get("reason", "") in found.text


def test_what_waits_for_its_cap_needs_nobody() -> None:
    capped = frozenset({"letter"})
    assert keys(late=[make_edition(counts={"queued": 3, "sent": 2})], capped=capped) == []
    assert keys(late=[make_edition(counts={"queued": 3, "held": 2})], capped=capped) == ["late 7"]
    assert keys(late=[make_edition(counts={"queued": 3}, channel="tg")], capped=capped) == ["late 7"]
    assert keys(late=[make_edition(state="parked")], capped=capped) == ["late 7"]


def test_unknown_messages_are_told_after_ten_minutes() -> None:
    assert keys(unknown={"tg": (1, ago(minutes=9))}) == []
    assert keys(unknown={"tg": (1, ago(minutes=11))}) == ["unknown tg"]


def test_a_channel_that_the_service_closed() -> None:
    assert keys(paused=[Paused("tg", "the bot was removed", ago(minutes=1))]) == ["paused tg"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (SourceFacts(ago(minutes=29), "503", timedelta(minutes=2)), []),
        (SourceFacts(ago(minutes=31), "503", timedelta(minutes=2)), ["unread front"]),
        (SourceFacts(ago(minutes=31), "", timedelta(hours=1)), []),
        (SourceFacts(ago(hours=4), "", timedelta(hours=1)), ["unread front"]),
        (SourceFacts(None, "", timedelta(hours=1)), []),
        (SourceFacts(ago(minutes=1), "", timedelta(minutes=2), held=12), ["held front"]),
    ],
)
def test_a_source_that_cannot_be_read_or_is_held(source: SourceFacts, expected: list[str]) -> None:
    assert keys(sources={"front": source}) == expected


def test_a_source_is_silent_after_three_usual_gaps_and_longer_than_its_longest_night() -> None:
    by_day = [ago(hours=h) for h in range(10, 30)]
    assert find_patience(by_day) == timedelta(hours=6)
    with_night = [*by_day, ago(hours=38)]
    assert find_patience(with_night) == timedelta(hours=9) * 1.5
    weekly = [ago(days=7 * n) for n in range(1, 15)]
    assert find_patience(weekly) == timedelta(days=21)
    quiet = SourceFacts(ago(minutes=1), "", timedelta(minutes=2), by_day)
    assert keys(sources={"front": quiet}) == ["silent front"]
    assert keys(sources={"front": SourceFacts(ago(minutes=1), "", timedelta(minutes=2), with_night)}) == []
    assert keys(sources={"front": SourceFacts(ago(minutes=1), "", timedelta(minutes=2), by_day[:5])}) == []


def test_mismatches_disk_clock_backup_and_safe_mode() -> None:
    found = keys(
        mismatches=[3, 9],
        disk_free=0.099,
        clock_offset=-2.1,
        backup_at=ago(hours=27),
        safe_mode="a copy",
    )
    assert found == ["safe mode", "mismatch 3", "mismatch 9", "disk", "clock offset", "backup"]
    assert keys(disk_free=0.1, clock_offset=2.0, backup_at=ago(hours=26)) == []


def test_a_service_that_reports_nothing_while_mail_goes_out() -> None:
    assert keys(silent_hooks={"letter": ago(hours=5)}) == ["silent webhook letter"]


def make_process(roles: str, seconds: float) -> ProcessFacts:
    return ProcessFacts(frozenset(roles.split(",")), timedelta(seconds=seconds))


def test_roles_that_nobody_plays() -> None:
    assert keys(processes=[make_process("web,clock,worker", 3)]) == []
    assert keys(processes=[make_process("web", 3), make_process("worker", 70)]) == ["no clock", "no worker"]
    assert keys(processes=[make_process("web,clock", 3), make_process("worker", 5)]) == []
    found = find_troubles(Facts(processes=[make_process("clock", 3), make_process("worker", 70)]), NOW, AFTER)
    assert found[0].text == "The only worker has stopped answering: nothing is sent."
    assert found[0].patience == timedelta(minutes=2)
