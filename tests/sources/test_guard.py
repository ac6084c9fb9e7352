"""Nobody makes us talk to an address that is not public, by whatever name, number, redirect or trick."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.core.errors import SourceError
from distributor.sources.fetch import Fetcher
from distributor.sources.guard import Guard, is_public, read_allowance, read_place
from distributor.sources.sandbox import NewsSite, Reply

NOT_PUBLIC = [
    "http://169.254.169.254/latest/meta-data/",
    "http://127.0.0.1/",
    "http://localhost/",
    "http://0/",
    "http://0.0.0.0/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://１２７.０.０.１/",
    "http://127。0。0。1/",
    "http://①②⑦.0.0.1/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::8.8.8.8]/",
    "http://[2002:7f00:1::]/",
    "http://[2001::1]/",
    "http://[fe80::1]/",
    "http://[fec0::1]/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
]
NOT_FETCHED = [
    "file:///etc/passwd",
    "ftp://example.org/feed",
    "gopher://127.0.0.1/",
    "feed:http://example.org/",
    "data:text/xml,<rss/>",
    "//example.org/feed",
    "/etc/passwd",
    "",
    "http://",
    "http:///path",
    "http://user:secret@example.org/",
    "http://example.org@127.0.0.1/",
    "http://127.0.0.1\\@example.org/",
    "http://exa mple.org/",
    "http://example.org:99999/",
    "http://example.org:port/",
    "http://[::1/",
    "http://example.org/a\r\nHost: evil",
    "http://example.org/" + "a" * 5000,
]


@pytest.mark.parametrize("url", NOT_PUBLIC)
def test_addresses_that_are_not_public_are_refused(url: str) -> None:
    with pytest.raises(SourceError, match="not a public address"):
        Fetcher().fetch(url)


@pytest.mark.parametrize("url", NOT_FETCHED)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(SourceError, match="the address"):
        Fetcher().fetch(url)


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(SourceError) as caught:
        Fetcher().fetch("https://desk:hunter2@example.org/feed")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("port", [22, 25, 6379, 8080])
def test_only_the_ports_of_the_web_are_fetched_from(port: int) -> None:
    with pytest.raises(SourceError, match="only the ports 80 and 443"):
        Fetcher(resolve=lambda host, port: ["93.184.216.34"]).fetch(f"http://example.org:{port}/")


@pytest.mark.parametrize("url", [*NOT_PUBLIC, *NOT_FETCHED[:5]])
def test_a_redirect_is_checked_like_the_first_address(url: str, site: NewsSite, fetcher: Fetcher) -> None:
    site.answer_next("/go", Reply(302, b"", {"Location": url.encode().decode("latin-1")}))
    with pytest.raises(SourceError, match=r"not a public address|must begin with http"):
        fetcher.fetch(site.url + "/go")


def test_one_bad_address_among_good_ones_spoils_the_lot() -> None:
    fetcher = Fetcher(resolve=lambda host, port: ["93.184.216.34", "127.0.0.1"])
    with pytest.raises(SourceError, match=r"example\.org is 127\.0\.0\.1"):
        fetcher.fetch("http://example.org/")


def test_a_name_that_rebinds_is_resolved_once_and_that_answer_is_used(site: NewsSite) -> None:
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    port = int(site.place.partition(":")[2])
    asked: list[str] = []

    def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    fetcher = Fetcher(allow_private=["127.0.0.1"], resolve=resolve)
    assert fetcher.fetch(f"http://rebind.example:{port}/").status == 200
    fetcher.close()
    assert asked == ["rebind.example"]
    with pytest.raises(SourceError, match=r"add rebind\.example:\d+ to network\.allow_private"):
        fetcher.fetch(f"http://rebind.example:{port}/")


def test_proxies_of_the_environment_are_not_used(
    site: NewsSite, monkeypatch: pytest.MonkeyPatch, fetcher: Fetcher
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetcher.fetch(site.url + "/").status == 200


@pytest.mark.parametrize(
    ("entry", "host", "port", "address", "is_let_through"),
    [
        ("10.0.0.0/8", "cms", 8080, "10.1.2.3", True),
        ("10.0.0.0/8", "cms", 8080, "11.1.2.3", False),
        ("127.0.0.1", "localhost", 5000, "127.0.0.1", True),
        ("127.0.0.1:5000", "localhost", 5000, "127.0.0.1", True),
        ("127.0.0.1:5000", "localhost", 5001, "127.0.0.1", False),
        ("cms.internal", "cms.internal", 8080, "10.0.0.9", True),
        ("CMS.Internal:80", "cms.internal", 80, "10.0.0.9", True),
        ("cms.internal:80", "cms.internal", 8080, "10.0.0.9", False),
        ("cms.internal", "evil.cms.internal", 80, "10.0.0.9", False),
        ("[::1]:80", "localhost", 80, "::1", True),
        ("::1", "localhost", 81, "::1", True),
        ("fd00::/8", "cms", 80, "fd12::1", True),
        ("news.example:8443", "news.example", 8443, "93.184.216.34", True),
    ],
)
def test_allow_private_lets_through_what_it_names(
    entry: str, host: str, port: int, address: str, is_let_through: bool
) -> None:
    guard = Guard([entry], resolve=lambda host, port: [address])
    if is_let_through:
        assert guard.find_addresses(host, port) == [address]
    else:
        with pytest.raises(SourceError):
            guard.find_addresses(host, port)


@pytest.mark.parametrize("entry", ["", "http://cms.internal/", "*", "10.0.0.0/99", "a b", "cms:0", "cms:70000"])
def test_an_entry_that_names_nothing_is_refused_with_an_example(entry: str) -> None:
    with pytest.raises(ValueError, match=r"write 10\.0\.0\.0/8"):
        read_allowance(entry)


@given(st.ip_addresses())
def test_what_the_standard_library_calls_private_is_not_public_here(address: IPv4Address | IPv6Address) -> None:
    if not address.is_global or address.is_multicast:
        assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:2800:220:1::1", "2a00:1450::1"])
def test_the_open_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_the_address_says_it_is_read_or_refused(head: str, tail: str) -> None:
    for url in (head, f"http://{head}/{tail}", f"https://example.org/{head}?{tail}"):
        try:
            place = read_place(url)
        except SourceError:
            continue
        assert place.host.isascii() and place.target.isascii() and place.target.startswith("/")
        assert not set(place.host + place.target) & set(" \r\n\0")
        assert read_place(place.url) == place


def test_readers_words_in_addresses_are_escaped() -> None:
    assert read_place("https://BÜCHER.example/ä b?q=ї#x").url == "https://xn--bcher-kva.example/%C3%A4%20b?q=%D1%97"
