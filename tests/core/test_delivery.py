"""The life of a delivery: each answer has one consequence, and no consequence leads where it may not."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.core.delivery import MOVES, TERMINAL, State, settle, wait_before_retry
from distributor.core.errors import Busy, ChannelClosed, MessageRefused, Outage, RecipientGone, SendError, Unknown
from distributor.core.message import Accepted, NotStarted, Outcome

CONSEQUENCES: dict[str, tuple[Outcome, State]] = {
    "accepted": (Accepted("id-7"), "sent"),
    "not started": (NotStarted(), "queued"),
    "busy": (Busy("later", 30.0), "queued"),
    "outage": (Outage("refused"), "queued"),
    "message refused": (MessageRefused("too long"), "failed"),
    "recipient gone": (RecipientGone("no such mailbox"), "failed"),
    "channel closed": (ChannelClosed("kicked"), "held"),
    "unknown": (Unknown("reset"), "unknown"),
    "an error that nobody foresaw": (SendError("what?"), "unknown"),
}
every_outcome = pytest.mark.parametrize("name", CONSEQUENCES)
outcomes = st.sampled_from([outcome for outcome, _ in CONSEQUENCES.values()])


@every_outcome
def test_each_answer_has_its_one_consequence(name: str) -> None:
    outcome, state = CONSEQUENCES[name]
    assert settle(outcome, 1, 20, 1).state == state


@given(outcome=outcomes, attempt=st.integers(1, 10_000), attempts=st.integers(1, 10_000), seed=st.integers(0))
def test_whatever_comes_back_leads_where_a_delivery_may_go(
    outcome: Outcome, attempt: int, attempts: int, seed: int
) -> None:
    what = settle(outcome, attempt, attempts, seed)
    assert what.state in MOVES["claimed"] & MOVES["sending"]
    assert what.wait >= 0
    assert what.state == "queued" or what.wait == 0


def test_only_what_is_presumed_leaves_an_end() -> None:
    assert {state for state in TERMINAL if MOVES[state]} == {"presumed"}
    assert MOVES["presumed"] == {"sent"}


def test_every_state_is_known_and_an_end_can_be_reached_from_each() -> None:
    assert set(MOVES) == set(get_args(State))
    reaching: set[State] = set(TERMINAL)
    while more := {state for state, targets in MOVES.items() if targets & reaching} - reaching:
        reaching |= more
    assert reaching == set(MOVES)


def test_what_may_have_gone_out_is_never_simply_queued_again() -> None:
    assert "queued" in MOVES["unknown"], "a person may decide so"
    assert settle(Unknown("the connection broke"), 1, 20, 1).state == "unknown"


def test_the_answer_and_its_words_are_kept() -> None:
    accepted = settle(Accepted("id-7", detail="queued as id-7"), 1, 20, 1)
    assert (accepted.receipt, accepted.detail) == ("id-7", "queued as id-7")
    refused = settle(MessageRefused("refused", "550 too long"), 1, 20, 1)
    assert (refused.reason, refused.detail) == ("refused", "550 too long")


def test_only_a_closed_channel_closes_the_channel_and_only_a_gone_reader_is_marked() -> None:
    found = {name: settle(outcome, 1, 20, 1) for name, (outcome, _) in CONSEQUENCES.items()}
    assert [name for name, what in found.items() if what.closes_channel] == ["channel closed"]
    assert [name for name, what in found.items() if what.recipient_gone] == ["recipient gone"]


def test_a_busy_service_is_left_alone_for_the_time_it_names() -> None:
    assert settle(Busy("later", 42.0), 1, 20, 1).wait == 42.0
    assert settle(Busy("later", -5.0), 1, 20, 1).wait > 0


def test_neither_patience_nor_a_stop_uses_up_a_delivery_s_tries() -> None:
    assert not settle(Busy("later", 2.0), 1, 20, 1).is_attempt
    assert not settle(NotStarted(), 1, 20, 1).is_attempt
    assert settle(Busy("later", 2.0), 99, 3, 1).state == "queued"
    assert settle(Outage("refused"), 1, 20, 1).is_attempt


def test_after_its_last_try_an_outage_is_a_failure_that_says_how_often() -> None:
    assert settle(Outage("refused"), 2, 3, 1).state == "queued"
    last = settle(Outage("refused"), 3, 3, 1)
    assert last.state == "failed"
    assert "gave up after 3 tries" in last.reason


@given(attempt=st.integers(1, 100_000), seed=st.integers(0, 2**63))
def test_waits_stay_between_twelve_seconds_and_seventy_two_minutes(attempt: int, seed: int) -> None:
    assert 12 <= wait_before_retry(attempt, seed) <= 72 * 60


@given(attempt=st.integers(1, 4), seed=st.integers(0, 2**63))
def test_waits_grow_and_can_be_repeated_exactly(attempt: int, seed: int) -> None:
    assert wait_before_retry(attempt, seed) < wait_before_retry(attempt + 1, seed)
    assert wait_before_retry(attempt, seed) == wait_before_retry(attempt, seed)


def test_neighbours_do_not_all_come_back_at_once() -> None:
    assert len({round(wait_before_retry(1, seed), 1) for seed in range(1000)}) > 50
