"""The stand-in is as strict as the service: what it takes, Telegram is believed to take."""

from __future__ import annotations

import http.client
import json
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.channels.telegram.sandbox import Sandbox
from distributor.channels.telegram.sandbox_html import BadMarkup, count_units, parse_html, render_html

Call = Callable[..., Any]
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def ask(sandbox: Sandbox, path: str, body: bytes = b"", kind: str = JSON, verb: str = "POST") -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=10)
    connection.request(verb, path, body, {"Content-Type": kind})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, json.loads(data)


@pytest.fixture
def call(sandbox: Sandbox) -> Call:
    def run(method: str, **fields: Any) -> Any:
        """The result, or the sentence of a refusal."""
        body = json.dumps({"chat_id": "@daily", **fields}).encode()
        _, answer = ask(sandbox, f"/bot{sandbox.token}/{method}", body)
        return answer["result"] if answer["ok"] else answer["description"].removeprefix("Bad Request: ")

    return run


def test_the_same_call_may_come_four_ways(sandbox: Sandbox) -> None:
    path = f"/bot{sandbox.token}/sendMessage"
    fields = {"chat_id": "@daily", "text": "Größe & Ruhm"}
    mark = uuid.uuid4().hex
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    multipart = "".join([*parts, f"--{mark}--\r\n"]).encode()
    ask(sandbox, path, json.dumps(fields).encode())
    ask(sandbox, path, urlencode(fields).encode(), FORM)
    ask(sandbox, path, multipart, f"multipart/form-data; boundary={mark}")
    ask(sandbox, f"{path}?{urlencode(fields)}", verb="GET")
    assert [sight.text for sight in sandbox.seen] == ["Größe & Ruhm"] * 4
    assert [sight.receipt for sight in sandbox.seen] == [f"-1001000000001/{number}" for number in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/bot4242:another-token/getMe", 401, "Unauthorized"),
        ("/botnonsense/getMe", 404, "Not Found"),
        ("/", 404, "Not Found"),
    ],
)
def test_a_wrong_token_is_named_as_the_service_names_it(
    sandbox: Sandbox, path: str, status: int, sentence: str
) -> None:
    assert ask(sandbox, path) == (status, {"ok": False, "error_code": status, "description": sentence})


def test_an_unknown_method_is_not_found(sandbox: Sandbox) -> None:
    status, answer = ask(sandbox, f"/bot{sandbox.token}/sendPigeon")
    assert (status, answer["description"]) == (404, "Not Found: method not found")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"text": ""}, "message text is empty"),
        ({"text": " \n "}, "message text is empty"),
        ({"text": "x", "chat_id": ""}, "chat_id is empty"),
        ({"text": "x", "chat_id": "@elsewhere"}, "chat not found"),
        ({"text": "x" * 4097}, "message is too long"),
        ({"text": "я" * 16385}, "text is too long"),
        (
            {"text": "hello", "entities": [{"type": "bold", "offset": 0, "length": 100}]},
            "entity beginning at UTF-16 offset 0 ends after the end of the text at UTF-16 offset 100",
        ),
        (
            {"text": "hello", "entities": [{"type": "bold", "offset": 100, "length": 1}]},
            "entity begins after the end of the text at UTF-16 offset 100",
        ),
        (
            {
                "text": "hello there",
                "entities": [
                    {"type": "bold", "offset": 0, "length": 6},
                    {"type": "italic", "offset": 3, "length": 8},
                ],
            },
            "entity beginning at UTF-16 offset 3 ends after the end of the text at UTF-16 offset 11",
        ),
        (
            {"text": "😀", "entities": [{"type": "bold", "offset": 1, "length": 1}]},
            "entity begins in a middle of a UTF-16 symbol at byte offset 1",
        ),
        (
            {"text": "hello", "entities": [{"type": "sparkle", "offset": 0, "length": 1}]},
            "can't parse MessageEntity: Unsupported type specified",
        ),
        (
            {"text": "hello", "entities": [{"type": "text_link", "offset": 0, "length": 1}]},
            "can't parse MessageEntity: Can't find field \"url\"",
        ),
        (
            {"text": "hello", "entities": [{"type": "text_link", "offset": 0, "length": 1, "url": "localhost"}]},
            "entity URL 'localhost' is invalid: Wrong HTTP URL",
        ),
        (
            {"text": "<p>x</p>", "parse_mode": "HTML"},
            'can\'t parse entities: Unsupported start tag "p" at byte offset 0',
        ),
        (
            {"text": "x", "reply_markup": {"inline_keyboard": [[{"text": "Go", "url": "http://localhost/x"}]]}},
            "inline keyboard button URL 'http://localhost/x' is invalid: Wrong HTTP URL",
        ),
        (
            {"text": "x", "reply_markup": {"inline_keyboard": [[{"text": "Go", "url": "ftp://a.example"}]]}},
            "inline keyboard button URL 'ftp://a.example' is invalid: Unsupported URL protocol",
        ),
        (
            {"text": "x", "reply_markup": {"inline_keyboard": [[{"text": "Go"}]]}},
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
        ),
        ({"text": "x", "reply_markup": "{"}, "can't parse reply keyboard markup JSON object: Can't parse JSON"),
    ],
)
def test_a_bad_text_is_refused_in_the_services_words(call: Call, fields: dict[str, Any], sentence: str) -> None:
    assert call("sendMessage", **fields) == sentence


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "there is no photo in the request"),
        ({"photo": "AgACAgIAAx"}, "wrong file identifier/HTTP URL specified"),
        ({"photo": "http://localhost/a.jpg"}, "wrong HTTP URL specified"),
        ({"photo": "https://a.example/a.jpg", "caption": "x" * 1025}, "message caption is too long"),
    ],
)
def test_a_bad_photo_is_refused_in_the_services_words(call: Call, fields: dict[str, Any], sentence: str) -> None:
    assert call("sendPhoto", **fields) == sentence


def test_length_is_counted_after_parsing_and_in_characters_not_units(call: Call) -> None:
    assert call("sendMessage", text="😀" * 4096)["message_id"] == 1
    long_link = f'<a href="https://a.example/{"x" * 5000}">{"y" * 4096}</a>'
    assert call("sendMessage", text=long_link, parse_mode="HTML")["message_id"] == 2
    assert call("sendPhoto", photo="https://a.example/a.jpg", caption="😀" * 1024)["message_id"] == 3


def test_an_address_in_the_text_becomes_a_link(call: Call, sandbox: Sandbox) -> None:
    call("sendMessage", text="😀 https://a.example/x, and (https://b.example/y).")
    assert sandbox.seen[0].links == ("https://a.example/x", "https://b.example/y")


def test_white_space_at_the_ends_goes_and_the_marks_move_along(call: Call, sandbox: Sandbox) -> None:
    call("sendMessage", text="\n  Rain  \n", entities=[{"type": "bold", "offset": 3, "length": 6}])
    assert sandbox.posts[0].words.text == "Rain"
    assert sandbox.posts[0].words.entities == [{"type": "bold", "offset": 0, "length": 4}]


def test_an_edit_keeps_the_number_and_takes_away_buttons_it_does_not_name(call: Call, sandbox: Sandbox) -> None:
    keyboard = {"inline_keyboard": [[{"text": "Read", "url": "https://a.example"}]]}
    call("sendMessage", text="Rain", reply_markup=keyboard)
    call("sendMessage", text="Wind")
    assert call("editMessageText", message_id=1, text="Rain by noon")["message_id"] == 1
    first, second = sandbox.seen
    assert (first.text, first.edited, first.buttons) == ("Rain by noon", True, ())
    assert (second.text, second.edited) == ("Wind", False)


def test_edits_know_what_they_edit(call: Call) -> None:
    call("sendMessage", text="Rain")
    call("sendPhoto", photo="https://a.example/a.jpg", caption="Rain")
    assert call("editMessageText", message_id=9, text="x") == "message to edit not found"
    assert call("editMessageText", message_id=2, text="x") == "there is no text in the message to edit"
    assert call("editMessageCaption", message_id=1, caption="x") == "there is no caption in the message to edit"
    assert call("editMessageText", message_id=1, text="Rain").startswith("message is not modified: ")
    assert call("editMessageCaption", message_id=2, caption="Sun")["caption"] == "Sun"
    media = {"type": "photo", "media": "https://a.example/b.jpg", "caption": "Wind"}
    assert call("editMessageMedia", message_id=2, media=media)["caption"] == "Wind"


def test_what_is_deleted_is_not_seen_and_its_number_not_used_again(call: Call, sandbox: Sandbox) -> None:
    call("sendMessage", text="Rain")
    assert call("deleteMessage", message_id=1) is True
    assert call("deleteMessage", message_id=1) == "message to delete not found"
    assert sandbox.seen == []
    assert call("sendMessage", text="Sun")["message_id"] == 2


def test_an_album_is_two_to_ten_photos(call: Call, sandbox: Sandbox) -> None:
    photo = {"type": "photo", "media": "https://a.example/a.jpg"}
    assert call("sendMediaGroup", media=[photo]) == "wrong number of messages to send as an album"
    assert len(call("sendMediaGroup", media=[photo, photo])) == 2
    assert [sight.image for sight in sandbox.seen] == ["https://a.example/a.jpg"] * 2


def test_the_pace_is_one_a_second_and_twenty_a_minute_when_switched_on() -> None:
    now = [1000.0]
    with Sandbox(flood=True, now=lambda: now[0]) as sandbox:
        path = f"/bot{sandbox.token}/sendMessage"
        body = json.dumps({"chat_id": "@daily", "text": "x"}).encode()
        assert ask(sandbox, path, body)[0] == 200
        status, answer = ask(sandbox, path, body)
        assert (status, answer["parameters"], answer["description"]) == (
            429,
            {"retry_after": 1},
            "Too Many Requests: retry after 1",
        )
        for _ in range(19):
            now[0] += 1
            assert ask(sandbox, path, body)[0] == 200
        now[0] += 1
        assert ask(sandbox, path, body)[1]["parameters"] == {"retry_after": 40}
        now[0] += 40
        assert ask(sandbox, path, body)[0] == 200


def test_a_script_line_that_means_nothing_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="no answer called 'explode'"):
        sandbox.script("explode")


def test_the_script_is_followed_line_by_line(call: Call, sandbox: Sandbox) -> None:
    sandbox.script("accept", "refuse", "400 Bad Request: have no write access to the chat")
    assert call("sendMessage", text="one")["message_id"] == 1
    assert call("sendMessage", text="two") == "message is too long"
    assert call("sendMessage", text="three") == "have no write access to the chat"
    assert call("sendMessage", text="four")["message_id"] == 2


def test_an_outage_refuses_connections_until_the_script_is_touched(call: Call, sandbox: Sandbox) -> None:
    sandbox.script("accept", "outage", "accept")
    call("sendMessage", text="one")
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            call("sendMessage", text="two")
    sandbox.script()
    assert call("sendMessage", text="three")["message_id"] == 2


@pytest.mark.parametrize(
    ("source", "text", "entities"),
    [
        ("a &lt;b&gt; &amp; &quot;c&quot; &#33;&#x3f;", 'a <b> & "c" !?', []),
        ("&nbsp;&mdash;", "&nbsp;&mdash;", []),
        ("<b>😀<i>x</i></b>", "😀x", [("bold", 0, 3), ("italic", 2, 1)]),
        ("<STRONG>x</strong>y", "xy", [("bold", 0, 1)]),
        ("<b></b>x", "x", []),
        ("<i>x</>y", "xy", [("italic", 0, 1)]),
        ('<a href="nonsense">x</a>', "x", []),
        ('<span class="tg-spoiler">x</span>', "x", [("spoiler", 0, 1)]),
        ('<pre><code class="language-python">x</code></pre>', "x", [("pre", 0, 1), ("code", 0, 1)]),
    ],
)
def test_html_is_read_as_the_service_reads_it(source: str, text: str, entities: list[tuple[str, int, int]]) -> None:
    found_text, found = parse_html(source)
    assert found_text == text
    assert [(entity["type"], entity["offset"], entity["length"]) for entity in found] == entities


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("я<br/>", 'Unsupported start tag "br/" at byte offset 2'),
        ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b><i>x</b></i>", 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"'),
        ("a < b", "Unclosed start tag at byte offset 2"),
        ("<b>x</b", "Unclosed end tag at byte offset 4"),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ],
)
def test_bad_html_is_refused_with_the_byte_where_it_breaks(source: str, sentence: str) -> None:
    with pytest.raises(BadMarkup) as caught:
        parse_html(source)
    assert str(caught.value) == sentence


@given(st.text(alphabet="ab😀я<>&\"'\n", max_size=40), st.integers(0, 20), st.integers(1, 20))
def test_a_reader_sees_all_words_whatever_the_marks(text: str, start: int, length: int) -> None:
    import html
    import re

    end = min(start + length, count_units(text))
    entities = [{"type": "bold", "offset": start, "length": end - start}] if end > start else []
    drawn = render_html(text, entities).replace("<br>", "\n")
    assert html.unescape(re.sub(r"</?b>", "", drawn)) == text
