from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from distributor.channels.x.settings import Settings

FILLED = {"name": "x", "kind": "x", "api_key": "a", "api_secret": "b", "access_token": "c", "access_secret": "d"}


def test_the_example_of_the_documentation_is_enough() -> None:
    settings = Settings(**FILLED)  # type: ignore[arg-type]
    assert settings.api_base == "https://api.x.com"
    assert settings.allow == []
    assert "'a'" not in repr(settings)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"api_key": ""}, "is empty"),
        ({"access_token": "two words"}, "spaces"),
        ({"api_base": "api.x.com"}, "must look like"),
        ({"api_base": "https://api.x.com/2/tweets"}, "must stop before /2/tweets"),
        ({"proxy": "proxy.example:3128"}, "must look like http://user"),
        ({"timeout": 0}, "greater than 0"),
        ({"kind": "telegram"}, "'x'"),
        ({"tokn": "typo"}, "Extra inputs"),
    ],
)
def test_a_mistake_is_named(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Settings(**{**FILLED, **change})


def test_a_slash_at_the_end_of_the_base_does_not_matter() -> None:
    assert Settings(**FILLED, api_base="http://127.0.0.1:9/x/").api_base == "http://127.0.0.1:9/x"  # type: ignore[arg-type]


def test_every_field_is_explained() -> None:
    unexplained = [name for name, field in Settings.model_fields.items() if not field.description]
    assert unexplained == ["kind"]


def test_a_mistake_prints_no_key() -> None:
    with pytest.raises(ValidationError) as found:
        Settings(**{**FILLED, "api_secret": "key with spaces", "tokn": "other-secret"})  # type: ignore[arg-type]
    assert "key with spaces" not in str(found.value) and "other-secret" not in str(found.value)
