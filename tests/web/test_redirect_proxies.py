"""Behind a web server the reader's network is the one it names, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest
from redirect_rig import Client, make_redirects, read_lines, serving

from distributor.web.public.traits import Proxies, find_network, read_traits

FORWARDED = {b"x-forwarded-for": b"198.51.100.9, 203.0.113.77"}


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "10.1.2.3"])
def test_a_proxy_of_ours_speaks_for_the_reader(peer: str) -> None:
    assert find_network(peer, Proxies(["10.0.0.0/8"]), read_traits(FORWARDED)) == b"203.0.113.0/24"


def test_a_stranger_cannot_choose_its_network() -> None:
    peer = "192.0.2.5"
    assert find_network(peer, Proxies(), read_traits(FORWARDED)) == b"192.0.2.0/24"


@pytest.mark.parametrize("value", [b"", b"unknown", b"a, b", b"203.0.113.77, \xff", b"x" * 5000])
def test_what_is_no_address_leaves_no_network(value: bytes) -> None:
    found = find_network("127.0.0.1", Proxies(), read_traits({b"x-forwarded-for": value}))
    assert found in (b"", b"127.0.0.0/24")


def test_readers_behind_one_proxy_are_told_apart() -> None:
    first, second = (read_traits({b"x-forwarded-for": ip}) for ip in (b"203.0.113.7", b"198.51.100.9"))
    assert find_network("127.0.0.1", Proxies(), first) != find_network("127.0.0.1", Proxies(), second)


def test_a_proxy_that_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        Proxies(["nonsense"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "reader"),
    [
        ("10.0.0.2", "203.0.113.77, 10.9.9.9", "203.0.113.77"),
        ("10.0.0.2", "198.51.100.1, 203.0.113.77, 10.9.9.9, 10.1.1.1", "203.0.113.77"),
        ("10.0.0.2", "203.0.113.77:4711", "203.0.113.77"),
        ("10.0.0.2", "[2001:db8:1::5]:4711", "2001:db8:1::5"),
        ("10.0.0.2", "2001:db8:1::5", "2001:db8:1::5"),
        ("::ffff:10.0.0.2", "203.0.113.77", "203.0.113.77"),
        ("10.0.0.2", "10.5.5.5", "10.5.5.5"),
        ("10.0.0.2", "", "10.0.0.2"),
        ("192.0.2.5", "203.0.113.77, 10.9.9.9", "192.0.2.5"),
    ],
)
def test_the_reader_is_whom_the_outermost_of_our_proxies_heard(peer: str, forwarded: str, reader: str) -> None:
    assert Proxies(["10.0.0.0/8"]).find_reader(peer, forwarded) == reader


@pytest.mark.parametrize("is_fast", [True, False])
@pytest.mark.parametrize(("trusted", "network"), [((), "203.0.113.0/24"), (("203.0.113.0/24",), "198.51.100.0/24")])
def test_a_real_request_through_proxies_leaves_its_readers_network(
    tmp_path: Path, is_fast: bool, trusted: tuple[str, ...], network: str
) -> None:
    redirects = make_redirects(tmp_path)
    redirects.proxies = Proxies(trusted)
    with serving(redirects, is_fast=is_fast) as port, Client(port) as client:
        client.ask("/l/slug0000001", more="X-Forwarded-For: 192.0.2.1, 198.51.100.9, 203.0.113.77\r\n")
    assert [line[3] for line in read_lines(tmp_path)] == [network]
    redirects.journal.close()
