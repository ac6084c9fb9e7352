from __future__ import annotations

import html
import json
import logging
from typing import Any

import pytest
from email_support import (
    ADDRESS,
    LINK,
    NAME,
    TOKEN,
    MakeChannel,
    RecordingWire,
    make_edition,
    make_message,
    make_messages,
    one_conversation,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from distributor.channels.email.readers import Readers, read_recipients
from distributor.channels.email.sandbox_sendgrid import SendgridSandbox
from distributor.channels.email.sandbox_sendgrid_rules import check_mail
from distributor.channels.email.segments import Letterhead, fill_slots
from distributor.channels.email.sendgrid import Bulk, split_into_calls
from distributor.channels.email.sendgrid_answers import Split, find_wait, judge_answer
from distributor.channels.email.sendgrid_client import Answer
from distributor.core.errors import Busy, ChannelClosed, MessageRefused, Outage, RecipientGone, Unknown
from distributor.core.message import Accepted, Message, NotStarted, Outcome

HEAD = Letterhead(b"The Daily <news@example.org>", "example.org", list_id=b"The Daily <readers.example.org>")


def kinds_of(outcomes: list[Outcome]) -> list[type]:
    return [type(outcome) for outcome in outcomes]


def write_call(messages: list[Message]) -> dict[str, Any]:
    bulk = Bulk(messages[0].edition, HEAD, ("The Daily", "news@example.org"), ("", ""))
    readers, refused = read_recipients(messages)
    assert not refused
    return check_mail(b"".join(bulk.join(readers)), ())


def refuse(*errors: tuple[str, str | None]) -> Answer:
    body = {"errors": [{"message": message, "field": field, "help": None} for message, field in errors]}
    return Answer(400, {}, json.dumps(body).encode())


def test_a_thousand_readers_travel_in_one_call_in_their_order(
    sendgrid: SendgridSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    outcomes = make_channel(sendgrid).send(make_messages(1000), wire)
    assert kinds_of(outcomes) == [Accepted] * 1000
    assert len(sendgrid.calls) == 1
    assert [sight.recipient for sight in sendgrid.seen] == [f"reader{at}@example.com" for at in range(1, 1001)]
    assert [sight.links[-1] for sight in sendgrid.seen] == [
        f"https://go.example.org/u/{at}/{TOKEN}" for at in range(1, 1001)
    ]
    assert wire.started == [list(range(1000))]
    assert {outcome.receipt for outcome in outcomes if isinstance(outcome, Accepted)} == {"sandbox-000001"}


names = st.one_of(
    st.text(st.characters(exclude_categories=("Cs", "Co", "Cc")), max_size=20),
    st.sampled_from(
        ["", "O'Hara", "a, b; c", '"q"\\n', "\\", "\\n", "\\\\n", "<b>&amp;", "Zoë", ",", "%s %d", "{0}"]
    ),
)
links = st.sampled_from(
    ["", "https://go.example.org/u/1", "https://go.example.org/u?a=1&b=2", "https://x.example/'"]
)
addresses = st.sampled_from(["reader@example.com", "o'hara@example.com", "a&b@example.com"])


@given(st.lists(st.tuples(names, links, addresses), min_size=1, max_size=5), st.booleans())
@settings(max_examples=120, deadline=None)
def test_every_reader_gets_their_own_values_escaped_for_their_place(
    people: list[tuple[str, str, str]], is_subject_personal: bool
) -> None:
    edition = make_edition(
        subject=f"For {NAME}" if is_subject_personal else "For all",
        text=f"{NAME}|{ADDRESS}|{LINK}|{NAME}",
        html=f'<p title="{NAME}">{NAME} {ADDRESS}</p><a href="{LINK}">x</a>',
    )
    messages = [
        make_message(at, edition, f"{at}{address}", name, link) for at, (name, link, address) in enumerate(people)
    ]
    call = write_call(messages)
    readers, _ = read_recipients(messages)
    for item, (_, reader) in zip(call["personalizations"], readers.list_rows(), strict=True):
        plain = {"name": reader.name, "address": reader.address, "unsubscribe_url": reader.unsubscribe_url}
        escaped = {key: html.escape(value) for key, value in plain.items()}
        payload = edition.content.payload
        assert item["to"][0]["email"] == reader.address
        assert substitute(call["subject"], item) == fill_slots(payload["subject"], plain)
        assert substitute(call["content"][0]["value"], item) == fill_slots(payload["text"], plain)
        assert substitute(call["content"][1]["value"], item) == fill_slots(payload["html"], escaped)
        assert item["custom_args"] == {"distributor_delivery": f"{reader.delivery}.{TOKEN}"}
        if reader.unsubscribe_url:
            assert item["headers"]["List-Unsubscribe"] == f"<{reader.unsubscribe_url}>"
            assert item["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        else:
            assert "List-Unsubscribe" not in item["headers"]
        assert item["headers"]["List-Id"] == "The Daily <readers.example.org>"


@pytest.mark.parametrize("count", [200, 201, 450])
@pytest.mark.parametrize("link", ["", "https://go.example.org/u/1"])
def test_a_reader_in_a_crowd_gets_what_they_would_get_alone(count: int, link: str) -> None:
    edition = make_edition()
    names = ["Ada", "", "O'Hara", 'a "b", c', "\\n", "Олена", ",;", "<&>\\"]
    messages = [
        make_message(
            at, edition, f"{at}@x.example", names[at % len(names)], link if at % 3 else "https://x.example"
        )
        for at in range(count)
    ]
    alone = [write_call([message])["personalizations"][0] for message in messages]
    assert write_call(messages)["personalizations"] == alone


def substitute(text: str, item: dict[str, Any]) -> str:
    for tag, value in item["substitutions"].items():
        text = text.replace(tag, value)
    return text


def test_a_call_switches_the_services_own_tracking_off() -> None:
    tracking = write_call(make_messages(1))["tracking_settings"]
    assert {key: value["enable"] for key, value in tracking.items()} == {
        "click_tracking": False,
        "open_tracking": False,
        "subscription_tracking": False,
    }


def test_a_story_cannot_hold_a_readers_tag() -> None:
    """The tags of one edition are made of its unguessable token."""
    call = write_call(make_messages(1))
    tags = call["personalizations"][0]["substitutions"]
    assert tags and all(TOKEN in tag for tag in tags)


def test_a_repeated_address_travels_in_another_call(
    sendgrid: SendgridSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    edition = make_edition()
    twins = [
        make_message(at, edition, address)
        for at, address in enumerate(["A@x.example", "b@x.example", "a@X.example"])
    ]
    outcomes = make_channel(sendgrid).send(twins, wire)
    assert kinds_of(outcomes) == [Accepted] * 3
    assert wire.started == [[0, 1], [2]]


@given(st.lists(st.integers(0, 6), max_size=30), st.integers(1, 8))
def test_calls_hold_everybody_once_and_nobody_twice(people: list[int], per_call: int) -> None:
    addresses = [f"r{number}@x.example" for number in people]
    count = len(people)
    readers = Readers(range(count), [""] * count, addresses, [""] * count, list(range(count)))
    calls = split_into_calls(readers, per_call)
    assert sorted(place for call in calls for place in call.places) == list(range(count))
    for call in calls:
        assert 0 < len(call.places) <= per_call
        assert len(set(call.addresses)) == len(call.places)
        assert call.addresses == [addresses[place] for place in call.places]


def test_one_bad_address_does_not_fail_the_others(
    sendgrid: SendgridSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    sendgrid.refuse_address("reader3@example.com")
    sendgrid.refuse_address("reader5@example.com")
    outcomes = make_channel(sendgrid).send(make_messages(6), wire)
    gone = [index for index, outcome in enumerate(outcomes) if isinstance(outcome, RecipientGone)]
    assert gone == [2, 4]
    assert kinds_of(outcomes).count(Accepted) == 4
    assert len(sendgrid.seen) == 4
    assert "valid address" in outcomes[2].detail


def test_a_refusal_without_a_name_is_narrowed_down(
    sendgrid: SendgridSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    sendgrid.script("no-index", "no-index", "accept", "no-index", "no-index")
    outcomes = make_channel(sendgrid).send(make_messages(4), wire)
    assert kinds_of(outcomes) == [Accepted, MessageRefused, Accepted, Accepted]
    assert wire.started == [[0, 1, 2, 3], [0, 1], [0], [1], [2, 3], [2], [3]]
    assert len(sendgrid.seen) == 3
    assert sorted(wire.settled) == [0, 1, 2, 3]


def test_a_call_that_is_too_large_is_halved(
    sendgrid: SendgridSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    sendgrid.script("too-large")
    outcomes = make_channel(sendgrid).send(make_messages(5), wire)
    assert kinds_of(outcomes) == [Accepted] * 5
    assert wire.started == [[0, 1, 2, 3, 4], [0, 1], [2, 3, 4]]


def test_a_mail_that_is_too_large_alone_is_refused(
    sendgrid: SendgridSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    sendgrid.script("too-large")
    assert kinds_of(make_channel(sendgrid).send(make_messages(1), wire)) == [MessageRefused]


@pytest.mark.parametrize(
    ("answer", "first", "rest"),
    [
        ("closed", ChannelClosed, ChannelClosed),
        ("not-verified", ChannelClosed, ChannelClosed),
        ("busy", Busy, Busy),
        ("lost-after", Unknown, Outage),
        ("server-error", Unknown, Outage),
        ("no-id", Unknown, Outage),
        ("refuse", MessageRefused, Accepted),
    ],
)
def test_a_call_that_fails_decides_what_becomes_of_the_next(
    sendgrid: SendgridSandbox, make_channel: MakeChannel, wire: RecordingWire, answer: str, first: type, rest: type
) -> None:
    sendgrid.script(answer)
    outcomes = make_channel(sendgrid, per_call=2).send(make_messages(4), wire)
    assert kinds_of(outcomes) == [first, first, rest, rest]
    if rest is not Accepted:
        assert wire.started == [[0, 1]]


def test_a_paused_channel_makes_no_call(sendgrid: SendgridSandbox, make_channel: MakeChannel) -> None:
    wire = RecordingWire(says_yes=lambda index: False)
    outcomes = make_channel(sendgrid).send(make_messages(3), wire)
    assert outcomes == [NotStarted()] * 3
    assert sendgrid.calls == []


def test_a_retry_is_the_same_call_byte_for_byte(
    sendgrid: SendgridSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    channel = make_channel(sendgrid)
    channel.send([make_message(1, attempt=1)], wire)
    channel.send([make_message(1, attempt=2)], RecordingWire())
    assert sendgrid.calls[0] == sendgrid.calls[1]


def test_an_unreachable_service_is_an_outage(
    sendgrid: SendgridSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    channel = make_channel(sendgrid)
    sendgrid.stop()
    assert kinds_of(channel.send(make_messages(2), wire)) == [Outage] * 2
    # A thousand readers in doubt for a call that was never made would be a thousand too many.
    assert wire.started == []
    (problem,) = channel.check()
    assert "cannot reach" in problem


def test_encryption_where_none_is_spoken_is_an_outage(make_channel: MakeChannel, wire: RecordingWire) -> None:
    with one_conversation(greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        channel = make_channel(transport="sendgrid", api_key="SG.k", api_base=f"https://127.0.0.1:{port}")
        assert kinds_of(channel.send(make_messages(1), wire)) == [Outage]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 202 Accepted\r\nX-Message-Id: x\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 202 Accep",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"",
    ],
)
def test_an_incomplete_or_odd_answer_is_unknown(
    make_channel: MakeChannel, wire: RecordingWire, answer: bytes
) -> None:
    with one_conversation(answer, greeting=b"") as port:
        channel = make_channel(transport="sendgrid", api_key="SG.k", api_base=f"http://127.0.0.1:{port}")
        assert kinds_of(channel.send(make_messages(1), wire)) == [Unknown]


def test_a_check_tells_a_wrong_key(sendgrid: SendgridSandbox, make_channel: MakeChannel) -> None:
    assert make_channel(sendgrid).check() == []
    (problem,) = make_channel(sendgrid, api_key="SG.wrong").check()
    assert "API key" in problem and "SG.wrong" not in problem


def test_the_key_is_in_no_log_and_no_error(
    sendgrid: SendgridSandbox, make_channel: MakeChannel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    channel = make_channel(sendgrid, api_key="SG.secret-canary")
    outcomes = channel.send(make_messages(2), RecordingWire())
    told = caplog.text + repr(outcomes) + "".join(str(getattr(outcome, "detail", "")) for outcome in outcomes)
    assert kinds_of(outcomes) == [ChannelClosed] * 2
    assert "canary" not in told


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Answer(202, {"x-message-id": "abc"}, b""), Accepted),
        (Answer(202, {}, b""), Unknown),
        (Answer(200, {"x-message-id": "abc"}, b""), Unknown),
        (Answer(500, {}, b'{"errors":[{"message":"internal server error"}]}'), Unknown),
        (Answer(503, {}, b""), Unknown),
        (Answer(301, {}, b""), Unknown),
        (Answer(401, {}, b""), ChannelClosed),
        (Answer(402, {}, b""), ChannelClosed),
        (Answer(403, {}, b""), ChannelClosed),
        (Answer(404, {}, b""), ChannelClosed),
        (Answer(408, {}, b'{"errors":[{"message":"slow"}]}'), Unknown),
        (Answer(429, {}, b""), Busy),
        (Answer(413, {}, b""), Split),
        (Answer(400, {}, b"<html>"), Unknown),
        (Answer(400, {}, b'{"errors":[]}'), Unknown),
        (Answer(400, {}, b'{"errors":["x"]}'), Unknown),
        (Answer(409, {}, b'{"errors":[{"message":"conflict"}]}'), Outage),
        (Answer(409, {}, b"<html>"), Unknown),
        (Answer(407, {}, b"<html>"), ChannelClosed),
        (refuse(("Bad Request", None)), Split),
        (refuse(("The subject is required.", "subject")), MessageRefused),
        (refuse(("The from object must be provided", "from.email")), ChannelClosed),
        (refuse(("Does not contain a valid address.", "personalizations.7.to.0.email")), Split),
    ],
)
def test_an_answer_means_one_thing(answer: Answer, verdict: type) -> None:
    assert type(judge_answer(answer, 5)) is verdict


def test_every_blamed_reader_is_named_with_a_reason() -> None:
    verdict = judge_answer(
        refuse(
            ("Does not contain a valid address.", "personalizations.4.to.0.email"),
            ("The headers may not exceed", "personalizations.1.headers"),
            ("Does not contain a valid address.", "personalizations.12.to.0.email"),
        ),
        5,
    )
    assert isinstance(verdict, dict)
    assert {at: type(error) for at, error in verdict.items()} == {4: RecipientGone, 1: MessageRefused}


def test_the_wait_is_counted_by_the_services_own_clock() -> None:
    headers = {"x-ratelimit-reset": "1763884830", "date": "Sun, 23 Nov 2025 08:00:00 GMT"}
    assert find_wait(headers) == 30
    assert find_wait({}) == 60
    assert find_wait({"x-ratelimit-reset": "soon", "date": headers["date"]}) == 60
    assert find_wait({"x-ratelimit-reset": "1763884830"}) == 60
    assert find_wait({"retry-after": "nan"}) == 1
    assert find_wait({"retry-after": "7"}) == 7
    assert find_wait({"x-ratelimit-reset": "1", "date": headers["date"]}) == 1
