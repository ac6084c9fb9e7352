"""What needs a person, why, and what to type: complete, in order, and only commands that exist."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from distributor.core.delivery import BYTES, CLOSED, LATE
from distributor.core.message import Limits, Pace
from distributor.core.needs import Situation, find_needs, list_notes
from distributor.core.reporting import ChannelRow, EditionRow, HeldRow, SourceRow
from distributor.pipeline.needs import find_capped

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


def channel(is_paused: bool = True, by: str = "anna", last_ok_at: datetime | None = None) -> ChannelRow:
    return ChannelRow("tg", is_paused, "wrong headline" if is_paused else "", NOW, last_ok_at, "", None, by)


def test_when_nothing_is_stuck_nobody_is_needed() -> None:
    assert find_needs(Situation(NOW)) == []


def test_an_unknown_message_says_how_long_there_is_to_decide() -> None:
    view = Situation(
        NOW,
        deliveries={("tg", "unknown"): 2},
        oldest={"unknown": NOW - timedelta(minutes=12)},
        deadlines={"tg": NOW + timedelta(minutes=18)},
    )
    (need,) = find_needs(view)
    assert need.what == (
        "2 messages may or may not have gone out on tg, the oldest for 12 min. Look at the channel, then decide "
        "within 18 min; then it counts as presumed."
    )
    assert "distributor deliveries resolve NUMBER --leave" in need.commands


def test_a_channel_that_the_breaker_stopped_is_looked_at_before_it_is_opened() -> None:
    (need,) = find_needs(Situation(NOW, channels={"tg": channel(by="the breaker")}))
    assert need.commands == ("distributor deliveries --state failed --channel tg", "distributor resume tg")


def test_behind_a_pause_the_choices_are_named() -> None:
    (need,) = find_needs(Situation(NOW, channels={"tg": channel()}, deliveries={("tg", "queued"): 4}))
    assert need.what == "The channel tg is paused: wrong headline. 4 messages wait for its end."
    assert "distributor resume tg --drop" in need.commands


@pytest.mark.parametrize(
    ("reason", "said", "first"),
    [
        (LATE, "too late to go by itself", "distributor editions release 7"),
        (f"{CLOSED}kicked", "channel closed: kicked", "distributor resume tg"),
        (f"{BYTES}changed", "bytes: changed", "distributor editions drop 7"),
        ("review: waited behind a pause", "review: waited", "distributor editions release 7"),
        ("", "no reason is known", "distributor editions release 7"),
    ],
)
def test_each_reason_for_holding_has_its_own_remedy(reason: str, said: str, first: str) -> None:
    view = Situation(NOW, deliveries={("tg", "held"): 3}, held=[HeldRow(7, "tg", "Title", reason, 3)])
    (need,) = find_needs(view)
    assert need.what.startswith("3 messages of edition 7 for tg held: ")
    assert said in need.what
    assert need.commands[0] == first


def test_many_held_editions_are_summed_up_after_the_first() -> None:
    rows = [HeldRow(n, "tg", "", "late", 1) for n in range(8)]
    found = find_needs(Situation(NOW, deliveries={("tg", "held"): 8}, held=rows))
    assert len(found) == 6
    assert found[-1].what.startswith("3 more messages held back")


def test_a_channel_that_waits_for_its_cap_needs_nobody_and_says_when() -> None:
    limits = {"tg": Limits(paces=(Pace("cap:tg", 2, 600.0), Pace("bot", 1, 1.0)))}
    stamps = {"cap:tg": [NOW.timestamp() - 500, NOW.timestamp() - 300], "bot": [NOW.timestamp()]}
    capped = find_capped(limits, stamps, NOW)
    assert capped == {"tg": NOW + timedelta(seconds=100)}
    view = Situation(
        NOW,
        deliveries={("tg", "queued"): 9},
        oldest={"queued": NOW - timedelta(hours=1)},
        channels={"tg": channel(is_paused=False)},
        capped=capped,
    )
    assert find_needs(view) == []
    assert list_notes(view) == ["9 messages for tg wait for its cap, the next one for 1 min"]
    assert find_capped(limits, {"cap:tg": [NOW.timestamp() - 500]}, NOW) == {}


def test_of_two_caps_the_one_that_lasts_longer_says_when() -> None:
    limits = {"tg": Limits(paces=(Pace("cap:tg", 3, 86_400.0), Pace("cap:tg", 2, 600.0)))}
    stamps = [NOW.timestamp() - past for past in (3600, 500, 300)]
    assert find_capped(limits, {"cap:tg": stamps}, NOW) == {"tg": NOW + timedelta(hours=23)}
    assert find_capped(limits, {"cap:tg": stamps[1:]}, NOW) == {"tg": NOW + timedelta(seconds=100)}


def test_alarms_stand_before_warnings_and_everything_is_there() -> None:
    edition = EditionRow(3, "k", "s", "tg", "each", "parked", "each.html:7: oops", "T", NOW, None, 0, {}, "[]")
    view = Situation(
        NOW,
        reasons={"disk": "the disk is full"},
        deliveries={("tg", "unknown"): 1, ("tg", "held"): 1, ("x", "queued"): 1},
        oldest={"queued": NOW - timedelta(hours=1)},
        mismatches=[4],
        channels={"tg": channel()},
        aside=[edition],
        sources={"front": SourceRow("front", "{}", None, None, None, 2, "the site answers 503")},
        source_names=["front"],
        held_posts=1,
    )
    found = find_needs(view)
    assert [need.level for need in found] == ["alarm"] * 4 + ["warning"] * 5
    assert all(need.commands for need in found if not need.what.startswith("This process"))
