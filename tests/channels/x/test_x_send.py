"""Sending to X over real sockets: what each thing that can happen to a post makes of it."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest
from x_support import LINK, OneAnswer, RecordingWire, make_message

from distributor.channels.x.channel import XChannel
from distributor.channels.x.sandbox import Sandbox
from distributor.core.errors import Busy, ChannelClosed, MessageRefused, Outage, Unknown
from distributor.core.message import Accepted, NotStarted, Outcome

Make = Callable[..., XChannel]


def send(channel: XChannel, wire: RecordingWire, **message: Any) -> Outcome:
    (outcome,) = channel.send([make_message(**message)], wire)
    return outcome


def http(status: str, body: str = "", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n{body}".encode()


def test_a_post_is_seen_once_with_its_link_and_its_id_is_the_receipt(
    make_channel: Make, sandbox: Sandbox, wire: RecordingWire
) -> None:
    outcome = send(make_channel(), wire)
    (sighting,) = sandbox.seen
    assert outcome == Accepted(sighting.receipt)
    assert sighting.text == f"Rain by noon\n\n{LINK}"
    assert sighting.links == (LINK,)
    assert json.loads(sighting.raw) == {"text": sighting.text}
    assert wire.events == ["start [0]", "settle 0"]
    assert wire.settled[0] == outcome


def test_several_messages_are_settled_one_by_one_in_order(
    make_channel: Make, sandbox: Sandbox, wire: RecordingWire
) -> None:
    outcomes = make_channel().send([make_message("One"), make_message("Two")], wire)
    assert [sighting.text for sighting in sandbox.seen] == ["One", "Two"]
    assert wire.events == ["start [0]", "settle 0", "start [1]", "settle 1"]
    assert outcomes == [wire.settled[0], wire.settled[1]]


def test_a_no_from_the_ledger_stops_the_post_before_its_body(make_channel: Make, sandbox: Sandbox) -> None:
    wire = RecordingWire(says_yes=False)
    channel = make_channel()
    assert send(channel, wire) == NotStarted()
    wire.says_yes = True
    assert isinstance(send(channel, wire), Accepted)
    assert len(sandbox.seen) == 1


def test_a_failing_ledger_is_not_taken_for_an_answer_of_x(make_channel: Make, sandbox: Sandbox) -> None:
    def fail() -> None:
        raise RuntimeError("database is gone")

    with pytest.raises(RuntimeError, match="database is gone"):
        send(make_channel(), RecordingWire(on_start=fail))
    assert sandbox.seen == []


@pytest.mark.parametrize(
    ("answer", "expected", "is_visible"),
    [
        ("accept", Accepted, True),
        ("busy", Busy, False),
        ("busy-no-reset", Busy, False),
        ("refuse", MessageRefused, False),
        ("forbidden", MessageRefused, False),
        ("closed", ChannelClosed, False),
        ("no-credit", ChannelClosed, False),
        ("suspended", ChannelClosed, False),
        ("capped", ChannelClosed, False),
        ("lost-before", Unknown, False),
        ("lost-after", Unknown, True),
        ("garbage", Unknown, True),
        ("no-id", Unknown, True),
        ("server-error", Unknown, False),
    ],
)
def test_each_answer_has_its_outcome(
    make_channel: Make,
    sandbox: Sandbox,
    wire: RecordingWire,
    answer: str,
    expected: type[Outcome],
    is_visible: bool,
) -> None:
    sandbox.script(answer)
    assert type(send(make_channel(), wire)) is expected
    assert len(sandbox.seen) == is_visible
    assert wire.events == ["start [0]", "settle 0"]


def test_no_answer_in_time_is_unknown(make_channel: Make, sandbox: Sandbox, wire: RecordingWire) -> None:
    sandbox.script("stall")
    outcome = send(make_channel(timeout=0.2), wire)
    assert isinstance(outcome, Unknown)
    assert len(sandbox.seen) == 1


def test_a_refused_connection_is_an_outage_and_never_started(
    make_channel: Make, sandbox: Sandbox, wire: RecordingWire
) -> None:
    channel = make_channel()
    sandbox.script("outage")
    outcome = send(channel, wire)
    assert isinstance(outcome, Outage)
    assert "refused" in outcome.detail
    assert wire.events == ["settle 0"]
    sandbox.script("accept")
    assert isinstance(send(channel, wire), Accepted)


def test_a_name_that_does_not_resolve_is_an_outage(make_channel: Make, wire: RecordingWire) -> None:
    outcome = send(make_channel(api_base="http://x.invalid"), wire)
    assert isinstance(outcome, Outage)
    assert wire.events == ["settle 0"]


def test_failed_tls_is_an_outage(make_channel: Make, wire: RecordingWire) -> None:
    with OneAnswer(b"this is no TLS", until=b"\x16") as server:
        outcome = send(make_channel(api_base=server.url.replace("http", "https")), wire)
    assert isinstance(outcome, Outage)
    assert wire.events == ["settle 0"]


def test_a_connection_that_is_never_answered_is_an_outage(make_channel: Make, wire: RecordingWire) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        port = listener.getsockname()[1]
        outcome = send(make_channel(api_base=f"http://127.0.0.1:{port}", timeout=0.2), wire)
        for filler in fillers:
            filler.close()
    assert isinstance(outcome, Outage)
    assert wire.events == ["settle 0"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 201 Cre",
        b"\x16\x03\x01\x00",
        http("200 OK"),
        http("204 No Content"),
        http("201 Created", '{"data":{"text":"no id"}}'),
        http("201 Created", '{"data":{"id":5}}'),
        http("201 Created", '{"data":{"id":"5'),
        http("201 Created", "[]"),
        http("201 Created", '{"data":[]}'),
        b'HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{"data":{"id":"5"}}',
        b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        http("302 Found", headers="Location: /2/tweets\r\n"),
        http("307 Temporary Redirect", headers="Location: /2/tweets\r\n"),
        http("408 Request Timeout"),
        http("500 Internal Server Error", "[]"),
        http("502 Bad Gateway", "<html>"),
        http("503 Service Unavailable", "{}", "Retry-After: 1\r\n"),
        http("504 Gateway Timeout"),
    ],
    ids=lambda answer: ascii(answer[:30]),
)
def test_everything_short_of_a_plain_answer_is_unknown(
    make_channel: Make, wire: RecordingWire, answer: bytes
) -> None:
    with OneAnswer(answer) as server:
        outcome = send(make_channel(api_base=server.url), wire)
    assert isinstance(outcome, Unknown)
    assert wire.events == ["start [0]", "settle 0"]
    assert b"Rain by noon" in server.request


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (http("400 Bad Request", "[]"), Unknown),
        (http("400 Bad Request", '{"errors":"odd"}'), MessageRefused),
        (http("403 Forbidden", '{"detail":5,"errors":[null]}'), MessageRefused),
        (http("403 Forbidden", "<html>Attention Required!</html>"), ChannelClosed),
        (http("404 Not Found", "<html>"), ChannelClosed),
        (http("429 Too Many Requests", "", "x-rate-limit-reset: soon\r\n"), Busy),
    ],
)
def test_refusals_with_odd_bodies_are_still_refusals(
    make_channel: Make, wire: RecordingWire, answer: bytes, expected: type[Outcome]
) -> None:
    with OneAnswer(answer) as server:
        assert type(send(make_channel(api_base=server.url), wire)) is expected


def test_a_path_before_the_api_is_kept(make_channel: Make, wire: RecordingWire) -> None:
    with OneAnswer(http("201 Created", '{"data":{"id":"5","text":""}}')) as server:
        outcome = send(make_channel(api_base=f"{server.url}/gateway/"), wire)
    assert outcome == Accepted("5")
    assert server.request.startswith(b"POST /gateway/2/tweets HTTP/1.1\r\n")
    assert b"User-Agent: distributor/test\r\n" in server.request


def test_the_last_post_of_a_window_says_until_when_to_rest(make_channel: Make, wire: RecordingWire) -> None:
    with Sandbox(limit=1, clock=lambda: 1_800_000_000.0) as sandbox:
        channel = make_channel(api_base=sandbox.url)
        first = send(channel, wire, text="One")
        second = send(channel, wire, text="Two")
    assert isinstance(first, Accepted)
    assert first.rest_until == 1_800_000_900
    assert isinstance(second, Busy)
    assert second.retry_after == 900


def test_busy_without_a_reset_waits_a_minute(make_channel: Make, sandbox: Sandbox, wire: RecordingWire) -> None:
    sandbox.script("busy-no-reset")
    outcome = send(make_channel(), wire)
    assert isinstance(outcome, Busy)
    assert outcome.retry_after == 60


def test_keys_are_in_no_log_and_no_outcome(
    make_channel: Make, sandbox: Sandbox, wire: RecordingWire, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    channel = make_channel()
    secrets = [str(value) for name, value in sandbox.settings().items() if name not in ("kind", "api_base", "cap")]
    echo = http("403 Forbidden", json.dumps({"detail": "no: " + " ".join(secrets)}))
    with OneAnswer(echo) as server:
        refused = send(make_channel(api_base=server.url), wire)
    send(channel, wire)
    sandbox.script("outage")
    lost = send(channel, wire)
    assert isinstance(refused, MessageRefused) and isinstance(lost, Outage)
    everything = (
        f"{caplog.text} {refused!r} {refused.detail} {lost.detail} {channel.settings!r} {channel._opened!r}"
    )
    for secret in secrets:
        assert secret not in everything


def test_a_proxy_that_is_not_there_is_an_outage_and_keeps_its_password(
    make_channel: Make, sandbox: Sandbox, wire: RecordingWire
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    proxy = f"http://user:pass-word@127.0.0.1:{port}"
    outcome = send(make_channel(proxy=proxy, api_base="https://x.invalid"), wire)
    assert isinstance(outcome, Outage)
    assert "pass-word" not in f"{outcome} {outcome.detail}"


def test_a_post_goes_through_a_proxy(make_channel: Make, wire: RecordingWire) -> None:
    with OneAnswer(http("201 Created", '{"data":{"id":"5","text":""}}')) as server:
        outcome = send(make_channel(proxy=server.url, api_base="http://api.x.invalid"), wire)
    assert outcome == Accepted("5")
    assert server.request.startswith(b"POST http://api.x.invalid/2/tweets HTTP/1.1")


def test_the_library_does_not_try_again(make_channel: Make, wire: RecordingWire) -> None:
    from distributor.channels.x.adapter import Keys, open_client

    client, session = open_client(Keys("a", "b", "c", "d"), "http://127.0.0.1:1", 1.0, "test")
    assert client.wait_on_rate_limit is False
    assert client.session is session
    for adapter in session.adapters.values():
        retries = adapter.max_retries  # type: ignore[attr-defined]
        assert (retries.total, retries.read) == (0, False)
