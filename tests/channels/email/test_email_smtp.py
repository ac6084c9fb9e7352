from __future__ import annotations

from typing import Any

import pytest
from email_support import MakeChannel, RecordingWire, make_edition, make_message, make_messages, one_conversation

from distributor.channels.email.sandbox_smtp import SmtpSandbox
from distributor.core.errors import Busy, ChannelClosed, MessageRefused, Outage, RecipientGone, Unknown
from distributor.core.message import Accepted, NotStarted, Outcome


@pytest.fixture(params=["pipelined", "plain"])
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def kinds_of(outcomes: list[Outcome]) -> list[type]:
    return [type(outcome) for outcome in outcomes]


def test_a_batch_is_spread_over_connections_that_stay_open(
    smtp: SmtpSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    channel = make_channel(smtp, connections=3)
    messages = make_messages(40)
    assert kinds_of(channel.send(messages, wire)) == [Accepted] * 40
    assert kinds_of(channel.send(messages, RecordingWire())) == [Accepted] * 40
    assert smtp.connections <= 3
    assert sorted(wire.settled) == list(range(40))
    assert sorted(index for started in wire.started for index in started) == list(range(40))


def test_a_reader_gets_exactly_one_mail_with_words_of_their_own(
    smtp: SmtpSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    messages = [make_message(1, name="Zoë"), make_message(2, name="")]
    outcomes = make_channel(smtp).send(messages, wire)
    first, second = sorted(smtp.seen, key=lambda sight: sight.recipient)
    assert (first.recipient, first.text[:9]) == ("reader1@example.com", "Hello Zoë")
    assert (second.recipient, second.text[:7]) == ("reader2@example.com", "Hello \r")
    assert ".hidden dot\r\n" in first.text
    assert first.links[-1] == "https://go.example.org/u/1/0123456789abcdef"
    assert [outcome.receipt for outcome in outcomes if isinstance(outcome, Accepted)] == [
        first.receipt,
        second.receipt,
    ]


def test_a_single_message_needs_a_single_connection(
    smtp: SmtpSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    make_channel(smtp, connections=8).send(make_messages(1), wire)
    assert smtp.connections == 1


def test_a_bad_address_is_told_without_asking_the_server(
    smtp: SmtpSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    messages = [make_message(1, address="a@x>, <evil@y"), make_message(2), make_message(3, link="ftp://x")]
    outcomes = make_channel(smtp).send(messages, wire)
    assert kinds_of(outcomes) == [RecipientGone, Accepted, MessageRefused]
    assert [sight.recipient for sight in smtp.seen] == ["reader2@example.com"]
    assert wire.started == [[1]]


def test_one_refused_reader_does_not_fail_the_others(
    smtp: SmtpSandbox, make_channel: MakeChannel, wire: RecordingWire, client: str
) -> None:
    smtp.script("accept", "gone", "refuse", "busy", "recipient:452 4.2.2 Mailbox full", "data:451 4.3.0 Not now")
    outcomes = make_channel(smtp, connections=1).send(make_messages(7), wire)
    assert kinds_of(outcomes) == [Accepted, RecipientGone, MessageRefused, Busy, Outage, Outage, Accepted]
    assert smtp.connections == 1
    assert [sight.recipient for sight in smtp.seen] == ["reader1@example.com", "reader7@example.com"]
    # What is refused at the envelope never came near a start; the plain client asks before DATA, not after it.
    assert wire.started == [[0], [2], *([[5]] if client == "plain" else []), [6]]


def test_a_server_that_hangs_up_after_some_mails_is_connected_again(
    make_channel: MakeChannel, wire: RecordingWire
) -> None:
    with SmtpSandbox(per_connection=2) as smtp:
        outcomes = make_channel(smtp, connections=1).send(make_messages(7), wire)
        assert kinds_of(outcomes) == [Accepted] * 7
        assert smtp.connections == 4
        assert smtp.count == 7


def test_our_own_limit_of_mails_a_connection_is_kept(
    smtp: SmtpSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    channel = make_channel(smtp, connections=1, per_connection=3)
    assert kinds_of(channel.send(make_messages(7), wire)) == [Accepted] * 7
    assert smtp.connections == 3


def test_a_relay_restarted_between_batches_is_found_again(
    smtp: SmtpSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    channel = make_channel(smtp, connections=2)
    channel.send(make_messages(4), wire)
    smtp.stop()
    smtp.start()
    assert kinds_of(channel.send(make_messages(4), RecordingWire())) == [Accepted] * 4
    assert smtp.count == 8


def test_an_absent_relay_is_an_outage_for_the_whole_batch_and_nothing_is_started(
    smtp: SmtpSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    channel = make_channel(smtp)
    smtp.stop()
    outcomes = channel.send(make_messages(5), wire)
    assert kinds_of(outcomes) == [Outage] * 5
    assert "127.0.0.1" in str(outcomes[0])
    assert wire.started == []
    assert sorted(wire.settled) == list(range(5))


@pytest.mark.parametrize("answer", ["lost-before", "lost-after", "garbage", "server-error", "half-reply"])
def test_no_complete_answer_after_the_dot_is_unknown_and_the_rest_goes_on(
    smtp: SmtpSandbox, make_channel: MakeChannel, wire: RecordingWire, answer: str
) -> None:
    smtp.script("accept", answer)
    outcomes = make_channel(smtp, connections=1).send(make_messages(4), wire)
    assert kinds_of(outcomes) == [Accepted, Unknown, Accepted, Accepted]
    assert smtp.connections == 2


def test_a_server_that_never_answers_a_mail_costs_one_unknown_a_connection(
    smtp: SmtpSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    smtp.script(*["stall"] * 8)
    channel = make_channel(smtp, connections=2, timeout=5, answer_timeout=0.2)
    outcomes = channel.send(make_messages(8), wire)
    assert kinds_of(outcomes).count(Unknown) == 2
    assert kinds_of(outcomes).count(Outage) == 6
    assert len(wire.started) == 2


def test_a_mail_that_breaks_off_half_way_is_unknown(
    smtp: SmtpSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    smtp.script("lost-early")
    assert kinds_of(make_channel(smtp).send(make_messages(1), wire)) == [Unknown]
    assert smtp.count == 0


def test_a_closed_door_stops_the_batch_at_once(
    smtp: SmtpSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    smtp.script("accept", "closed")
    outcomes = make_channel(smtp, connections=1).send(make_messages(5), wire)
    assert kinds_of(outcomes) == [Accepted] + [ChannelClosed] * 4
    assert wire.started == [[0]]


def test_a_provider_that_says_stop_is_left_alone_by_the_whole_batch(
    smtp: SmtpSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    smtp.script("accept", "message:450 4.7.28 Unusual rate of mail from your domain")
    outcomes = make_channel(smtp, connections=1).send(make_messages(5), wire)
    assert kinds_of(outcomes) == [Accepted] + [Busy] * 4
    assert {outcome.retry_after for outcome in outcomes if isinstance(outcome, Busy)} == {600.0}


def test_a_relay_that_is_busy_from_the_start_is_not_asked_for_every_mail(
    smtp: SmtpSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    smtp.script(*["sender:421 4.3.2 Busy, try again in 30 seconds"] * 10)
    outcomes = make_channel(smtp, connections=1).send(make_messages(5), wire)
    assert kinds_of(outcomes) == [Busy] * 5
    assert smtp.connections == 1


def test_some_connections_may_be_refused_while_others_work(
    smtp: SmtpSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    channel = make_channel(smtp, connections=3)
    channel.check()
    smtp.script("connect:421 4.7.0 Too many connections", "connect:421 4.7.0 Too many connections")
    assert kinds_of(channel.send(make_messages(30), wire)) == [Accepted] * 30
    assert smtp.count == 30


def test_what_is_withheld_leaves_the_connection_in_order(
    smtp: SmtpSandbox, make_channel: MakeChannel, client: str
) -> None:
    wire = RecordingWire(says_yes=lambda index: index not in (1, 2))
    outcomes = make_channel(smtp, connections=1).send(make_messages(5), wire)
    assert kinds_of(outcomes) == [Accepted, NotStarted, NotStarted, Accepted, Accepted]
    assert wire.started == [[0], [1], [2], [3], [4]]
    # The first no comes after DATA when the envelope was said ahead: from there one can only hang up.
    assert smtp.connections == (1 if client == "plain" else 2)
    assert smtp.count == 3


def test_after_one_no_the_others_are_asked_before_their_envelope(
    smtp: SmtpSandbox, make_channel: MakeChannel
) -> None:
    """Stopping must not cost round trips for each of a thousand mails."""
    smtp.script("accept", "gone")
    wire = RecordingWire(says_yes=lambda index: False)
    outcomes = make_channel(smtp, connections=1).send(make_messages(3), wire)
    assert kinds_of(outcomes) == [NotStarted] * 3


def test_an_error_of_the_pipeline_itself_is_raised_and_nothing_more_is_sent(
    smtp: SmtpSandbox, make_channel: MakeChannel
) -> None:
    def fail(index: int) -> bool:
        if index == 2:
            raise OSError("the disk is full")
        return True

    wire = RecordingWire(says_yes=fail)
    with pytest.raises(OSError, match="disk is full"):
        make_channel(smtp, connections=1).send(make_messages(5), wire)
    assert smtp.count == 2
    assert sorted(wire.settled) == [0, 1]


def test_an_edition_that_cannot_be_compiled_is_refused_for_everybody(
    smtp: SmtpSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    edition = make_edition(text="", html="")
    outcomes = make_channel(smtp).send([make_message(1, edition), make_message(2, edition)], wire)
    assert kinds_of(outcomes) == [MessageRefused] * 2
    assert smtp.connections == 0


def test_an_empty_batch_is_nothing(smtp: SmtpSandbox, make_channel: MakeChannel, wire: RecordingWire) -> None:
    assert make_channel(smtp).send([], wire) == []


def test_a_new_edition_is_compiled_anew(smtp: SmtpSandbox, make_channel: MakeChannel, wire: RecordingWire) -> None:
    channel = make_channel(smtp)
    channel.send([make_message(1, make_edition(subject="One"))], wire)
    channel.send([make_message(1, make_edition(subject="Two"))], RecordingWire())
    assert [sight.subject for sight in smtp.seen] == ["One", "Two"]


def test_bounces_go_where_the_operator_says(make_channel: MakeChannel, wire: RecordingWire) -> None:
    says = (b"250 odd\r\n", b"250 ok\r\n", b"550 5.1.1 unknown\r\n")
    with one_conversation(*says) as port:
        channel = make_channel(host="127.0.0.1", port=port, tls="none", bounce_address="bounces@example.org")
        (outcome,) = channel.send(make_messages(1), wire)
    assert isinstance(outcome, RecipientGone)


@pytest.mark.parametrize(
    "greeting",
    [b"220 never ends", b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"220-one\r\n250 two\r\n", b"220-x\r\n" * 300],
)
def test_a_greeting_that_is_not_smtp_is_an_outage(
    make_channel: MakeChannel, wire: RecordingWire, greeting: bytes
) -> None:
    with one_conversation(greeting=greeting) as port:
        channel = make_channel(host="127.0.0.1", port=port, tls="none")
        assert kinds_of(channel.send(make_messages(1), wire)) == [Outage]
    assert wire.started == []


@pytest.mark.parametrize(
    ("last", "outcome"),
    [
        (b"250-2.0.0 part\r\n250 2.0.0 whole\r\n", Accepted),
        (b"250\r\n", Accepted),
        (b"250-2.0.0 part\r\n", Unknown),
        (b"250 2.0", Unknown),
        (b"250-2.0.0 part\r\n550 no\r\n", Unknown),
        (b"354 go on\r\n", Unknown),
        (b"999 what\r\n", Unknown),
        (b"", Unknown),
        (b"550 5.6.0 no\r\n", MessageRefused),
        (b"250 " + b"x" * 9000 + b"\r\n", Unknown),
    ],
)
def test_only_a_complete_reply_after_the_dot_counts(
    make_channel: MakeChannel, wire: RecordingWire, last: bytes, outcome: Any
) -> None:
    ok = b"250 ok\r\n"
    # The sink answers each line it reads; the mail's own first line brings the last reply.
    with one_conversation(ok, ok, ok, b"354 go\r\n", last) as port:
        channel = make_channel(host="127.0.0.1", port=port, tls="none")
        assert kinds_of(channel.send(make_messages(1), wire)) == [outcome]


@pytest.mark.parametrize(
    ("text", "receipt"),
    [
        ("2.0.0 Ok: queued as 4Fabc123", "4Fabc123"),
        ("OK id=1abcDE-0002Fg-7H", "1abcDE-0002Fg-7H"),
        ("Ok 0102018abc-ff-000000", "0102018abc-ff-000000"),
        ("2.0.0 OK  1699999999 a1-20020a05.12 - gsmtp", "1699999999"),
        ("2.6.0 <x@y.example> [InternalId=5] Queued", "2.6.0 <x@y.example> [InternalId=5] Queued"),
    ],
)  # fmt: skip
def test_the_relays_own_id_is_the_receipt(
    make_channel: MakeChannel, wire: RecordingWire, text: str, receipt: str
) -> None:
    ok = b"250 ok\r\n"
    with one_conversation(ok, ok, ok, b"354 go\r\n", f"250 {text}\r\n".encode()) as port:
        channel = make_channel(host="127.0.0.1", port=port, tls="none")
        (outcome,) = channel.send(make_messages(1), wire)
    assert isinstance(outcome, Accepted)
    assert outcome.receipt == receipt
    assert outcome.detail == f"250 {text}"


def test_a_check_logs_in_and_says_what_is_wrong(smtp: SmtpSandbox, make_channel: MakeChannel) -> None:
    channel = make_channel(smtp)
    assert channel.check() == []
    smtp.stop()
    channel.close()
    (problem,) = channel.check()
    assert "cannot reach the mail server" in problem


def test_a_quit_is_said_when_the_channel_closes(smtp: SmtpSandbox, make_channel: MakeChannel) -> None:
    channel = make_channel(smtp)
    channel.check()
    channel.close()
    channel.close()
    assert channel.check() == []
    assert smtp.connections == 2
