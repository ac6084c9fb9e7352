"""Did it go out? What the account's own timeline and X's duplicate rule prove."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from x_support import RecordingWire, make_message

from distributor.channels.x.channel import XChannel
from distributor.channels.x.sandbox import Sandbox
from distributor.core.errors import MessageRefused, Unknown
from distributor.core.message import Accepted

Make = Callable[..., XChannel]


def test_a_post_whose_answer_was_lost_is_found_by_its_link(
    make_channel: Make, sandbox: Sandbox, wire: RecordingWire
) -> None:
    channel = make_channel()
    sandbox.script("lost-after")
    (outcome,) = channel.send([make_message()], wire)
    assert isinstance(outcome, Unknown)
    found = channel.reconcile(make_message())
    assert isinstance(found, Accepted)
    assert found.receipt == sandbox.seen[0].receipt


def test_absence_decides_nothing(make_channel: Make, sandbox: Sandbox, wire: RecordingWire) -> None:
    channel = make_channel()
    channel.send([make_message("Other words https://go.example.org/l/otherslug")], wire)
    sandbox.script("lost-before")
    channel.send([make_message()], wire)
    assert channel.reconcile(make_message()) is None


def test_a_timeline_that_cannot_be_read_decides_nothing(make_channel: Make, sandbox: Sandbox) -> None:
    assert make_channel(access_secret="wrong").reconcile(make_message()) is None
    sandbox.stop()
    assert make_channel().reconcile(make_message()) is None


def test_only_a_tracked_link_is_evidence(make_channel: Make, sandbox: Sandbox, wire: RecordingWire) -> None:
    text = "Our front page https://example.org/"
    channel = make_channel()
    channel.send([make_message(text)], wire)
    assert channel.reconcile(make_message(text)) is None


def test_reading_back_costs_a_tenth_of_a_cent_for_each_post(
    make_channel: Make, sandbox: Sandbox, wire: RecordingWire
) -> None:
    channel = make_channel()
    channel.send([make_message()], wire)
    channel.reconcile(make_message())
    assert sandbox.spent == Decimal("0.201")


def test_a_token_without_the_account_s_id_asks_for_it(make_channel: Make, sandbox: Sandbox) -> None:
    with_own_token = make_channel(access_token="no-id-in-it", api_base=sandbox.url)
    assert with_own_token.reconcile(make_message()) is None


def test_a_duplicate_on_a_second_try_proves_the_first(
    make_channel: Make, sandbox: Sandbox, wire: RecordingWire
) -> None:
    channel = make_channel()
    sandbox.script("lost-after")
    channel.send([make_message()], wire)
    (outcome,) = channel.send([make_message(attempt=2)], wire)
    assert isinstance(outcome, Accepted)
    assert outcome.receipt == sandbox.seen[0].receipt
    assert len(sandbox.seen) == 1


def test_a_duplicate_on_a_second_try_proves_the_first_also_when_it_was_deleted(
    make_channel: Make, sandbox: Sandbox, wire: RecordingWire
) -> None:
    channel = make_channel()
    sandbox.script("duplicate")
    (outcome,) = channel.send([make_message(attempt=2)], wire)
    assert isinstance(outcome, Accepted)
    assert outcome.receipt == ""


def test_a_duplicate_on_the_first_try_is_refused_with_its_own_sentence(
    make_channel: Make, sandbox: Sandbox, wire: RecordingWire
) -> None:
    sandbox.script("duplicate")
    (outcome,) = make_channel().send([make_message()], wire)
    assert isinstance(outcome, MessageRefused)
    assert "exactly these words" in str(outcome)
    assert outcome.detail == "You are not allowed to create a Tweet with duplicate content."


def test_a_duplicate_that_is_ours_counts_as_sent_even_on_a_first_try(
    make_channel: Make, sandbox: Sandbox, wire: RecordingWire
) -> None:
    channel = make_channel()
    (first,) = channel.send([make_message()], wire)
    (again,) = channel.send([make_message()], wire)
    assert isinstance(first, Accepted) and isinstance(again, Accepted)
    assert again.receipt == first.receipt


def test_a_duplicate_without_a_tracked_link_proves_nothing(
    make_channel: Make, sandbox: Sandbox, wire: RecordingWire
) -> None:
    sandbox.script("duplicate")
    (outcome,) = make_channel().send([make_message("Good morning", attempt=2)], wire)
    assert isinstance(outcome, MessageRefused)


def test_check_says_whose_keys_are_wrong(make_channel: Make, sandbox: Sandbox) -> None:
    assert make_channel().check() == []
    (problem,) = make_channel(api_secret="wrong").check()
    assert "401" in problem and "Could not authenticate you." in problem
    sandbox.stop()
    (problem,) = make_channel().check()
    assert "cannot be reached" in problem
