"""The application as a whole: headers on everything, strangers kept out, nothing made of the Host header."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.requests import Request

from distributor.core.errors import SettingsError
from distributor.storage import Storage
from distributor.web.console.door import Door
from distributor.web.server import WebServer
from tests.web.app_rig import KEY, VIEW, Away, Browser, add_letter, dump, make_parts, make_token, serving

MARKS = [
    ("X-Forwarded-For", "203.0.113.9"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "localhost"),
    ("X-Real-IP", "127.0.0.1"),
    ("Forwarded", "for=127.0.0.1"),
    ("Via", "1.1 proxy"),
    ("CF-Connecting-IP", "127.0.0.1"),
    ("Host", "go.example.org"),
    ("Host", "localhost.evil.example"),
    ("Host", "127.0.0.1.evil.example:8080"),
    ("Host", ""),
]
CONSOLE = ("/", "/console", "/metrics")


@pytest.fixture
def browser(storage: Storage) -> Iterator[Browser]:
    with serving(make_parts(storage)) as browser:
        yield browser


def list_paths(storage: Storage) -> list[str]:
    token = make_token(storage, 1, add_letter(storage))
    pages = ["/", "/console", "/metrics", "/healthz", "/readyz", "/robots.txt", "/hooks/letter", "/hooks/nobody"]
    return [
        *pages,
        f"/u/{token}",
        "/u/forged",
        f"/v/{VIEW}",
        "/v/forged",
        "/nothing",
        "/u/",
        "/metrics/",
        "//",
        "/%2e",
    ]


def test_no_method_that_only_looks_changes_anything(storage: Storage, browser: Browser) -> None:
    paths = list_paths(storage)
    before = dump(storage)
    for path in paths:
        for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"):
            assert browser.ask(path, method).status in (200, 400, 404, 405), (method, path)
    assert dump(storage) == before


def test_head_is_a_get_without_its_body(storage: Storage, browser: Browser) -> None:
    for path in ("/healthz", "/v/" + VIEW, "/", "/nothing"):
        looked, got = browser.ask(path, "HEAD"), browser.ask(path)
        assert (looked.status, looked.body) == (got.status, b"")
        assert looked.headers["content-length"] == str(len(got.body))


def test_every_answer_carries_the_security_headers(storage: Storage) -> None:
    def break_down(token: str) -> str:
        raise RuntimeError("a bug with a secret in it")

    with serving(make_parts(storage, view=break_down)) as browser, serving(make_parts(Away())) as away:
        answers = [browser.ask(path, method) for path in list_paths(storage) for method in ("GET", "POST", "PUT")]
        answers += [away.ask(path) for path in ("/", "/metrics", "/readyz")]
        answers.append(browser.ask("/u/x", "POST", {}, b"x" * 1_100_000))
        assert {answer.status for answer in answers} >= {200, 404, 405, 413, 500, 503}
        for answer in answers:
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
            assert "script-src" not in answer.headers["content-security-policy"]
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-robots-tag"] == "noindex"
            assert answer.headers["cache-control"] == "no-store"
            assert "set-cookie" not in answer.headers and "server" not in answer.headers
            assert "a bug with a secret" not in answer.text


def test_a_bug_is_a_plain_500_that_tells_nothing(storage: Storage) -> None:
    def break_down(token: str) -> str:
        raise RuntimeError("a bug with a secret in it")

    with serving(make_parts(storage, view=break_down)) as browser:
        answer = browser.ask(f"/v/{VIEW}")
    assert (answer.status, answer.text) == (500, "something went wrong here; it was written to the log\n")


def test_nothing_is_made_of_what_the_request_says_about_the_host(storage: Storage, browser: Browser) -> None:
    evil = "evil.example"
    hostile = [
        {"Host": evil},
        {"Host": f"go.example.org@{evil}"},
        {"X-Forwarded-Host": evil, "X-Forwarded-Proto": "gopher", "X-Forwarded-Prefix": f"//{evil}"},
        {"Forwarded": f"host={evil};proto=http"},
        {"X-Original-URL": f"http://{evil}/", "X-Rewrite-URL": f"//{evil}", "X-HTTP-Method-Override": "POST"},
        {"Referer": f"https://{evil}/", "Origin": f"https://{evil}"},
    ]
    paths = [path for path in list_paths(storage) if path not in (*CONSOLE, "//")]
    plain = {path: browser.ask(path) for path in paths}
    before = dump(storage)
    for headers in hostile:
        for path in paths:
            answer = browser.ask(path, headers=headers)
            assert (answer.status, answer.body) == (plain[path].status, plain[path].body), (path, headers)
            assert "location" not in answer.headers
            assert evil not in answer.text + repr(answer.headers)
    assert dump(storage) == before


def test_the_console_is_open_to_this_machine(browser: Browser) -> None:
    for host in ("localhost", "127.0.0.1:8080", "LOCALHOST:1", "[::1]:8080"):
        assert [browser.ask(path, headers={"Host": host}).status for path in CONSOLE] == [200, 200, 200]


@pytest.mark.parametrize(("name", "value"), MARKS)
def test_the_console_is_not_there_for_strangers(browser: Browser, name: str, value: str) -> None:
    elsewhere = browser.ask("/nothing", headers={name: value})
    for path in CONSOLE:
        answer = browser.ask(path, headers={name: value})
        assert (answer.status, answer.body) == (404, elsewhere.body)


def test_the_console_is_not_there_behind_an_old_proxy_that_leaves_no_mark(browser: Browser) -> None:
    with socket.create_connection(("127.0.0.1", browser.port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 404 ")


def test_the_token_opens_the_console_from_elsewhere(storage: Storage) -> None:
    def basic(text: str) -> str:
        return f"Basic {base64.b64encode(text.encode()).decode()}"

    far = {"X-Forwarded-For": "203.0.113.9", "Host": "go.example.org"}
    with serving(make_parts(storage, console_token=KEY)) as browser:
        for right in (f"Bearer {KEY}", f"bearer  {KEY}", basic(f"editor:{KEY}"), basic(f":{KEY}")):
            for path in CONSOLE:
                assert browser.ask(path, headers={**far, "Authorization": right}).status == 200, (path, right)
        wrong = ["", KEY, "Bearer", "Bearer ", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", f"Digest {KEY}", basic(KEY)]
        for one in [*wrong, "Basic !!!", basic("editor:"), basic(f"{KEY}:x"), "Bearer \u00e9"]:
            answers = [browser.ask(path, headers={**far, "Authorization": one}) for path in CONSOLE]
            assert [answer.status for answer in answers] == [404, 401, 404], one
        challenge = browser.ask("/console", headers=far).headers["www-authenticate"]
        assert challenge.startswith("Basic ")


def test_no_token_never_opens_the_door() -> None:
    for given in ("Bearer ", "Bearer", "Basic Og==", "Basic ", ""):
        assert not Door("").is_open_to(request_from("203.0.113.9", authorization=given))


@pytest.mark.parametrize(
    ("peer", "is_open"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("203.0.113.9", False),
        ("::ffff:203.0.113.9", False),
        ("", False),
        (None, False),
    ],
)
def test_only_the_loopback_address_is_this_machine(peer: str | None, is_open: bool) -> None:
    assert Door(KEY).is_open_to(request_from(peer)) is is_open


def request_from(peer: str | None, **headers: str) -> Request:
    pairs = [(b"host", b"localhost"), *((name.encode(), value.encode()) for name, value in headers.items())]
    client = None if peer is None else (peer, 1234)
    scope: dict[str, Any] = {"type": "http", "http_version": "1.1", "headers": pairs, "client": client}
    return Request(scope)


def test_robots_are_asked_to_stay_away(browser: Browser) -> None:
    assert "Disallow: /" in browser.ask("/robots.txt").text


def test_a_taken_port_is_a_sentence_that_names_it(browser: Browser) -> None:
    with pytest.raises(SettingsError, match=rf"web\.listen: cannot listen on 127\.0\.0\.1:{browser.port}"):
        WebServer(None, "127.0.0.1", browser.port)


def test_a_server_that_is_stopped_is_gone(storage: Storage) -> None:
    with serving(make_parts(storage)) as browser:
        assert browser.ask("/healthz").text == "ok\n"
    with pytest.raises(ConnectionRefusedError):
        browser.ask("/healthz")
