from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from distributor.channels.telegram.settings import Settings

GOOD: dict[str, Any] = {"name": "tg", "kind": "telegram", "token": "123456:ABC-def_0", "chat": "@dailyexample"}


def test_a_token_and_a_chat_are_enough() -> None:
    settings = Settings(**GOOD)
    assert settings.api_base == "https://api.telegram.org"
    assert settings.timeout == 40.0
    assert not settings.silent


@pytest.mark.parametrize(("given", "kept"), [(-1001234567, "-1001234567"), (4711, "4711"), (" @abc ", "@abc")])
def test_a_chat_is_a_name_or_a_number(given: object, kept: str) -> None:
    assert Settings(**{**GOOD, "chat": given}).chat == kept
    assert Settings(**{**GOOD, "allow": [given]}).allow == (kept,)


@pytest.mark.parametrize(
    ("changes", "fix"),
    [
        ({"chat": "https://t.me/dailyexample"}, "not as a link"),
        ({"chat": "dailyexample"}, '"@channelname"'),
        ({"chat": True}, "valid string"),
        ({"allow": ["dailyexample"]}, '"@channelname"'),
        ({"token": "has a space"}, "@BotFather"),
        ({"token": ""}, "@BotFather"),
        ({"api_base": "api.telegram.org"}, "https://"),
        ({"timeout": 0}, "greater than 0"),
        ({"colour": "blue"}, "Extra inputs"),
    ],
)
def test_a_mistake_is_told_with_its_fix_and_without_the_token(changes: dict[str, Any], fix: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(**{**GOOD, **changes})
    assert fix in str(caught.value)
    assert "ABC-def_0" not in str(caught.value)


def test_the_prefix_may_end_in_a_slash_and_hold_a_path() -> None:
    assert Settings(**{**GOOD, "api_base": "http://127.0.0.1:8081/tg/"}).api_base == "http://127.0.0.1:8081/tg"


def test_the_token_is_masked() -> None:
    assert "ABC-def_0" not in repr(Settings(**GOOD))
