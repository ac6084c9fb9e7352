"""Whom to alert, as it is written in the configuration."""

from __future__ import annotations

from datetime import timedelta

import pytest

from distributor.settings.masking import find_secrets
from tests.settings.fakes import GOOD, Desk

MAIL = "{to: desk@example.org, from: d@example.org, host: mail.example.org"


def test_nothing_has_to_be_set(desk: Desk) -> None:
    alerts = desk.load(GOOD).alerts
    assert (alerts.webhook, alerts.email, alerts.ping) == (None, None, None)
    assert (alerts.after, alerts.again) == (timedelta(minutes=15), timedelta(hours=12))


def test_everything_may_be_set_and_its_secrets_are_known_as_such(desk: Desk) -> None:
    text = (
        f'{GOOD}alerts: {{webhook: "https://hooks.example/T0/B1", ping: "https://ping.example/uuid", after: 1h, '
        f'email: {MAIL}, tls: tls, username: news, password: "${{MAIL}}"}}}}'
    )
    settings = desk.load(text, {"TOKEN": "1:a", "MAIL": "s3cret"})
    mail = settings.alerts.email
    assert mail is not None
    assert (mail.to, mail.from_, mail.port_or_default) == (("desk@example.org",), "d@example.org", 465)
    assert {"https://hooks.example/T0/B1", "https://ping.example/uuid", "s3cret"} <= find_secrets(settings)
    assert "s3cret" not in repr(settings)
    assert "hooks.example" not in repr(settings)


def test_the_mail_password_may_stand_in_a_file(desk: Desk) -> None:
    (desk.path.parent / "mail").write_text("from-file")
    mail = desk.load(f"{GOOD}alerts: {{email: {MAIL}, username: news, password_file: mail}}}}").alerts.email
    assert mail is not None
    assert mail.password is not None
    assert mail.password.get_secret_value() == "from-file"
    assert mail.port_or_default == 587


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("{webhook: hooks.example/T0}", "alerts.webhook: must be a web address"),
        ('{ping: "https://user:pw@ping.example/x"}', "alerts.ping: must hold no user name"),
        ("{after: 10s}", "alerts.after: must be at least 1m"),
        ("{email: {to: nobody, from: d@example.org, host: h}}", '"nobody" is no plain address'),
        ("{email: {from: d@example.org, host: h}}", "alerts.email.to: is missing"),
        (f"{{email: {MAIL}, username: news}}}}", "username and password go together"),
        (f"{{email: {MAIL}, tls: none, username: a, password: b}}}}", "would send the password unprotected"),
        ("{mail: x}", "alerts.mail: is not a setting here; did you mean email?"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(desk: Desk, written: str, told: str) -> None:
    problems = desk.fail(f"{GOOD}alerts: {written}")
    assert [problem for problem in problems if told in problem], problems
