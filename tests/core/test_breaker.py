"""The breaker opens for what is wrong with a channel, and for nothing ordinary."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.core.breaker import ACCEPTED, GONE, REFUSED, WINDOW, add_endings, find_trouble
from distributor.core.delivery import settle
from distributor.core.errors import Busy, ChannelClosed, MessageRefused, Outage, RecipientGone, Unknown
from distributor.core.message import Accepted, NotStarted, Outcome

letters = st.text(alphabet=ACCEPTED + REFUSED + GONE, max_size=200)


def test_five_refusals_in_a_row_stop_a_voice() -> None:
    assert find_trouble("", REFUSED * 4, is_list=False) == ""
    assert find_trouble("", REFUSED * 5, is_list=False) == "5 messages in a row were refused"
    assert find_trouble(REFUSED * 4, REFUSED, is_list=False)
    assert find_trouble(REFUSED * 4 + ACCEPTED, REFUSED * 4, is_list=False) == ""


def test_more_than_a_fifth_refused_stops_a_voice_and_a_list() -> None:
    mixed = (REFUSED + ACCEPTED * 4) * 10
    for is_list in (True, False):
        assert find_trouble("", mixed, is_list) == ""
        why = find_trouble(mixed, REFUSED + ACCEPTED + REFUSED, is_list)
        assert why == "11 of the last 50 messages were refused"


def test_five_readers_who_refuse_one_after_the_other_do_not_stop_a_list() -> None:
    assert find_trouble("", REFUSED * 10, is_list=True) == ""
    assert find_trouble("", REFUSED * 11, is_list=True)


@given(st.integers(0, 20))
def test_readers_who_are_gone_do_not_stop_a_list_at_any_rate_that_lists_have(percent: int) -> None:
    gone = [number * percent // 100 != (number - 1) * percent // 100 for number in range(1000)]
    assert find_trouble("", [GONE if one else ACCEPTED for one in gone], is_list=True) == ""


def test_a_relay_that_knows_no_reader_stops_the_list_before_all_are_written_off() -> None:
    assert find_trouble("", GONE * 25, is_list=True) == ""
    assert "do not exist" not in find_trouble("", GONE * 26, is_list=True)
    assert find_trouble("", GONE * 26, is_list=True) == "26 of the last 26 readers are said not to exist"


@given(recent=letters, fresh=letters)
def test_what_was_accepted_alone_never_stops_anything(recent: str, fresh: str) -> None:
    calm = ACCEPTED * len(fresh)
    assert find_trouble("", calm, is_list=False) == find_trouble("", calm, is_list=True) == ""
    assert len(add_endings(recent, fresh)) <= WINDOW
    assert (recent + fresh).endswith(add_endings(recent, fresh))


@given(fresh=letters, cut=st.integers(0, 200), is_list=st.booleans())
def test_it_makes_no_difference_in_how_many_batches_the_endings_come(fresh: str, cut: int, is_list: bool) -> None:
    whole = find_trouble("", fresh, is_list)
    first = find_trouble("", fresh[:cut], is_list)
    second = find_trouble(add_endings("", fresh[:cut]), fresh[cut:], is_list)
    assert whole == (first or second)


@given(fresh=letters)
def test_a_list_bears_whatever_a_voice_bears(fresh: str) -> None:
    if not find_trouble("", fresh, is_list=False):
        assert not find_trouble("", fresh, is_list=True)


@given(recent=letters, fresh=letters, is_list=st.booleans())
def test_one_more_refusal_never_calms_it(recent: str, fresh: str, is_list: bool) -> None:
    if find_trouble(recent, fresh, is_list):
        assert find_trouble(recent, fresh + REFUSED, is_list)


@pytest.mark.parametrize(
    ("outcome", "letter"),
    [
        (Accepted("1"), ACCEPTED),
        (MessageRefused("no"), REFUSED),
        (RecipientGone("no such mailbox"), GONE),
        (Busy("later", 1.0), ""),
        (Outage("refused"), ""),
        (Unknown("reset"), ""),
        (ChannelClosed("kicked"), ""),
        (NotStarted(), ""),
    ],
)
def test_only_a_clear_yes_or_no_about_a_message_is_remembered(outcome: Outcome, letter: str) -> None:
    assert settle(outcome, 1, 1, 7).ending == letter
