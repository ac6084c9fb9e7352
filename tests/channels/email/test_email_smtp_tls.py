from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from email_support import MakeChannel, RecordingWire, make_messages

from distributor.channels.email.sandbox_smtp import SmtpSandbox
from distributor.core.errors import ChannelClosed, Outage
from distributor.core.message import Accepted
from tests.certificate import make_certificate


@pytest.fixture(params=["pipelined", "plain"])
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls") / "sandbox.pem")


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_mail_travels_encrypted_with_a_login(
    certificate: Path, make_channel: MakeChannel, wire: RecordingWire, tls: str
) -> None:
    with SmtpSandbox(tls=tls, certificate=certificate, username="news", password="s3cret") as smtp:
        channel = make_channel(smtp)
        assert channel.check() == []
        outcomes = channel.send(make_messages(6), wire)
        assert [type(outcome) for outcome in outcomes] == [Accepted] * 6


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_certificate_nobody_vouches_for_closes_the_channel(
    certificate: Path, make_channel: MakeChannel, wire: RecordingWire, tls: str
) -> None:
    with SmtpSandbox(tls=tls, certificate=certificate) as smtp:
        channel = make_channel(smtp, tls_ca=None)
        (outcome,) = channel.send(make_messages(1), wire)
        assert isinstance(outcome, ChannelClosed)
        assert "certificate" in str(outcome) and "tls_ca" in str(outcome)
        assert smtp.count == 0 and wire.started == []


def test_a_certificate_for_another_name_closes_the_channel(
    certificate: Path, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    with SmtpSandbox(tls="tls", certificate=certificate) as smtp:
        (outcome,) = make_channel(smtp, host="localhost").send(make_messages(1), wire)
        assert isinstance(outcome, ChannelClosed)


def test_mail_never_falls_back_to_plain_text(make_channel: MakeChannel, wire: RecordingWire) -> None:
    with SmtpSandbox() as smtp:
        (outcome,) = make_channel(smtp, tls="starttls").send(make_messages(1), wire)
        assert isinstance(outcome, ChannelClosed)
        assert "STARTTLS" in str(outcome)
        assert smtp.count == 0


def test_encryption_where_none_is_spoken_is_an_outage(make_channel: MakeChannel, wire: RecordingWire) -> None:
    with SmtpSandbox() as smtp:
        (outcome,) = make_channel(smtp, tls="tls", timeout=5).send(make_messages(1), wire)
        assert isinstance(outcome, Outage)


def test_a_missing_tls_ca_says_which_file(make_channel: MakeChannel, wire: RecordingWire) -> None:
    with SmtpSandbox() as smtp:
        channel = make_channel(smtp, tls="tls", tls_ca="/nowhere/ca.pem")
        (outcome,) = channel.send(make_messages(1), wire)
        assert isinstance(outcome, ChannelClosed)
        assert "/nowhere/ca.pem" in str(outcome)


@pytest.mark.parametrize("change", [{"password": "wrong"}, {"username": "wrong"}])
def test_a_wrong_login_closes_the_channel_and_is_tried_once(
    make_channel: MakeChannel, wire: RecordingWire, change: dict[str, Any]
) -> None:
    with SmtpSandbox(username="news", password="s3cret") as smtp:
        outcomes = make_channel(smtp, **change).send(make_messages(5), wire)
        assert [type(outcome) for outcome in outcomes] == [ChannelClosed] * 5
        assert smtp.connections == 1
        assert "wrong" not in repr(outcomes) + str(getattr(outcomes[0], "detail", ""))


def test_a_login_that_fails_for_a_moment_is_an_outage(make_channel: MakeChannel, wire: RecordingWire) -> None:
    with SmtpSandbox() as smtp:
        smtp.script("connect:454 4.7.0 Temporary authentication failure")
        (outcome,) = make_channel(smtp).send(make_messages(1), wire)
        assert isinstance(outcome, Outage)


def test_a_login_nobody_asks_for_closes_the_channel(make_channel: MakeChannel, wire: RecordingWire) -> None:
    with SmtpSandbox() as smtp:
        (outcome,) = make_channel(smtp, username="news", password="s3cret").send(make_messages(1), wire)
        assert isinstance(outcome, ChannelClosed)
        assert "s3cret" not in str(outcome)
        assert wire.started == []


def test_a_password_smtp_cannot_carry_is_named_as_that(make_channel: MakeChannel, wire: RecordingWire) -> None:
    with SmtpSandbox(username="news", password="пароль") as smtp:
        (outcome,) = make_channel(smtp).send(make_messages(1), wire)
        assert isinstance(outcome, ChannelClosed)
        assert "ASCII" in str(outcome) and "пароль" not in str(outcome)
