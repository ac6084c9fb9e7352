"""The short way reads heads as the parser does, or leaves them to it; how long clients may take, and how many."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redirect_rig import TARGETS, Client, make_redirects, read_lines, serving

from distributor.web.public import heads
from distributor.web.public.clicks import ClickJournal
from distributor.web.public.heads import read_head
from distributor.web.public.redirect import Redirects
from distributor.web.public.traits import READ_HEADERS, read_traits

SLUG = "slug0000007"
NAMES = [name.title() for name in READ_HEADERS] + [b"Host", b"Cookie", b"accept-language", b"USER-AGENT"]
VALUES = st.one_of(
    st.sampled_from(
        [b"", b"1", b"text/html,*/*", b"document", b"image", b"https://t.co/a", b"prefetch", b" a |=b "]
    ),
    st.binary(max_size=600).map(lambda raw: bytes(one for one in raw if one >= 32 and one != 127)),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "clicks"


@pytest.fixture
def redirects(folder: Path) -> Iterator[Redirects]:
    made = make_redirects(folder)
    yield made
    made.journal.close()


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=12))
def test_a_head_is_read_as_its_headers_say(pairs: list[tuple[bytes, bytes]]) -> None:
    head = b"\r\n".join(b"%s: %s" % pair for pair in pairs)
    wanted = read_traits({name.lower(): value.strip(b" ") for name, value in pairs})
    # Three times: as something new, as something that came before, and from memory.
    assert [read_head(head) for _ in range(3)] == [(wanted, False)] * 3


@pytest.mark.parametrize(
    "line",
    [
        b"Content-Length: 0",
        b"transfer-encoding: chunked",
        b"Expect: 100-continue",
        b"Upgrade: h2c",
        b"Connection: upgrade",
        b"Connection: keep-alive, foo",
        b"X : a",
        b" folded",
        b"X",
        b": a",
        b"X: a\tb",
        b"X: a\nY: b",
        b"X(y): a",
        b"X\x80: a",
    ],
)
def test_what_is_odd_is_left_to_the_parser(line: bytes) -> None:
    for head in (line, b"Host: a\r\n" + line, line + b"\r\nHost: a", b"A: 1\r\n" + line + b"\r\nB: 2"):
        assert [read_head(head) for _ in range(3)] == [None] * 3


def test_remembered_heads_and_lines_stay_few() -> None:
    for number in range(3):
        for one in range(heads.KNOWN_LINES * 2):
            read_head(b"Host: a\r\nUser-Agent: kind %d" % one)
        assert len(heads._known) <= heads.KNOWN_LINES, number
        assert len(heads._known_rests) <= heads.KNOWN_HEADS
    long = b"Cookie: " + b"c" * 5000
    for _ in range(3):
        read_head(long)
    assert long not in heads._known and not any(long in one for one in heads._known_rests)


def test_the_clicks_of_one_turn_are_one_write_before_the_answers(folder: Path) -> None:
    sizes: list[int] = []

    def write(file: int, data: bytes) -> int:
        sizes.append(data.count(b"\n"))
        return os.write(file, data)

    journal = ClickJournal(folder, write=write)
    with serving(make_redirects(folder, journal=journal)) as port, Client(port) as client:
        client.write(b"GET /l/slug0000001 HTTP/1.1\r\nHost: a\r\n\r\n" * 40)
        for _ in range(40):
            assert client.read()[0] == 302
    assert sum(sizes) == 40 and len(sizes) < 40
    assert journal.written == len(read_lines(folder)) == 40
    journal.close()


def test_a_batch_that_half_fits_counts_what_is_whole(folder: Path) -> None:
    rooms = [25, 0, 1000, 1000]

    def write(file: int, data: bytes) -> int:
        return os.write(file, data[: rooms.pop(0)])

    journal = ClickJournal(folder, write=write)
    records = b"".join(b"record %d\n" % number for number in range(5))
    assert [journal.append(records, 5) for _ in range(3)] == [False, False, True]
    assert (journal.written, journal.lost) == (2 + 0 + 5, 3 + 5)
    assert journal.append(b"record 5\n")
    journal.close()
    ((path),) = folder.glob("*.clicks")
    lines = path.read_bytes().split(b"\n")
    assert lines[:3] == [b"record 0", b"record 1", b"record "]
    assert lines[3:] == [*(b"record %d" % number for number in range(6)), b""]


def test_short_and_long_answers_on_one_connection_keep_their_order(redirects: Redirects) -> None:
    paths = ["/l/slug0000001", "/hello", "/l/slug0000002", "/l/unknown1234", "/l/slug0000003?a=b", "/hello"]
    with serving(redirects) as port, Client(port) as client:
        client.write(b"".join(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for path in paths * 5))
        answers = [client.read() for _ in paths * 5]
    assert [status for status, _, _ in answers] == [302, 200, 302, 404, 302, 200] * 5


@pytest.mark.parametrize("head", ["HTTP/1.1\r\nHost: a\r\nConnection: close", "HTTP/1.0\r\nHost: a", "HTTP/1.0"])
def test_proxies_that_close_after_each_request_take_the_short_way(
    redirects: Redirects, folder: Path, head: str
) -> None:
    tasks: list[bool] = []

    def now() -> int:
        tasks.append(asyncio.current_task() is not None)
        return 1

    redirects.now = now
    with serving(redirects) as port, Client(port) as client:
        client.write(f"GET /l/{SLUG} {head}\r\n\r\nGET /l/{SLUG} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        answer = client.read_to_end()
    assert answer.count(b"302 Found") == 1 and b"connection: close" in answer
    assert TARGETS[SLUG].encode() in answer
    assert tasks == [False] and len(read_lines(folder)) == 1


def test_who_connects_and_says_nothing_is_let_go(redirects: Redirects) -> None:
    with serving(redirects, idle=0.1) as port, Client(port) as client:
        assert client.read_to_end() == b""


def test_a_body_that_comes_in_drops_is_cut_off(redirects: Redirects) -> None:
    with serving(redirects, body_seconds=0.3) as port, Client(port) as client, pytest.raises(OSError):
        client.write(b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(2000):
            client.write(b"x")
            time.sleep(0.01)


def test_too_many_connections_are_turned_away_and_told(
    redirects: Redirects, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with serving(redirects, most_connections=3) as port:
        clients = [Client(port) for _ in range(3)]
        for client in clients:
            assert client.ask(f"/l/{SLUG}")[0] == 302
        for _ in range(2):
            with Client(port) as other:
                status, headers, _ = other.read()
                assert (status, headers["retry-after"]) == (503, "5")
                assert other.read_to_end() == b""
        for client in clients:
            assert client.ask(f"/l/{SLUG}")[0] == 302
        clients[0].socket.close()
        while True:
            with Client(port) as other:
                other.write(b"GET /l/slug0000001 HTTP/1.1\r\nHost: a\r\n\r\n")
                if other.read()[0] == 302:
                    break
        for client in clients:
            client.socket.close()
    assert [record for record in caplog.records if "turned away" in record.message][1:] == []
    assert "3 connections are open" in caplog.text
