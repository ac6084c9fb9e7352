"""Leaving a list and the letter in the browser, as readers, mail programs and scanners use them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from distributor.core.errors import StorageError
from distributor.pipeline.render import Renderer, Templates
from distributor.shipped import templates_dir
from distributor.storage import Storage
from distributor.web.parts import view_edition
from tests.storage.scene import add_edition, add_readers
from tests.web.app_rig import LETTER, NOW, VIEW, Away, Browser, add_letter, dump, make_parts, make_token, serving

ONE_CLICK = "List-Unsubscribe=One-Click"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "--b\r\nContent-Disposition: form-data; name=List-Unsubscribe\r\n\r\nOne-Click\r\n--b--\r\n"


@pytest.fixture
def browser(storage: Storage) -> Iterator[Browser]:
    with serving(make_parts(storage)) as browser:
        yield browser


def members(storage: Storage) -> int:
    return storage.recipients.list_lists().get("readers", 0)


def test_looking_never_unsubscribes(storage: Storage, browser: Browser) -> None:
    path = f"/u/{make_token(storage, 1, add_letter(storage))}"
    before = dump(storage)
    prefetch = {"Sec-Purpose": "prefetch", "User-Agent": "Mozilla/5.0 (compatible; Mimecast)"}
    assert browser.ask(path).status == 200
    assert browser.ask(path, headers=prefetch).status == 200
    assert browser.ask(path + "?unsubscribe=1&confirm=yes").status == 200
    assert browser.ask(path, "HEAD").status == 200
    for method in ("OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"):
        assert browser.ask(path, method).status in (400, 405)
    assert dump(storage) == before


def test_the_page_asks_with_a_button_that_posts(storage: Storage, browser: Browser) -> None:
    answer = browser.ask(f"/u/{make_token(storage, 1, add_letter(storage))}")
    assert '<form method="post">' in answer.text
    assert "<script" not in answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (ONE_CLICK, {"Content-Type": FORM}),
        (MULTIPART, {"Content-Type": "multipart/form-data; boundary=b"}),
        (None, {}),
        ("", {"Content-Type": FORM}),
        ("{}", {"Content-Type": "application/json", "Cookie": "a=b", "Authorization": "Bearer x"}),
        ("\x00\xff" * 1000, {"Content-Type": "\xff/;;"}),
        (iter([b"List-", b"Unsubscribe=", b"One-Click"]), {"Transfer-Encoding": "chunked"}),
        (ONE_CLICK, {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site", "Referer": "x"}),
        (ONE_CLICK, {"User-Agent": "", "Accept": "text/plain"}),
    ],
)
def test_a_post_unsubscribes_whatever_it_carries(
    storage: Storage, browser: Browser, body: Any, headers: dict[str, str]
) -> None:
    path = f"/u/{make_token(storage, 2, add_letter(storage))}"
    if isinstance(body, str):
        body = body.encode("latin-1")
    if headers.get("Transfer-Encoding"):
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in body) + b"0\r\n\r\n"
    answer = browser.ask(path, "POST", headers, body)
    assert answer.status == 200
    assert "location" not in answer.headers
    assert members(storage) == 2
    row = list(storage.recipients.iter_rows("readers"))[1]
    assert (row.state, row.suppression) == ("left", "unsubscribed")


def test_unsubscribing_again_says_the_same_and_changes_nothing(storage: Storage, browser: Browser) -> None:
    path = f"/u/{make_token(storage, 1, add_letter(storage))}"
    first = browser.ask(path, "POST")
    before = dump(storage)
    again = browser.ask(path, "POST")
    assert (again.status, again.body) == (200, first.body)
    assert dump(storage) == before


def test_only_the_letters_own_list_is_left(storage: Storage, browser: Browser) -> None:
    edition_id = add_letter(storage)
    add_readers(storage, NOW, 3, "sport")
    browser.ask(f"/u/{make_token(storage, 1, edition_id)}", "POST")
    assert storage.recipients.list_lists() == {"readers": 2, "sport": 3}


def test_a_letter_nobody_remembers_still_lets_its_reader_go(storage: Storage, browser: Browser) -> None:
    add_letter(storage)
    assert browser.ask(f"/u/{make_token(storage, 1, 999_999)}", "POST").status == 200
    add_edition(storage, NOW, channel="letter", list_name="readers", number=2)
    assert storage.reports.list_editions()[0].audience == 2


def test_a_reader_who_is_not_there_any_more_gets_the_same_answer(storage: Storage, browser: Browser) -> None:
    edition_id = add_letter(storage)
    before = dump(storage)
    assert browser.ask(f"/u/{make_token(storage, 0, edition_id)}", "POST").status == 200
    assert browser.ask(f"/u/{make_token(storage, 12_345, edition_id)}", "POST").status == 200
    assert dump(storage) == before


def test_a_token_that_was_never_given_out_does_nothing(storage: Storage, browser: Browser) -> None:
    edition_id = add_letter(storage)
    token = make_token(storage, 1, edition_id)
    subscriber, edition, mac = token.split("-", 2)
    changed = [f"{token[:i]}{'A' if token[i] != 'A' else 'B'}{token[i + 1 :]}" for i in range(len(token))]
    forged = [
        *changed,
        f"2-{edition}-{mac}",
        f"0{token}",
        f"{subscriber}-{int(edition) + 1}-{mac}",
        token[:-1],
        token + "A",
        token + "%0d%0a",
        "1-1-",
        "--",
        "-1-1-x",
        "%00",
        "9" * 40 + "-1-x",
        "\u0661-1-x".encode().hex(),
        "..%2f..%2fetc",
        "x" * 3000,
    ]
    before = dump(storage)
    for one in forged:
        assert browser.ask(f"/u/{one}").status == 404, one
        assert browser.ask(f"/u/{one}", "POST", {"Content-Type": FORM}, ONE_CLICK).status == 404, one
    assert dump(storage) == before


def test_a_body_that_is_too_large_is_refused_before_anything_happens(storage: Storage, browser: Browser) -> None:
    path = f"/u/{make_token(storage, 1, add_letter(storage))}"
    before = dump(storage)
    assert browser.ask(path, "POST", {}, b"x" * (1024 * 1024 + 1)).status == 413
    assert dump(storage) == before
    assert browser.ask(path, "POST", {}, b"x" * (1024 * 1024)).status == 200


def test_while_the_database_is_away_readers_are_asked_to_try_again() -> None:
    with serving(make_parts(Away())) as browser:
        path = f"/u/{make_token(Away(), 1, 1)}"  # type: ignore[arg-type]
        assert browser.ask(path).status == 200
        answer = browser.ask(path, "POST")
        assert (answer.status, answer.headers["retry-after"]) == (503, "30")
        assert "secret-label" not in answer.text


def test_the_shipped_page_is_used_and_a_broken_one_is_replaced(storage: Storage, tmp_path: Path) -> None:
    path = f"/u/{make_token(storage, 1, add_letter(storage))}"
    renderer = Renderer(Templates([templates_dir()]))
    try:
        with serving(make_parts(storage, render_page=renderer.render_page, has_lists=True)) as browser:
            asked, done = browser.ask(path), browser.ask(path, "POST")
            assert "The Daily Example" in asked.text and "readers" in asked.text
            assert '<form method="post" action="">' in asked.text
            assert "<form" not in done.text and "You are unsubscribed" in done.text
            assert "This link does not work" in browser.ask("/u/1-1-x").text
    finally:
        renderer.close()


def test_a_letter_in_the_browser_is_cut_off_from_everything_else(browser: Browser) -> None:
    answer = browser.ask(f"/v/{VIEW}")
    assert (answer.status, answer.text) == (200, LETTER)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "sandbox" in policy
    assert "script" not in policy and "allow-scripts" not in policy
    assert answer.headers["x-robots-tag"] == "noindex"


@pytest.mark.parametrize("token", ["", "0", "0123456789abcdeF", "x" * 5000, "%2e%2e", "0123456789abcdef/"])
def test_a_letter_that_never_was_is_not_found(browser: Browser, token: str) -> None:
    assert browser.ask(f"/v/{token}").status == 404


def test_an_edition_is_shown_by_its_own_channel(storage: Storage) -> None:
    edition_id = add_letter(storage)
    planned = storage.editions.load_planned(edition_id)
    assert planned
    channel = SimpleNamespace(view=lambda content: f"<p>{content.payload['text']}")
    app: Any = SimpleNamespace(storage=storage, words_channel=lambda name: channel)
    assert view_edition(app, planned.token) == "<p>Story number 1"
    assert view_edition(app, planned.token.upper()) == ""
    assert view_edition(app, "0" * 16) == ""

    def refuse(name: str) -> Any:
        raise LookupError(f"there is no channel {name!r}")

    app.words_channel = refuse
    assert view_edition(app, planned.token) == ""


def test_a_letter_that_cannot_be_read_now_is_a_503(storage: Storage) -> None:
    def fail(token: str) -> str:
        raise StorageError("the database is locked by another program")

    with serving(make_parts(storage, view=fail)) as browser:
        assert browser.ask(f"/v/{VIEW}").status == 503
