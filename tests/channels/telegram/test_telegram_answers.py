from __future__ import annotations

import csv
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telegram_support import DATA, needs_data

from distributor.channels.telegram.answers import DEFAULT_REST, ImageRefused, read_answer, read_result
from distributor.core.errors import Busy, ChannelClosed, MessageRefused, RecipientGone, SendError, Unknown
from distributor.core.message import Accepted


def refuse(status: int, sentence: str, **parameters: Any) -> Accepted | SendError:
    body = {"ok": False, "error_code": status, "description": sentence, "parameters": parameters}
    return read_answer(status, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("status", "sentence", "expected"),
    [
        (400, "Bad Request: chat not found", ChannelClosed),
        (400, "Bad Request: CHAT_WRITE_FORBIDDEN", ChannelClosed),
        (400, "Bad Request: need administrator rights in the channel chat", ChannelClosed),
        (400, "Bad Request: not enough rights to send photos to the chat", ChannelClosed),
        (400, "Bad Request: have no write access to the chat", ChannelClosed),
        (400, "Bad Request: message thread not found", ChannelClosed),
        (401, "Unauthorized", ChannelClosed),
        (402, "Payment Required", ChannelClosed),
        (403, "Forbidden: bot was kicked from the supergroup chat", ChannelClosed),
        (403, "Forbidden: bot is not a member of the channel chat", ChannelClosed),
        (403, "Forbidden: the group chat was deleted", ChannelClosed),
        (403, "Forbidden: something new", ChannelClosed),
        (404, "Not Found", ChannelClosed),
        (403, "Forbidden: bot was blocked by the user", RecipientGone),
        (403, "Forbidden: user is deactivated", RecipientGone),
        (403, "Forbidden: bot can't initiate conversation with a user", RecipientGone),
        (400, "Bad Request: failed to get HTTP URL content", ImageRefused),
        (400, "Bad Request: wrong type of the web page content", ImageRefused),
        (400, "Bad Request: wrong file identifier/HTTP URL specified", ImageRefused),
        (400, "Bad Request: PHOTO_INVALID_DIMENSIONS", ImageRefused),
        (400, "Bad Request: message is too long", MessageRefused),
        (400, "Bad Request: inline keyboard button URL 'x' is invalid: Wrong HTTP URL", MessageRefused),
        (400, 'Bad Request: can\'t parse entities: Unsupported start tag "p" at byte offset 0', MessageRefused),
        (400, "Bad Request: something new", MessageRefused),
        (409, "Conflict: terminated by other getUpdates request", MessageRefused),
        (413, "Request Entity Too Large", MessageRefused),
    ],
)
def test_each_sentence_has_its_consequence(status: int, sentence: str, expected: type[SendError]) -> None:
    outcome = refuse(status, sentence)
    assert type(outcome) is expected
    assert isinstance(outcome, SendError)
    assert outcome.detail == sentence


@pytest.mark.parametrize("change", [str.lower, str.upper, str.capitalize])
def test_sentences_are_known_whatever_their_case(change: Any) -> None:
    assert type(refuse(400, change("Bad Request: chat not found"))) is ChannelClosed


def test_a_button_with_a_bad_address_is_not_mistaken_for_a_bad_image() -> None:
    outcome = refuse(400, "Bad Request: entity URL 'localhost' is invalid: Wrong HTTP URL")
    assert type(outcome) is MessageRefused
    assert str(outcome) == "a link or button leads to no public address"


@pytest.mark.parametrize(
    ("parameters", "sentence", "seconds"),
    [
        ({"retry_after": 7}, "Too Many Requests: retry after 7", 7.0),
        ({"retry_after": 0}, "Too Many Requests: retry after 0", 1.0),
        ({"retry_after": 10**400}, "Too Many Requests", 86_400.0),
        ({"retry_after": float("nan")}, "Too Many Requests: retry after 9", 9.0),
        ({}, "Too Many Requests: retry after 12", 12.0),
        ({}, "Too Many Requests", DEFAULT_REST),
        ({"retry_after": True}, "Too Many Requests", DEFAULT_REST),
        ({"retry_after": "soon"}, "Too Many Requests", DEFAULT_REST),
    ],
)
def test_asking_for_patience_names_the_seconds(parameters: dict[str, Any], sentence: str, seconds: float) -> None:
    outcome = refuse(429, sentence, **parameters)
    assert isinstance(outcome, Busy)
    assert outcome.retry_after == seconds


def test_a_migrated_group_names_its_new_id() -> None:
    outcome = refuse(400, "Bad Request: group chat was upgraded", migrate_to_chat_id=-1001234567890)
    assert isinstance(outcome, ChannelClosed)
    assert "-1001234567890" in str(outcome)


def test_a_yes_gives_chat_and_message_id() -> None:
    body = b'{"ok":true,"result":{"message_id":42,"chat":{"id":-1001}}}'
    assert read_answer(200, body) == Accepted("-1001/42")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"<html>Sign in</html>"),
        (200, b'{"ok":true}'),
        (200, b'{"ok":true,"result":{}}'),
        (200, b'{"ok":true,"result":{"message_id":"42","chat":{"id":1}}}'),
        (200, b'{"ok":true,"result":[]}'),
        (200, b'{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}'),
        (200, b"[]"),
        (200, b'{"ok":true,"result":{"message_id":42'),
        (200, b"\xff\xfe"),
        (302, b'{"ok":false}'),
        (400, b"<html>400 Bad Request</html>"),
        (403, b"<html>Forbidden by the proxy</html>"),
        (404, b'{"error":"no such page"}'),
        (500, b'{"ok":false,"error_code":500,"description":"Internal Server Error: restart"}'),
        (502, b"<html>502 Bad Gateway</html>"),
        (400, b"[" * 100_000),
    ],
)
def test_anything_but_a_whole_answer_is_unknown(status: int, body: bytes) -> None:
    assert type(read_answer(status, body)) is Unknown


@given(st.integers(100, 599), st.binary(max_size=200))
def test_no_answer_at_all_breaks_the_reader(status: int, body: bytes) -> None:
    assert isinstance(read_answer(status, body), SendError | Accepted)


def test_details_hold_no_secret_and_stay_short() -> None:
    body = json.dumps({"ok": False, "description": "Bad Request: /bot123:abc/ " + "x" * 500}).encode()
    outcome = read_answer(400, body, ("123:abc",))
    assert isinstance(outcome, SendError)
    assert "123:abc" not in outcome.detail
    assert len(outcome.detail) == 300


def test_questions_are_answered_with_data_or_a_sentence() -> None:
    assert read_result(200, b'{"ok":true,"result":{"id":4242}}') == {"id": 4242}
    assert "check `token`" in str(read_result(401, b'{"ok":false,"description":"Unauthorized"}'))
    assert "check `api_base`" in str(read_result(404, b"<html>nginx</html>"))


_CLASSES: dict[str, tuple[type[SendError], ...]] = {
    "flood": (Busy,),
    "migrated": (ChannelClosed,),
    "permanent-channel": (ChannelClosed,),
    "permission": (ChannelClosed,),
    "credentials": (ChannelClosed,),
    "credentials-or-version": (ChannelClosed,),
    "permanent-content": (MessageRefused,),
    "media-fetch": (ImageRefused,),
    "media-bad": (ImageRefused,),
    "recipient-gone": (RecipientGone,),
    "ambiguous": (Unknown,),
}


@needs_data
def test_the_servers_own_table_of_errors_is_read_as_it_says() -> None:
    with (DATA / "bot-api-errors.tsv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))
    checked = 0
    for row in rows:
        if row["class"] not in _CLASSES or "pinned messages" in row["description_after_prefix"]:
            continue
        status = 500 if row["http_code"] == "5xx" else int(row["http_code"])
        for sentence in row["description_after_prefix"].split(" / "):
            outcome = refuse(status, f"Prefix: {sentence.partition(' (')[0]}")
            assert type(outcome) in _CLASSES[row["class"]], sentence
            checked += 1
    assert checked > 30
