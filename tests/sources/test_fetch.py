"""The one client: what it understands, what it refuses, how it keeps connections."""

import contextlib
import gzip
import ssl
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from distributor.core.errors import SourceError
from distributor.sources.fetch import Fetched, Fetcher, FetchLimits
from distributor.sources.sandbox import NewsSite, Reply
from tests.sources.raw_server import RawServer

SMALL = FetchLimits(decoded=100_000, wire=20_000, seconds=5)
OK = b"HTTP/1.1 200 OK\r\n"


def fetch(server: RawServer, limits: FetchLimits = SMALL) -> Fetched:
    fetcher = Fetcher(allow_private=[server.place], limits=limits)
    try:
        return fetcher.fetch(server.url)
    finally:
        fetcher.close()


UNDERSTOOD = {
    "a length": [OK + b"Content-Length: 5\r\n\r\nhello"],
    "chunks": [OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", b"2;x=y\r\nlo\r\n0\r\n\r\n"],
    "the end of the connection": [b"HTTP/1.0 200 OK\r\n\r\n", b"hel", b"lo"],
    "one byte at a time": [bytes([byte]) for byte in OK + b"Content-Length: 5\r\n\r\nhello"],
    "a hint before it": [
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello"
    ],
    "gzip": [OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"hello")],
    "gzip in two members": [
        OK + b"Content-Encoding: x-gzip\r\n\r\n" + gzip.compress(b"hel") + gzip.compress(b"lo")
    ],
    "deflate with a header": [OK + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(b"hello")],
    "deflate without one": [OK + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(b"hello", wbits=-15)],
    "identity": [OK + b"Content-Encoding: identity\r\n\r\nhello"],
}


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_a_body_is_read_to_its_end(name: str) -> None:
    with RawServer(UNDERSTOOD[name]) as server:
        assert fetch(server).body == b"hello"


@pytest.mark.parametrize("name", sorted(UNDERSTOOD.keys() - {"deflate without one", "gzip in two members"}))
def test_a_general_client_reads_the_same(name: str) -> None:
    with RawServer(UNDERSTOOD[name]) as server, httpx2.Client(trust_env=False) as client:
        assert client.get(server.url).content == b"hello"


BOMB = gzip.compress(b"\0" * 30_000_000)
REFUSED = {
    "broken off in a body": ([OK + b"Content-Length: 50\r\n\r\nhello"], "in the middle"),
    "broken off in a chunk": ([OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\nhello"], "in the middle"),
    "broken off in the headers": ([OK + b"Content-Len"], "in the middle"),
    "nothing at all": ([b""], "without an answer"),
    "not HTTP": ([b"220 mail.example ESMTP\r\n"], "not HTTP"),
    "TLS": ([b"\x15\x03\x01\x00\x02\x02\x46"], "not HTTP"),
    "another protocol": (
        [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"],
        "not HTTP|middle",
    ),
    "endless headers": ([OK, *[b"X-Filler: " + b"a" * 8000 + b"\r\n"] * 40], "bytes of headers"),
    "endless hints": (
        [b"HTTP/1.1 103 Early Hints\r\nLink: </" + b"x" * 9000 + b">\r\n\r\n"] * 40,
        "bytes of headers",
    ),
    "two lengths": ([OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"], "not HTTP"),
    "length and chunks": ([OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"], "not HTTP"),
    "too much on the wire": ([OK + b"\r\n", *[b"a" * 9000] * 9], "more than 20,000 bytes"),
    "a bomb": ([OK + b"Content-Encoding: gzip\r\n\r\n" + BOMB], "more than 20,000 bytes|bomb"),
    "a small bomb": ([OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"\0" * 200_000)], "bomb"),
    "a bomb in members": (
        [OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"\0" * 40_000) * 9],
        "bomb",
    ),
    "brotli": ([OK + b"Content-Encoding: br\r\n\r\nhello"], "br, which nobody asked for"),
    "gzip twice": ([OK + b"Content-Encoding: gzip, gzip\r\n\r\nhello"], "nobody asked for"),
    "gzip that is none": ([OK + b"Content-Encoding: gzip\r\n\r\nhello"], "cannot be unpacked"),
    "gzip that breaks off": ([OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"hello")[:-9]], "breaks off"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_answer_that_is_broken_or_too_much_is_refused(name: str) -> None:
    pieces, reason = REFUSED[name]
    with RawServer(pieces) as server, pytest.raises(SourceError, match=reason):
        fetch(server)


def test_a_ratio_that_no_text_has_is_a_bomb_before_the_size_is() -> None:
    limits = FetchLimits(ratio=100)
    with RawServer([OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"\0" * 5_000_000)]) as server:
        with pytest.raises(SourceError, match="decompression bomb"):
            fetch(server, limits)
        assert len(fetch(server, replace(limits, ratio=2000)).body) == 5_000_000


def test_an_answer_that_never_ends_is_given_up() -> None:
    stalled = RawServer([OK + b"Content-Length: 5\r\n\r\nhel", None])
    with stalled, pytest.raises(SourceError, match=r"did not answer in 0\.2 seconds"):
        fetch(stalled, FetchLimits(seconds=0.2))


def test_the_time_is_for_all_redirects_together(site: NewsSite) -> None:
    site.answer_next("/go", Reply(302, b"", {"Location": "/slow"}))
    fetcher = Fetcher(allow_private=[site.place], limits=FetchLimits(seconds=0))
    with pytest.raises(SourceError, match=r"did not answer in 0 seconds|cannot be reached"):
        fetcher.fetch(site.url + "/go")


@given(st.binary(max_size=300))
def test_random_bytes_are_never_a_crash(noise: bytes) -> None:
    with RawServer([OK + noise]) as server, contextlib.suppress(SourceError):
        fetch(server)


def test_a_304_has_no_body_whatever_its_length_says() -> None:
    with RawServer([b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n", None]) as server:
        answer = fetch(server)
    assert (answer.status, answer.body) == (304, b"")


def test_one_connection_serves_many_fetches() -> None:
    with RawServer([OK + b"Content-Length: 2\r\n\r\nok", None]) as server:
        fetcher = Fetcher(allow_private=[server.place])
        assert [fetcher.fetch(server.url).body for _ in range(5)] == [b"ok"] * 5
        fetcher.close()
        assert server.connections == 1


def test_a_kept_connection_that_was_closed_is_replaced_unseen() -> None:
    """Whether the close is noticed before the request or after it."""
    with RawServer([OK + b"Content-Length: 2\r\n\r\nok"]) as server:
        fetcher = Fetcher(allow_private=[server.place])
        assert [fetcher.fetch(server.url).body for _ in range(5)] == [b"ok"] * 5
        fetcher.close()


def test_an_answer_with_more_behind_it_is_not_mixed_with_the_next() -> None:
    smuggled = OK + b"Content-Length: 2\r\n\r\nok" + OK + b"X-Evil: 1\r\nContent-Length: 4\r\n\r\nevil"
    with RawServer([smuggled, None]) as server:
        fetcher = Fetcher(allow_private=[server.place])
        answers = [fetcher.fetch(server.url) for _ in range(3)]
        fetcher.close()
    assert [(answer.body, "x-evil" in answer.headers) for answer in answers] == [(b"ok", False)] * 3


def test_many_threads_share_one_client(site: NewsSite, fetcher: Fetcher) -> None:
    urls = [site.put(f"/{number}", str(number).encode()) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        bodies = list(pool.map(lambda url: fetcher.fetch(url).body, urls))
    assert bodies == [str(number).encode() for number in range(40)]


def test_who_asks_is_said_honestly_and_nothing_else(site: NewsSite, fetcher: Fetcher) -> None:
    fetcher.fetch(site.url + "/", headers={"If-None-Match": 'W/"é"'})
    assert site.calls[-1].headers == {
        "host": site.place,
        "user-agent": "distributor/0 (+https://go.example.org)",
        "accept-encoding": "gzip, deflate",
        "accept": "*/*",
        "if-none-match": 'W/"é"',
    }


def test_a_header_cannot_bring_another_one(site: NewsSite, fetcher: Fetcher) -> None:
    with pytest.raises(SourceError, match="line break"):
        fetcher.fetch(site.url + "/", headers={"If-None-Match": '"x"\r\nX-Evil: 1'})


def redirect(site: NewsSite, *steps: tuple[int, str, str]) -> None:
    for status, path, target in steps:
        site.answer_next(path, Reply(status, b"moved", {"Location": target}))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(status: int, site: NewsSite, fetcher: Fetcher) -> None:
    redirect(site, (status, "/a", "b/../c?x=1#frag"))
    site.put("/c", b"here")
    answer = fetcher.fetch(site.url + "/a")
    assert (answer.status, answer.url, answer.body) == (200, f"{site.url}/c?x=1", b"here")
    assert answer.moved_to == (f"{site.url}/c?x=1" if status in (301, 308) else None)


def test_moved_for_good_is_only_as_far_as_the_permanent_redirects_go(site: NewsSite, fetcher: Fetcher) -> None:
    redirect(site, (301, "/a", "/b"), (308, "/b", "/c"), (302, "/c", "/d"), (301, "/d", "/e"))
    site.put("/e", b"here")
    assert fetcher.fetch(site.url + "/a").moved_to == site.url + "/c"


def test_a_redirect_loop_ends(site: NewsSite, fetcher: Fetcher) -> None:
    redirect(site, *[(302, "/a", "/a")] * 9)
    with pytest.raises(SourceError, match="redirects more than 5 times"):
        fetcher.fetch(site.url + "/a")


def test_a_location_in_bare_utf8_is_understood(site: NewsSite, fetcher: Fetcher) -> None:
    redirect(site, (302, "/a", "/новини".encode().decode("latin-1")))
    assert fetcher.fetch(site.url + "/a").url == site.url + "/%D0%BD%D0%BE%D0%B2%D0%B8%D0%BD%D0%B8"


def test_a_host_that_is_not_there_is_said_so() -> None:
    fetcher = Fetcher(allow_private=["127.0.0.1:1"])
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:1 cannot be reached: Connection refused"):
        fetcher.fetch("http://127.0.0.1:1/")


def test_a_name_that_is_not_there_is_said_so() -> None:
    with pytest.raises(SourceError, match=r"nowhere\.invalid cannot be found"):
        Fetcher().fetch("http://nowhere.invalid/")


def make_certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for localhost that nobody signed, and the server's side of it."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]),
    )
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), today, today + timedelta(days=2)
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "localhost.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(certificate.public_bytes(Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return pem, context


def test_a_certificate_nobody_signed_is_refused_and_a_trusted_one_accepted(tmp_path: Path) -> None:
    pem, context = make_certificate(tmp_path)
    with RawServer([OK + b"Content-Length: 2\r\n\r\nok", None], tls=context) as server:
        port = server.place.partition(":")[2]

        def fetcher(tls: ssl.SSLContext | None = None) -> Fetcher:
            return Fetcher(allow_private=["127.0.0.1"], resolve=lambda host, port: ["127.0.0.1"], tls=tls)

        with pytest.raises(SourceError, match="no secure connection"):
            fetcher().fetch(f"https://localhost:{port}/")
        trusting = fetcher(ssl.create_default_context(cafile=str(pem)))
        assert [trusting.fetch(f"https://localhost:{port}/").body for _ in range(3)] == [b"ok"] * 3
        with pytest.raises(SourceError, match="no secure connection"):
            trusting.fetch(f"https://another.example:{port}/")
        trusting.close()
