"""Behind a web server the reader's network is the one it names, and only then."""

from __future__ import annotations

import pytest

from distributor.web.public.clicks import Proxies, find_network, read_traits

FORWARDED = {b"x-forwarded-for": b"198.51.100.9, 203.0.113.77"}


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "10.1.2.3"])
def test_a_proxy_of_ours_speaks_for_the_reader(peer: str) -> None:
    proxies = Proxies(["10.0.0.0/8"])
    assert find_network(peer, proxies.is_ours(peer), read_traits(FORWARDED)) == b"203.0.113.0/24"


def test_a_stranger_cannot_choose_its_network() -> None:
    peer = "192.0.2.5"
    assert find_network(peer, Proxies().is_ours(peer), read_traits(FORWARDED)) == b"192.0.2.0/24"


@pytest.mark.parametrize("value", [b"", b"unknown", b"a, b", b"203.0.113.77, \xff", b"x" * 5000])
def test_what_is_no_address_leaves_no_network(value: bytes) -> None:
    found = find_network("127.0.0.1", True, read_traits({b"x-forwarded-for": value}))
    assert found in (b"", b"127.0.0.0/24")


def test_readers_behind_one_proxy_are_told_apart() -> None:
    first, second = (read_traits({b"x-forwarded-for": ip}) for ip in (b"203.0.113.7", b"198.51.100.9"))
    assert find_network("127.0.0.1", True, first) != find_network("127.0.0.1", True, second)


def test_a_proxy_that_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        Proxies(["nonsense"])
