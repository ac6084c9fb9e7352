from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from email_support import MakeChannel
from hypothesis import given
from hypothesis import strategies as st

from distributor.channels.email.events import OLDEST, load_key, read_events, read_signed_events
from distributor.channels.email.sandbox_sendgrid import SendgridSandbox
from distributor.channels.email.sandbox_smtp import SmtpSandbox
from distributor.core.message import ServiceEvent

SHARED = Path(__file__).parents[4] / "shared/data/sendgrid"
NOW = 1_763_884_800.0
DELIVERED = {
    "email": "reader1@example.com",
    "timestamp": 1_763_884_700,
    "event": "delivered",
    "sg_event_id": "e1",
    "sg_message_id": "abc.filter-1.0",
    "distributor_delivery": "7.0123456789abcdef",
    "response": "250 OK",
}


@pytest.fixture
def service() -> SendgridSandbox:
    return SendgridSandbox(clock=lambda: NOW)


def read(service: SendgridSandbox, headers: dict[str, str], body: bytes, now: float = NOW) -> list[ServiceEvent]:
    return read_signed_events(load_key(service.webhook_key), headers, body, now)


def test_a_signed_report_tells_what_became_of_a_delivery(service: SendgridSandbox) -> None:
    headers, body = service.sign_report([DELIVERED])
    (event,) = read(service, headers, body)
    assert event == ServiceEvent(
        kind="delivered",
        key="delivered:7.0123456789abcdef:1763884700:abc.filter-1.0",
        at=1_763_884_700.0,
        receipt="abc",
        address="reader1@example.com",
        delivery_id=7,
        detail="250 OK",
    )


def test_header_names_are_read_in_any_case(service: SendgridSandbox) -> None:
    headers, body = service.sign_report([DELIVERED])
    assert len(read(service, {name.lower(): value for name, value in headers.items()}, body)) == 1


def test_a_report_of_another_account_is_refused(service: SendgridSandbox) -> None:
    headers, body = SendgridSandbox(clock=lambda: NOW).sign_report([DELIVERED])
    with pytest.raises(PermissionError):
        read(service, headers, body)


@given(st.data())
def test_a_report_that_was_touched_anywhere_is_refused(data: st.DataObject) -> None:
    service = SendgridSandbox(clock=lambda: NOW)
    headers, body = service.sign_report([DELIVERED])
    at = data.draw(st.integers(0, len(body) - 1))
    changed = body[:at] + bytes([body[at] ^ data.draw(st.integers(1, 255))]) + body[at + 1 :]
    with pytest.raises(PermissionError):
        read(service, headers, changed)


@pytest.mark.parametrize(
    "change",
    [
        {"X-Twilio-Email-Event-Webhook-Signature": ""},
        {"X-Twilio-Email-Event-Webhook-Signature": "%%% not base64"},
        {"X-Twilio-Email-Event-Webhook-Signature": "AAAA"},
        {"X-Twilio-Email-Event-Webhook-Signature": "é"},
        {"X-Twilio-Email-Event-Webhook-Timestamp": ""},
        {"X-Twilio-Email-Event-Webhook-Timestamp": "1"},
        {"X-Twilio-Email-Event-Webhook-Timestamp": "now"},
        {"X-Twilio-Email-Event-Webhook-Timestamp": "٣"},
    ],
)
def test_a_report_without_a_whole_signature_is_refused(service: SendgridSandbox, change: dict[str, str]) -> None:
    headers, body = service.sign_report([DELIVERED])
    with pytest.raises(PermissionError):
        read(service, headers | change, body)
    with pytest.raises(PermissionError):
        read(service, {}, body)


def test_an_old_report_is_a_replay(service: SendgridSandbox) -> None:
    headers, body = service.sign_report([DELIVERED])
    assert read(service, headers, body, NOW + OLDEST)
    for now in (NOW + OLDEST + 1, NOW - 3600):
        with pytest.raises(PermissionError):
            read(service, headers, body, now)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"event": "delivered"}, "delivered"),
        ({"event": "bounce", "type": "bounce"}, "bounced"),
        ({"event": "bounce", "type": "blocked"}, "blocked"),
        ({"event": "dropped"}, "dropped"),
        ({"event": "spamreport"}, "complained"),
        ({"event": "unsubscribe"}, "unsubscribed"),
        ({"event": "group_unsubscribe"}, "unsubscribed"),
        ({"event": "open"}, None),
        ({"event": "click"}, None),
        ({"event": "processed"}, None),
        ({"event": "deferred"}, None),
        ({"event": "something new"}, None),
        ({}, None),
    ],
)
def test_only_events_that_change_something_are_told(event: dict[str, Any], kind: str | None) -> None:
    found = read_events(json.dumps([event]).encode())
    assert [one.kind for one in found] == ([kind] if kind else [])


def test_a_repeated_event_has_the_same_key_whatever_its_event_id() -> None:
    first, again = read_events(json.dumps([DELIVERED, {**DELIVERED, "sg_event_id": "e2"}]).encode())
    assert first.key == again.key


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"[1, null, []]", b"not json", b"\xff\xfe"])
def test_a_proven_report_of_another_shape_has_nothing_to_say(body: bytes) -> None:
    assert read_events(body) == []


@pytest.mark.parametrize("mark", ["", "x", "12x.abc", "9" * 40, "-1", "٣"])
def test_a_delivery_that_is_not_ours_has_no_number(mark: str) -> None:
    (event,) = read_events(json.dumps([{**DELIVERED, "distributor_delivery": mark}]).encode())
    assert event.delivery_id is None


def test_the_channel_believes_nobody_without_a_key(sendgrid: SendgridSandbox, make_channel: MakeChannel) -> None:
    headers, body = sendgrid.sign_report([DELIVERED])
    with pytest.raises(PermissionError, match="webhook_key"):
        make_channel(sendgrid).read_events(headers, body)


def test_the_channel_reads_reports_signed_with_its_key(
    sendgrid: SendgridSandbox, make_channel: MakeChannel
) -> None:
    headers, body = sendgrid.sign_report([DELIVERED])
    channel = make_channel(sendgrid, webhook_key=sendgrid.webhook_key)
    assert [event.kind for event in channel.read_events(headers, body)] == ["delivered"]


def test_a_relay_reports_nothing(smtp: SmtpSandbox, make_channel: MakeChannel) -> None:
    assert make_channel(smtp).read_events({}, b"[]") == []


def test_a_key_may_be_pasted_bare_or_as_pem(service: SendgridSandbox) -> None:
    bare = service.webhook_key
    pem = f"-----BEGIN PUBLIC KEY-----\n{bare[:64]}\n{bare[64:]}\n-----END PUBLIC KEY-----\n"
    assert load_key(bare).public_numbers() == load_key(pem).public_numbers()
    for wrong in ("", "not a key", "AAAA"):
        with pytest.raises(ValueError, match="verification key"):
            load_key(wrong)


@pytest.mark.skipif(not SHARED.exists(), reason="the official vectors are kept outside the repository")
def test_the_official_signature_vector_is_accepted() -> None:
    vector = json.loads((SHARED / "event-webhook-signature-vector.json").read_text())
    headers = {
        "X-Twilio-Email-Event-Webhook-Signature": vector["signature"],
        "X-Twilio-Email-Event-Webhook-Timestamp": vector["timestamp"],
    }
    key, now = load_key(vector["public_key"]), float(vector["timestamp"])
    (event,) = read_signed_events(key, headers, vector["payload"].encode(), now)
    assert (event.kind, event.address, event.receipt) == ("dropped", "hello@world.com", "LRzXl_NHStOGhQ4kofSm_A")
    with pytest.raises(PermissionError):
        read_signed_events(key, headers, vector["payload"].rstrip().encode(), now)


@pytest.mark.skipif(not SHARED.exists(), reason="the official examples are kept outside the repository")
def test_the_documented_examples_are_read() -> None:
    body = (SHARED / "event-webhook-examples-2021.json").read_bytes()
    kinds = [event.kind for event in read_events(body)]
    assert kinds == ["delivered", "bounced", "dropped", "complained", "unsubscribed", "unsubscribed"]
