from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from email_support import read_mailbox
from hypothesis import example, given
from hypothesis import strategies as st

from distributor.channels.email.headers import (
    AddressError,
    are_addresses,
    are_urls,
    check_address,
    check_url,
    clean_name,
    clean_names,
    encode_list_id,
    encode_mailbox,
    encode_mailboxes,
    encode_subject,
    split_mailbox,
    to_ascii_domain,
)
from distributor.core.text_clean import clean_text

HOSTILE = [
    "a@x>, <evil@y",
    "a@x\r\nBcc: evil@y.example",
    "a\x00@x.example",
    "a@x.example\n",
    " a@x.example",
    "a@x.example,b@y.example",
    '"a b"@x.example',
    "a@[127.0.0.1]",
    "a..b@x.example",
    ".a@x.example",
    "a.@x.example",
    "a@-x.example",
    "a@x-.example",
    "a@x..example",
    "a@x.example.",
    "a@@x.example",
    "@x.example",
    "a@",
    "a",
    "",
    "a@x_y.example",
    "l" * 65 + "@x.example",
    "a@" + "d" * 64 + ".example",
    "a@" + ".".join(["d" * 60] * 5),
    "a@x.example\u2028",
    "jösé@x.example",
]


def parse_header(name: str, value: bytes) -> EmailMessage:
    raw = name.encode() + b": " + value + b"\r\n\r\n"
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert message.keys() == [name], "the value ended its header"
    assert not message.get_payload()
    return message


@pytest.mark.parametrize("address", HOSTILE)
def test_what_is_not_one_plain_address_is_refused(address: str) -> None:
    with pytest.raises(AddressError):
        check_address(address)
    assert not are_addresses(["fine@x.example", address])


@pytest.mark.parametrize(
    "address", ["a@x.example", "a.b+c@sub.x.example", "O'Hara_!#$%&*/=?^`{|}~-@x.example", "a@localhost"]
)
def test_plain_addresses_pass_unchanged(address: str) -> None:
    assert check_address(address) == address
    assert are_addresses([address] * 3)


@given(st.lists(st.one_of(st.sampled_from([*HOSTILE, "a@x.example", "b.c@y.example"]), st.text(max_size=20))))
def test_checking_together_and_one_by_one_agree(addresses: list[str]) -> None:
    def passes(address: str) -> bool:
        try:
            return check_address(address) == address
        except AddressError:
            return False

    assert are_addresses(addresses) == all(map(passes, addresses))


def test_two_addresses_are_not_one_even_on_two_lines() -> None:
    for address in ("a@x.example\nb@x.example", "a@x.example\n"):
        with pytest.raises(AddressError):
            check_address(address)
        assert not are_addresses(["fine@x.example", address])


def test_a_domain_in_any_script_travels_in_punycode() -> None:
    assert check_address("anna@приклад.укр") == "anna@xn--80aikifvh.xn--j1amh"
    assert to_ascii_domain("Example.ORG") == "example.org"
    # IDNA 2008: not the domain strasse.example, which may belong to somebody else.
    assert to_ascii_domain("straße.example") == "xn--strae-oqa.example"


@pytest.mark.parametrize("domain", ["bad domain", "a..b", "-a.example", "é" * 80 + ".example"])
def test_what_is_no_domain_is_refused(domain: str) -> None:
    with pytest.raises(AddressError):
        to_ascii_domain(domain)


@given(st.text(max_size=300))
@example("=?utf-8?q?evil?=")
@example('Ann "the\\pen" O\'Hara, Jr. (x)')
@example("a\r\nBcc: evil@y.example")
@example("שלום עולם " * 20)
@example("x" * 199 + " ")
def test_a_name_never_leaves_its_header_and_reads_the_same(name: str) -> None:
    clean = clean_name(name)
    value = encode_mailbox(clean, "reader@example.com")
    (address,) = parse_header("To", value)["To"].addresses
    assert address.addr_spec == "reader@example.com"
    assert read_mailbox(value.decode()) == (clean, "reader@example.com")


@given(
    st.lists(
        st.one_of(st.text(max_size=30), st.sampled_from(["Ada Example", "Zoë", "", "|", " x", "a  b", "x" * 250]))
    )
)
def test_a_name_is_cleaned_the_same_in_any_company(names: list[str]) -> None:
    assert clean_names(names) == [clean_name(name) for name in names]


@given(st.text(max_size=300))
@example("Plain words " * 20)
@example("=?utf-8?q?evil?=")
@example("x" * 200)
@example("€ 5: שלום")
def test_a_subject_reads_the_same_after_folding(subject: str) -> None:
    value = encode_subject(subject)
    assert all(len(line) <= 78 for line in (b"Subject: " + value).split(b"\r\n"))
    header = str(parse_header("Subject", value)["Subject"])
    assert header == " ".join(clean_text(subject).split())


def test_a_mailbox_is_split_with_and_without_a_name() -> None:
    assert split_mailbox("news@example.org") == ("", "news@example.org")
    assert split_mailbox("The Daily <news@example.org>") == ("The Daily", "news@example.org")
    assert split_mailbox('"Daily, The \\"D\\"" <news@example.org>') == ('Daily, The "D"', "news@example.org")
    assert split_mailbox("Щоденник <news@приклад.укр>") == ("Щоденник", "news@xn--80aikifvh.xn--j1amh")


@pytest.mark.parametrize(
    "text", ["", "The Daily", "The Daily <news>", "<a@x.example> <b@x.example>", "a@x.example, b@x.example"]
)
def test_what_is_not_one_mailbox_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        split_mailbox(text)


def test_a_list_id_depends_on_list_and_domain_only() -> None:
    assert encode_list_id("The Daily", "readers", "example.org") == b"The Daily <readers.example.org>"
    assert encode_list_id("", "Morning & Noon", "example.org") == b"<morning-noon.example.org>"
    renamed = encode_list_id("Щоденник", "читачі", "example.org")
    assert renamed.rpartition(b"<")[2] == encode_list_id("", "читачі", "example.org")[1:]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x",
        "https://x y",
        "https://x\r\nBcc: y",
        "https://x>",
        'https://x"',
        "javascript:1",
        "https://" + "x" * 901,
    ],
)
def test_an_odd_unsubscribe_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="unsubscribe address"):
        check_url(url)
    assert not are_urls(["https://fine.example", url])


@given(
    st.lists(
        st.one_of(
            st.text(max_size=20),
            st.text(max_size=20).map("https://x".__add__),
            st.text(st.characters(max_codepoint=127), max_size=3).map("http://".__add__),
            st.sampled_from(
                ["", "https://x.example/u?a=1", "https://" + "x" * 900, "http://x\nhttp://y", "http://x\n"]
            ),
        )
    )
)
def test_checking_links_together_and_one_by_one_agrees(urls: list[str]) -> None:
    def passes(url: str) -> bool:
        try:
            return check_url(url) == url
        except ValueError:
            return False

    assert are_urls(urls) == all(map(passes, urls))


def test_web_addresses_pass_and_may_be_absent() -> None:
    assert check_url("") == ""
    assert are_urls(["", "https://x.example/u?a=1&b=2#c", "http://127.0.0.1:80/u"])


@given(
    st.lists(
        st.tuples(
            st.one_of(
                st.text(max_size=30), st.sampled_from(["Ada Example", "Zoë", "", "=?x", "O'Hara, Jr.", "x" * 60])
            ),
            st.sampled_from(["a@b.example", "reader@example.com", f"{'r' * 40}@mail.example.org"]),
        )
    )
)
def test_a_mailbox_is_written_the_same_in_any_company(pairs: list[tuple[str, str]]) -> None:
    names, addresses = [clean_name(name) for name, _ in pairs], [address for _, address in pairs]
    assert encode_mailboxes(names, addresses) == list(map(encode_mailbox, names, addresses))
