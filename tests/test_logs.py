"""Log lines say what happened and never a secret."""

from __future__ import annotations

import ast
import io
import json
import logging

import pytest

from distributor.logs import MASK, RedactingFormatter
from tests.house.source_code import list_files

SECRET = "4242:canary-token-that-must-not-be-seen"


def write(as_json: bool, log: object) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(RedactingFormatter([SECRET, SECRET[5:], "abc"], as_json=as_json))
    logger = logging.Logger("test")
    logger.addHandler(handler)
    log(logger)  # type: ignore[operator]
    return stream.getvalue()


@pytest.mark.parametrize("as_json", [True, False])
def test_a_secret_is_masked_in_message_arguments_and_fields(as_json: bool) -> None:
    text = write(
        as_json, lambda logger: logger.warning("token %s", SECRET, extra={"url": f"https://x/bot{SECRET}/"})
    )
    assert SECRET not in text
    assert MASK in text


@pytest.mark.parametrize("as_json", [True, False])
def test_a_secret_is_masked_in_a_traceback(as_json: bool) -> None:
    def fail(logger: logging.Logger) -> None:
        try:
            raise ValueError(f"bad token {SECRET}")
        except ValueError:
            logger.exception("it failed")

    text = write(as_json, fail)
    assert SECRET not in text
    assert "ValueError" in text


def test_a_json_line_is_one_object_with_its_fields() -> None:
    line = json.loads(write(True, lambda logger: logger.info("sent", extra={"delivery": 7})))
    assert (line["message"], line["level"], line["delivery"]) == ("sent", "info", 7)


def test_texts_too_short_to_be_secrets_are_left_alone() -> None:
    assert "abc" in write(False, lambda logger: logger.info("abc"))


@pytest.mark.parametrize("as_json", [True, False])
def test_no_line_holds_a_readers_address(as_json: bool) -> None:
    text = write(
        as_json,
        lambda logger: logger.warning(
            "%s: 550 <jane.doe+x@mail.example.org>", "letter", extra={"to": "a@b.example"}
        ),
    )
    assert "jane" not in text
    assert "a@b" not in text
    assert "letter: 550 <(address)>" in text


def test_hiding_addresses_is_quick_whatever_the_line_is() -> None:
    assert len(write(False, lambda logger: logger.info("a." * 50_000 + "@" * 1000))) > 100_000


def test_every_line_about_a_delivery_carries_its_number_edition_and_channel() -> None:
    lines = [
        f"{file.name}:{call.lineno}"
        for file in list_files()
        for call in file.walk()
        if isinstance(call, ast.Call)
        and ast.unparse(call.func).startswith("log.")
        and "delivery %d" in read_text(call)
        if not any(keyword.arg == "extra" for keyword in call.keywords)
    ]
    assert not lines, f"give these extra={{delivery, edition, channel}}: {lines}"


def read_text(call: ast.Call) -> str:
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def test_a_failed_delivery_is_one_json_line_without_the_reader() -> None:
    told = {"delivery": 7, "edition": 3, "channel": "letter"}
    text = write(
        True,
        lambda logger: logger.warning(
            "delivery %d is %s: %s", 7, "failed", "550 <jane@mail.example.org>", extra=told
        ),
    )
    line = json.loads(text)
    assert {name: line[name] for name in told} == told
    assert "jane" not in text
