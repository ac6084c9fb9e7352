from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from distributor.channels.email.settings import Settings

SMTP = {
    "name": "letter",
    "transport": "smtp",
    "host": "mail.example.org",
    "from": "news@example.org",
    "list": "readers",
}
SENDGRID = {
    "name": "letter2",
    "transport": "sendgrid",
    "api_key": "SG.key",
    "from": "The Daily <news@example.org>",
    "list": "readers",
}


def fill(base: dict[str, Any], **changes: Any) -> Settings:
    return Settings.model_validate({**base, **changes})


def test_the_documented_shapes_are_enough() -> None:
    smtp = Settings.model_validate(
        {
            "name": "letter",
            "kind": "email",
            "transport": "smtp",
            "host": "mail.example.org",
            "port": 587,
            "tls": "starttls",
            "from": "Daily <news@example.org>",
            "list": "readers",
        }
    )
    assert (smtp.port, smtp.tls, smtp.connections, smtp.list_name) == (587, "starttls", 4, "readers")
    assert fill(SENDGRID).api_base == "https://api.sendgrid.com"


@pytest.mark.parametrize(
    ("base", "changes", "words"),
    [
        (SMTP, {"api_key": "SG.x"}, "api_key belongs to transport: sendgrid"),
        (SMTP, {"per_call": 10, "api_base": "https://x.example"}, "api_base, per_call belongs"),
        (SENDGRID, {"host": "mail.example.org", "tls": "none"}, "host, tls belongs to transport: smtp"),
        (SENDGRID, {"api_key": ""}, "api_key is missing"),
        (SENDGRID, {"api_key": "SG.a b"}, "unusual characters"),
        (SENDGRID, {"api_base": "api.sendgrid.com"}, "must look like"),
        (SENDGRID, {"api_base": "https://api.sendgrid.com/v3/mail/send"}, "must stop before"),
        (SENDGRID, {"webhook_key": "nonsense"}, "verification key"),
        (SENDGRID, {"per_call": 1001}, "1000"),
        (SMTP, {"host": None}, "host is missing"),
        (SMTP, {"host": "mail example"}, "host is missing or odd"),
        (SMTP, {"port": 0}, "port"),
        (SMTP, {"tls": "ssl"}, "starttls"),
        (SMTP, {"from": "The Daily"}, "must look like"),
        (SMTP, {"reply_to": "a@x.example, b@x.example"}, "must look like"),
        (SMTP, {"username": "news"}, "go together"),
        (SMTP, {"password": "x"}, "go together"),
        (SMTP, {"username": "news", "password": "x", "tls": "none"}, "unprotected"),
        (SMTP, {"tls": "none", "tls_ca": "/etc/ca.pem"}, "no meaning"),
        (SMTP, {"list": ""}, "list"),
        (SMTP, {"hello": "x\r\ny"}, "hello"),
        (SMTP, {"colour": "red"}, "colour"),
    ],
)
def test_a_mistake_is_named_with_its_fix(base: dict[str, Any], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        fill(base, **changes)
    assert words in str(caught.value)


def test_a_mistake_never_repeats_a_secret() -> None:
    for base, changes in ((SENDGRID, {"api_key": "SG.canary", "host": "x"}), (SMTP, {"password": "canary"})):
        with pytest.raises(ValidationError) as caught:
            fill(base, **changes)
        assert "canary" not in str(caught.value)


def test_a_login_without_encryption_is_fine_on_this_machine_only() -> None:
    for host in ("127.0.0.1", "localhost", "::1", "[::1]"):
        assert fill(SMTP, host=host, username="news", password="x", tls="none").username == "news"


def test_secrets_are_masked() -> None:
    told = repr(fill(SENDGRID)) + repr(fill(SMTP, username="news", password="canary"))
    assert "SG.key" not in told and "canary" not in told


def test_a_trailing_slash_does_not_matter() -> None:
    assert fill(SENDGRID, api_base="https://api.eu.sendgrid.com/").api_base == "https://api.eu.sendgrid.com"
