"""Mail addresses: what is taken, how two spellings are known as one, and what is said about the others."""

from __future__ import annotations

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given
from hypothesis import strategies as st

from distributor.core.subscriber import address_key, read_address


@pytest.mark.parametrize(
    ("typed", "address", "key"),
    [
        ("Jane.Doe@Example.ORG", "Jane.Doe@example.org", "jane.doe@example.org"),
        ("jane@bücher.example", "jane@xn--bcher-kva.example", "jane@xn--bcher-kva.example"),
        ("jane@xn--bcher-kva.example", "jane@xn--bcher-kva.example", "jane@xn--bcher-kva.example"),
        ("o'brien+news@mail.example.org", "o'brien+news@mail.example.org", "o'brien+news@mail.example.org"),
        ("=sum@example.org", "=sum@example.org", "=sum@example.org"),
    ],
)
def test_an_address_has_one_key_for_all_its_spellings(typed: str, address: str, key: str) -> None:
    assert read_address(typed) == (address, key)


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("", "must have an @-sign"),
        ("jane", "must have an @-sign"),
        ("jane@example", "should have a period"),
        ("jane@localhost.local", "special-use"),
        ("jane@example.org\r\nBcc: evil@example.net", "control character"),
        ("jane@example.org\x00", "control character"),
        ("a@example.org>, <evil@example.net", "invalid characters"),
        ("Jane <jane@example.org>", "angle brackets"),
        ('"jane doe"@example.org', "quoting"),
        ("jané@example.org", "few mail servers"),
        ("jane..doe@example.org", "two periods"),
        ("j" * 65 + "@example.org", "more than 64"),
        ("jane@" + "a" * 63 + "." + "b" * 63 + "." + "c" * 63 + "." + "d" * 63 + ".org", "too long"),
        ("j" * 100_000 + "@example.org", "100012 characters long"),
        ("jane@127.0.0.1", "top-level domain"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(typed: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_address(typed)
    assert address_key(typed) == ""


_label = st.text("abAB19-", min_size=1, max_size=6)
_local = st.text("abAB19.-_+'=~", min_size=1, max_size=8)
_top = st.sampled_from(
    ["org", "ORG", "x1y", "test", "local", "onion", "arpa", "invalid", "1", "a-b", "x", "xn--p1ai"]
)


@given(st.builds(lambda local, labels, top: f"{local}@{'.'.join([*labels, top])}", _local, st.lists(_label), _top))
@example("a@a--b.org")
@example("a@ab--cd.org")
@example("a@example.ab--c")
@example("a@invalid.org")
def test_the_fast_lane_judges_as_the_validator_does(typed: str) -> None:
    try:
        found = validate_email(typed, allow_smtputf8=False, check_deliverability=False)
    except EmailNotValidError:
        with pytest.raises(ValueError, match="is not a mail address"):
            read_address(typed)
    else:
        assert read_address(typed)[0] == f"{found.local_part}@{found.ascii_domain}"


@given(st.text(max_size=60) | st.builds("{}@{}".format, st.text(max_size=10), st.text(max_size=20)))
def test_no_address_carries_more_than_one_recipient_or_line(typed: str) -> None:
    try:
        address, key = read_address(typed)
    except ValueError:
        return
    assert address.isascii() and address.isprintable()
    assert address.count("@") == 1
    assert not set(address) & set(' ,;<>()[]":\\')
    assert read_address(address) == (address, key)
    assert read_address(address.upper().replace("XN--", "xn--"))[1] == key
