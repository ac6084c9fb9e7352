"""A message that perhaps went out: evidence, then a person, then the time. Never sent again by itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from distributor.channels import Surroundings, open_channel, settings_model
from distributor.core.contracts import Wire
from distributor.core.errors import Unknown
from distributor.core.message import DECIDE_WITHIN, Limits, Message, Outcome, Pace
from distributor.core.sending import Batch, Evidence
from distributor.storage import Storage
from tests.pipeline.sending_scene import SITE, Rig, make_tiny

MINUTE = timedelta(minutes=1)


def lose(index: int, message: Message, wire: Wire) -> Outcome:
    wire.start([index])
    outcome = Unknown("the connection broke")
    wire.settle(index, outcome)
    return outcome


def lose_one(storage: Storage, now: datetime, folder: Path, minutes: float = 30) -> tuple[Rig, int]:
    rig = make_tiny(storage, now, folder, lose)
    rig.channel.limits = Limits(decide_within=minutes * 60)
    rig.add()
    rig.send()
    (row,) = storage.reports.list_deliveries()
    assert row.state == "unknown"
    return rig, row.id


def test_what_nobody_decides_about_is_presumed_when_its_time_is_over_and_never_sent_again(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    rig, _ = lose_one(storage, now, tmp_path)
    storage.recovery.housekeep(rig.now + 29 * MINUTE)
    assert rig.states == {"unknown": 1}
    storage.recovery.housekeep(rig.now + 31 * MINUTE)
    assert rig.states == {"presumed": 1}
    rig.send_all(timedelta(days=1))
    assert rig.states == {"presumed": 1}
    (whole,) = storage.reports.list_editions()
    assert (whole.state, whole.counts) == ("complete", {"presumed": 1})
    notice = storage.reports.list_notices(level="warning")[0]
    assert (
        notice.text == "1 message of edition 1 for main may or may not have gone out; nobody decided in time: "
        "not sent again"
    )


def test_each_channel_has_its_own_time(storage: Storage, now: datetime, tmp_path: Path) -> None:
    rig, _ = lose_one(storage, now, tmp_path, minutes=120)
    storage.recovery.housekeep(rig.now + 119 * MINUTE)
    assert rig.states == {"unknown": 1}
    storage.recovery.housekeep(rig.now + 121 * MINUTE)
    assert rig.states == {"presumed": 1}


def test_after_a_crash_a_person_has_an_hour_from_the_next_start(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    rig = make_tiny(storage, now, tmp_path)
    rig.add()
    batch = storage.ledger.claim("main", limit=1, paces=(), fence="me", lease=900, now=rig.now)
    assert isinstance(batch, Batch)
    storage.ledger.start([batch.claimed[0].delivery_id], "me", rig.now)
    start = rig.now + timedelta(hours=5)
    storage.recovery.recover(Evidence(), ["another"], start)
    storage.recovery.housekeep(start + timedelta(seconds=DECIDE_WITHIN - 1))
    assert rig.states == {"unknown": 1}
    storage.recovery.housekeep(start + timedelta(seconds=DECIDE_WITHIN))
    assert rig.states == {"presumed": 1}


@pytest.mark.parametrize("by", ["evidence", "person"])
def test_late_evidence_turns_presumed_into_sent_and_the_sums_follow(
    storage: Storage, now: datetime, tmp_path: Path, by: str
) -> None:
    rig, number = lose_one(storage, now, tmp_path)
    storage.recovery.housekeep(rig.now + 31 * MINUTE)
    if by == "evidence":
        assert storage.recovery.prove_sent(number, "77", "seen on the channel", rig.now)
    else:
        assert storage.decisions.resolve(number, "sent", "anna", rig.now)
    (whole,) = storage.reports.list_editions()
    assert (whole.state, whole.counts) == ("complete", {"sent": 1})
    assert storage.reports.count_deliveries() == {("main", "sent"): 1}


def test_what_was_presumed_is_not_sent_again_by_a_decision_that_comes_too_late(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    rig, number = lose_one(storage, now, tmp_path)
    storage.recovery.housekeep(rig.now + 31 * MINUTE)
    assert not storage.decisions.resolve(number, "resend", "anna", rig.now)
    assert not storage.decisions.resolve(number, "leave", "anna", rig.now)
    assert rig.states == {"presumed": 1}


def test_what_a_person_resends_is_marked_and_has_its_full_time_again(
    storage: Storage, now: datetime, tmp_path: Path
) -> None:
    rig, number = lose_one(storage, now, tmp_path)
    storage.decisions.resolve(number, "resend", "anna", rig.now)
    rig.send_all(20 * MINUTE)
    storage.recovery.housekeep(rig.now + 29 * MINUTE)
    (row,) = storage.reports.list_deliveries()
    assert (row.state, row.may_duplicate, row.attempts) == ("unknown", True, 2)
    storage.recovery.housekeep(rig.now + 31 * MINUTE)
    assert rig.states == {"presumed": 1}


def test_several_are_decided_at_once_with_one_audit_line(storage: Storage, now: datetime, tmp_path: Path) -> None:
    rig = make_tiny(storage, now, tmp_path, lose, batch=10, readers=5)
    rig.add()
    rig.send()
    ids = [row.id for row in storage.reports.list_deliveries()]
    assert storage.decisions.resolve_all([*ids, 4711], "leave", "anna", rig.now) == sorted(ids)
    (audit,) = storage.reports.list_notices(level="audit")
    assert audit.text == "anna resolved 5 deliveries: leave: 1, 2, 3, 4, 5"
    assert rig.states == {"presumed": 5}
    assert storage.reports.list_editions()[0].state == "complete"


X = {"api_key": "a", "api_secret": "b", "access_token": "1-c", "access_secret": "d"}
TELEGRAM = {"token": "1:a", "chat": "@daily"}
MAIL = {"from": "news@example.org", "list": "readers"}


@pytest.mark.parametrize(
    ("kind", "more", "minutes"),
    [
        ("x", X, 30),
        ("telegram", TELEGRAM, 30),
        ("email", {**MAIL, "host": "relay"}, 60),
        ("email", {**MAIL, "transport": "sendgrid", "api_key": "k"}, 120),
        ("email", {**MAIL, "host": "relay", "decide_within": "12h"}, 720),
        ("x", {**X, "decide_within": "2h"}, 120),
    ],
)
def test_the_channels_say_how_long_a_person_may_decide(kind: str, more: dict[str, str], minutes: int) -> None:
    channel = open_channel(settings_model(kind)(name="main", **more), Surroundings(SITE))
    assert channel.limits.decide_within == minutes * 60


def list_own_caps(kind: str, more: dict[str, object]) -> Sequence[Pace]:
    channel = open_channel(settings_model(kind)(name="main", **more), Surroundings(SITE))
    return [one for one in channel.limits.paces if one.key == "cap:main"]


@pytest.mark.parametrize(("kind", "more"), [("x", X), ("telegram", TELEGRAM)])
def test_a_voice_has_a_cap_against_bursts(kind: str, more: dict[str, object]) -> None:
    assert list_own_caps(kind, more) == [Pace("cap:main", 20, 600.0)]
    assert list_own_caps(kind, {**more, "cap": {"count": 5, "per": "1h"}}) == [Pace("cap:main", 5, 3600.0)]


@pytest.mark.parametrize(("kind", "more"), [("x", X), ("telegram", TELEGRAM)])
def test_a_voice_has_a_cap_of_a_day_where_one_is_set(kind: str, more: dict[str, object]) -> None:
    found = list_own_caps(kind, {**more, "cap_per_day": 50})
    assert found == [Pace("cap:main", 20, 600.0), Pace("cap:main", 50, 86_400.0)]


@pytest.mark.parametrize("number", [0, 10_001, "many"])
def test_a_cap_of_a_day_is_a_sensible_number(number: object) -> None:
    with pytest.raises(ValueError, match="cap_per_day"):
        settings_model("x")(name="main", **X, cap_per_day=number)
