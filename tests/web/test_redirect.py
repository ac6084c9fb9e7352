"""The redirect on a real server: the short way and the ASGI way give the same answers."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redirect_rig import NOT_FOUND, NOW, TARGETS, Client, Links, make_redirects, read_lines, serving

from distributor.core.errors import StorageError
from distributor.web.public.clicks import ClickJournal
from distributor.web.public.redirect import LinkMap, Redirects, keep_fresh

SLUG = "slug0000007"
TARGET = TARGETS[SLUG]
BROWSER = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0\r\n"
    "Accept: text/html,*/*;q=0.8\r\nReferer: https://t.co/xyz?private=1\r\nUpgrade-Insecure-Requests: 1\r\n"
    "Connection: keep-alive\r\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "clicks"


@pytest.fixture
def links() -> Links:
    return Links()


@pytest.fixture
def redirects(folder: Path, links: Links) -> Iterator[Redirects]:
    made = make_redirects(folder, links)
    yield made
    made.journal.close()


@pytest.fixture(params=["short way", "asgi way"])
def port(request: pytest.FixtureRequest, redirects: Redirects) -> Iterator[int]:
    with serving(redirects, is_fast=request.param == "short way") as number:
        yield number


@pytest.fixture
def client(port: int) -> Iterator[Client]:
    with Client(port) as made:
        yield made


def test_a_click_goes_to_the_story_and_into_the_journal(client: Client, folder: Path) -> None:
    status, headers, body = client.ask(f"/l/{SLUG}", more=BROWSER)
    assert (status, body) == (302, b"")
    assert headers["location"] == TARGET
    assert headers["cache-control"] == "no-store"
    assert headers["x-robots-tag"] == "noindex"
    assert headers["content-length"] == "0"
    assert "date" in headers and "set-cookie" not in headers
    ((at, slug, method, network, referrer, hints, agent),) = read_lines(folder)
    assert (at, slug, method, network) == (str(NOW), SLUG, "GET", "127.0.0.0/24")
    assert (referrer, hints) == ("t.co", "")
    assert agent.startswith("Mozilla/5.0 (X11")


def test_head_is_answered_like_get_and_noted_as_head(client: Client, folder: Path) -> None:
    status, headers, _ = client.ask(f"/l/{SLUG}", method="HEAD")
    assert (status, headers["location"]) == (302, TARGET)
    assert client.ask("/hello")[0] == 200
    assert read_lines(folder)[0][2] == "HEAD"


def test_what_networks_add_to_a_link_does_not_matter(client: Client) -> None:
    for tail in ("?fbclid=abc", "?utm_source=x&next=https://evil.example/", ".", "/", ").", "?"):
        status, headers, _ = client.ask(f"/l/{SLUG}{tail}")
        assert (status, headers["location"]) == (302, TARGET), tail


def test_an_unknown_slug_is_a_plain_page_and_no_click(client: Client, folder: Path) -> None:
    for path in ("/l/unknown1234", "/l/", "/l", "/l/..%2f..%2fetc", f"/l/{SLUG}/more", "/l/https://evil.example/"):
        status, headers, body = client.ask(path)
        assert status == 404, path
    status, headers, body = client.ask("/l/unknown1234")
    assert (status, body) == (404, NOT_FOUND)
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["referrer-policy"] == "no-referrer"
    status, headers, _ = client.ask("/l/unknown1234", method="HEAD")
    assert (status, headers["content-length"]) == (404, str(len(NOT_FOUND)))
    assert read_lines(folder) == []


def test_other_methods_change_and_count_nothing(client: Client, folder: Path) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        status, headers, _ = client.ask(f"/l/{SLUG}", method=method, more="Content-Length: 0\r\n")
        assert (status, headers["allow"]) == (405, "GET, HEAD")
    assert read_lines(folder) == []


def test_requests_in_one_packet_are_answered_in_order(client: Client, folder: Path) -> None:
    slugs = [f"slug{number:07d}" for number in range(30)]
    paths = [path for slug in slugs for path in (f"/l/{slug}", "/hello", "/l/unknown1234")]
    client.write(b"".join(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for path in paths))
    answers = [client.read() for _ in paths]
    assert [status for status, _, _ in answers] == [302, 200, 404] * 30
    assert [headers["location"] for status, headers, _ in answers if status == 302] == [TARGETS[s] for s in slugs]
    assert [line[1] for line in read_lines(folder)] == slugs


def test_a_request_in_any_two_pieces_is_answered_once(client: Client, folder: Path) -> None:
    request = f"GET /l/{SLUG} HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\n\r\n".encode()
    for at in range(1, len(request)):
        client.write(request[:at])
        client.write(request[at:])
        status, headers, _ = client.read()
        assert (status, headers["location"]) == (302, TARGET)
    assert len(read_lines(folder)) == len(request) - 1


def test_bodies_are_read_and_never_taken_for_requests(client: Client, folder: Path) -> None:
    inner = f"GET /l/{SLUG} HTTP/1.1\r\nHost: a\r\n\r\n"
    more = f"Content-Length: {len(inner)}\r\n"
    client.write(f"GET /l/slug0000001 HTTP/1.1\r\nHost: a\r\n{more}\r\n{inner}".encode())
    assert client.read()[1]["location"] == TARGETS["slug0000001"]
    status, _, body = client.ask("/hello")
    assert (status, body) == (200, b"hello 0")
    chunked = f"{len(inner):x}\r\n{inner}\r\n0\r\n\r\n"
    client.write(f"GET /l/slug0000002 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}".encode())
    assert client.read()[1]["location"] == TARGETS["slug0000002"]
    status, _, body = client.ask("/hello")
    assert (status, body) == (200, b"hello 0")
    assert [line[1] for line in read_lines(folder)] == ["slug0000001", "slug0000002"]


@pytest.mark.parametrize(
    "lines",
    [
        "Host: a\nContent-Length: 5\r\n",
        "Content-Length : 5\r\n",
        "X: a\r\n Content-Length: 5\r\n",
        "X: a\0b\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Content-Length: -5\r\n",
    ],
)
def test_odd_framing_hides_no_second_request(client: Client, folder: Path, lines: str) -> None:
    client.write(f"GET /l/slug0000001 HTTP/1.1\r\n{lines}\r\nGET /l/{SLUG} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    client.socket.shutdown(1)
    client.read_to_end()
    hidden = [line for line in read_lines(folder) if line[1] == SLUG]
    assert hidden == [] or "Content-Length" not in lines


def test_http_1_0_is_answered_and_closed(client: Client) -> None:
    client.write(f"GET /l/{SLUG} HTTP/1.0\r\n\r\n".encode())
    answer = client.read_to_end()
    assert b"302 Found" in answer and TARGET.encode() in answer


def test_a_client_that_wants_to_close_is_closed(client: Client) -> None:
    client.write(f"GET /l/{SLUG} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    assert TARGET.encode() in client.read_to_end()


def test_a_reader_who_asked_for_privacy_leaves_no_network(client: Client, folder: Path) -> None:
    for line in ("DNT: 1\r\n", "Sec-GPC: 1\r\n", "DNT: 0\r\n"):
        client.ask(f"/l/{SLUG}", more=line)
    assert [line[3] for line in read_lines(folder)] == ["", "", "127.0.0.0/24"]


def test_hints_of_prefetching_and_embedding_are_kept(client: Client, folder: Path) -> None:
    client.ask(f"/l/{SLUG}", more=BROWSER + "Sec-Purpose: prefetch;prerender\r\n")
    client.ask(f"/l/{SLUG}", more="Accept: image/*\r\nSec-Fetch-Dest: image\r\nX-Moz: a|b=c\r\n")
    assert [line[5] for line in read_lines(folder)] == [
        "sec-purpose=prefetch;prerender",
        "x-moz=a b c|sec-fetch-dest=image|accept=image/*",
    ]


def test_no_header_breaks_a_record(client: Client, folder: Path) -> None:
    client.ask(f"/l/{SLUG}", more="User-Agent: a\tb\x80 \xff" + "x" * 2000 + "\r\nReferer: http://a|b=c\td/\r\n")
    ((*_, referrer, hints, agent),) = read_lines(folder)
    assert (referrer, hints) == ("a b c d", "")
    assert agent == ("a\tb\x80 \xff" + "x" * 2000)[:512]


def test_no_path_leads_anywhere_but_to_a_stored_target(port: int) -> None:
    source = random.Random(20261123)
    pieces = [
        "/",
        "//",
        "..",
        "%2f",
        "%0d%0a",
        "\\",
        "@",
        "https:",
        "evil.example",
        "?url=",
        "#",
        SLUG,
        "%00",
        "é",
        ";",
    ]
    allowed = set(TARGETS.values())
    answered = 0
    for _ in range(1000):
        path = "/l/" + "".join(source.choices(pieces, k=source.randint(1, 6)))
        more = source.choice(["", "X-Forwarded-Host: evil.example\r\n", "Referer: https://evil.example/\r\n"])
        head = f"GET {path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n{more}\r\n"
        with Client(port) as client:
            client.write(head.encode("latin-1"))
            answer = client.read_to_end().decode("latin-1")
        head = answer.partition("\r\n\r\n")[0]
        found = [line[10:] for line in head.split("\r\n") if line.lower().startswith("location: ")]
        assert set(found) <= allowed, (path, found)
        assert " 50" not in head[:13], (path, head)
        answered += bool(found)
    assert answered > 5


def test_a_head_without_end_is_refused(redirects: Redirects) -> None:
    with serving(redirects) as port, Client(port) as client:
        client.write(f"GET /l/{SLUG} HTTP/1.1\r\n".encode())
        with pytest.raises(OSError):
            for _ in range(1000):
                client.write(b"X: " + b"a" * 10_000 + b"\r\n")
        with Client(port) as other:
            assert other.ask(f"/l/{SLUG}")[0] == 302


def test_a_long_but_complete_head_is_answered(client: Client) -> None:
    assert client.ask(f"/l/{SLUG}", more=f"Cookie: {'c' * 60_000}\r\n")[0] == 302


def test_redirects_go_on_while_the_database_waits(client: Client, links: Links, port: int) -> None:
    links.unlocked.clear()
    with Client(port) as other:
        other.write(b"GET /l/unknown1234 HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(3):
            assert client.ask(f"/l/{SLUG}")[0] == 302
        links.unlocked.set()
        assert other.read()[0] == 404


def test_a_link_younger_than_the_map_is_found(client: Client, links: Links, redirects: Redirects) -> None:
    links.targets["fresh000001"] = "https://example.org/fresh"
    assert client.ask("/l/fresh000001")[1]["location"] == "https://example.org/fresh"
    assert client.ask("/l/fresh000001")[0] == 302
    assert links.asked == ["fresh000001"]


def test_a_database_that_fails_is_not_a_lost_link(client: Client, links: Links) -> None:
    links.failure = StorageError("the database is not there")
    status, headers, _ = client.ask("/l/fresh000001")
    assert (status, headers["retry-after"]) == (503, "5")
    links.failure = None
    assert client.ask("/l/fresh000001")[0] == 404


def test_a_full_disk_stops_no_reader_and_is_said_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    is_full = threading.Event()

    def write(file: int, data: bytes) -> int:
        if is_full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(file, data)

    journal = ClickJournal(folder, write=write)
    caplog.set_level(logging.WARNING)
    with serving(make_redirects(folder, journal=journal)) as port, Client(port) as client:
        for full in (False, True, True, True, False):
            is_full.set() if full else is_full.clear()
            assert client.ask(f"/l/{SLUG}")[0] == 302
    assert (journal.written, journal.lost) == (2, 3)
    assert len(read_lines(folder)) == 2
    assert [record.levelname for record in caplog.records if "clicks" in record.name] == ["ERROR", "WARNING"]
    assert "No space left on device" in caplog.text and "3 were lost" in caplog.text
    journal.close()


def test_everything_else_on_the_port_is_served_as_ever(client: Client) -> None:
    assert client.ask("/hello")[2] == b"hello 0"
    client.write(b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345")
    assert client.read()[2] == b"hello 5"
    assert client.ask(f"/l/{SLUG}")[0] == 302
    client.write(b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12")
    client.write(b"345GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.read()[2] == b"hello 5"
    assert client.read()[2] == b"hello 0"


def test_a_plain_request_takes_the_short_way_and_an_odd_one_the_other(redirects: Redirects) -> None:
    tasks: list[bool] = []

    def now() -> int:
        tasks.append(asyncio.current_task() is not None)
        return NOW

    redirects.now = now
    with serving(redirects) as port, Client(port) as client:
        client.ask(f"/l/{SLUG}", more=BROWSER)
        client.ask(f"/l/{SLUG}", method="HEAD")
        client.ask(f"/l/{SLUG}", more="Content-Length: 0\r\n")
    assert tasks == [False, False, True]


def test_idle_connections_are_closed(redirects: Redirects) -> None:
    with serving(redirects, idle=0.1) as port, Client(port) as client:
        for path in (f"/l/{SLUG}", "/hello", f"/l/{SLUG}"):
            assert client.ask(path)[0] in (200, 302)
        assert client.read_to_end() == b""


def test_a_head_that_comes_in_drops_is_cut_off(redirects: Redirects) -> None:
    with serving(redirects, head_seconds=0.3) as port, Client(port) as client, pytest.raises(OSError):
        client.write(f"GET /l/{SLUG} HTTP/1.1\r\n".encode())
        for _ in range(2000):
            client.write(b"X: a\r\n")
            time.sleep(0.01)


def test_a_server_that_stops_lets_answered_connections_go(redirects: Redirects) -> None:
    with serving(redirects) as port:
        client = Client(port)
        assert client.ask(f"/l/{SLUG}")[0] == 302
    with client:
        assert client.read_to_end() == b""


def test_a_target_that_is_not_safe_leads_nowhere(links: Links, tmp_path: Path) -> None:
    links.targets = {
        "bad00000001": "https://example.org/\r\nSet-Cookie: a=b",
        "bad00000002": "javascript:alert(1)",
        "good0000001": "https://приклад.укр/шлях?q=ї",
    }
    with serving(make_redirects(tmp_path, links)) as port, Client(port) as client:
        assert client.ask("/l/bad00000001")[0] == 404
        assert client.ask("/l/bad00000002")[0] == 404
        found = client.ask("/l/good0000001")[1]["location"]
    assert found == "https://xn--80aikifvh.xn--j1amh/%D1%88%D0%BB%D1%8F%D1%85?q=%D1%97"


def test_the_map_keeps_the_newest_links_and_asks_for_the_rest() -> None:
    links = Links()
    clock = [0.0]
    link_map = LinkMap(links.find, links.list_after, lambda: clock[0], capacity=10)
    assert link_map.refresh() == 50
    assert link_map.refresh() == 0
    assert len(link_map.known) == 10
    assert link_map.look_up("slug0000049") and links.asked == []
    assert link_map.look_up("slug0000001") and links.asked == ["slug0000001"]
    for _ in range(3):
        assert link_map.look_up("nothing") is None
    assert links.asked == ["slug0000001", "nothing"]
    clock[0] = 6.0
    assert link_map.look_up("nothing") is None
    assert links.asked == ["slug0000001", "nothing", "nothing"]


def test_new_links_and_old_files_are_looked_after(redirects: Redirects, links: Links, folder: Path) -> None:
    async def look_after() -> None:
        task = asyncio.create_task(keep_fresh(redirects.links, redirects.journal, every=0.001, rotate_every=0.01))
        while len(list(folder.glob("*.clicks"))) < 2 or b"fresh000001" not in redirects.links.known:
            await asyncio.sleep(0.002)
        task.cancel()

    links.targets["fresh000001"] = "https://example.org/fresh"
    redirects.journal.append(b"x\n")
    asyncio.run(asyncio.wait_for(look_after(), 30))
