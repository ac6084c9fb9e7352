"""Tokens in unsubscribe links."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.core.tokens import read_unsubscribe, sign_unsubscribe

SECRET = bytes(range(32))
ids = st.integers(0, 10**18 - 1)


@given(subscriber=ids, edition=ids)
def test_a_token_says_who_leaves_and_because_of_what(subscriber: int, edition: int) -> None:
    assert read_unsubscribe(SECRET, sign_unsubscribe(SECRET, subscriber, edition)) == (subscriber, edition)


@given(subscriber=ids, edition=ids, other=st.binary(min_size=16, max_size=64))
def test_another_installation_s_token_is_worth_nothing(subscriber: int, edition: int, other: bytes) -> None:
    assert other == SECRET or read_unsubscribe(other, sign_unsubscribe(SECRET, subscriber, edition)) is None


@given(token=st.text(max_size=60))
def test_what_was_never_given_out_is_refused_without_a_crash(token: str) -> None:
    assert read_unsubscribe(SECRET, token) is None


@given(place=st.integers(0, 60), letter=st.characters())
def test_no_letter_of_a_token_can_be_changed(place: int, letter: str) -> None:
    token = sign_unsubscribe(SECRET, 4711, 12)
    place %= len(token)
    changed = token[:place] + letter + token[place + 1 :]
    assert changed == token or read_unsubscribe(SECRET, changed) is None


@pytest.mark.parametrize(
    "changed", ["4711-12-{}=", "4711-12-{} ", " 4711-12-{}", "04711-12-{}", "+4711-12-{}", "４711-12-{}"]
)
def test_a_token_has_one_spelling(changed: str) -> None:
    mac = sign_unsubscribe(SECRET, 4711, 12).split("-", 2)[2]
    assert read_unsubscribe(SECRET, changed.format(mac)) is None


def test_a_reader_cannot_make_a_neighbour_s_token_from_their_own() -> None:
    mine, theirs = sign_unsubscribe(SECRET, 1, 11), sign_unsubscribe(SECRET, 11, 1)
    assert mine.split("-", 2)[2] != theirs.split("-", 2)[2]
    assert read_unsubscribe(SECRET, f"11-1-{mine.split('-', 2)[2]}") is None


@given(subscriber=ids, edition=ids)
def test_a_token_fits_an_unfolded_header_and_needs_no_escape_in_an_address(subscriber: int, edition: int) -> None:
    token = sign_unsubscribe(SECRET, subscriber, edition)
    assert re.fullmatch(r"[0-9A-Za-z_-]+", token)
    assert len(token) <= 54
