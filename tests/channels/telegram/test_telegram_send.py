from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest
from telegram_support import DATA, LINK, PAYLOAD, RecordingWire, make_message, needs_data

from distributor.channels.telegram.channel import TelegramChannel, list_fields
from distributor.channels.telegram.sandbox import Sandbox
from distributor.core.errors import ChannelClosed, MessageRefused, Outage, StorageError, Unknown
from distributor.core.message import Accepted, NotStarted, Outcome

Make = Callable[..., TelegramChannel]
IMAGE = "https://news.example.org/rain.jpg"


def send(channel: TelegramChannel, wire: RecordingWire | None = None, **changes: Any) -> Outcome:
    (outcome,) = channel.send([make_message(**changes)], wire or RecordingWire())
    return outcome


def test_a_text_is_posted_with_marks_buttons_and_the_storys_own_preview(
    make_channel: Make, sandbox: Sandbox
) -> None:
    assert send(make_channel()) == Accepted("-1001000000001/1")
    (post,) = sandbox.posts
    assert post.words.text == PAYLOAD["text"]
    assert post.words.entities == PAYLOAD["entities"]
    assert post.buttons == (({"text": "Read", "url": LINK},),)
    assert post.preview == {"url": PAYLOAD["preview_url"], "prefer_large_media": True}
    assert not post.silent
    (sight,) = sandbox.seen
    assert sight.html == "<b>Rain by noon</b><br><br>Take an umbrella."


def test_without_a_page_to_preview_there_is_no_preview(make_channel: Make, sandbox: Sandbox) -> None:
    send(make_channel(), preview_url="")
    assert sandbox.posts[0].preview == {"is_disabled": True}


def test_an_image_carries_the_words_as_its_caption(make_channel: Make, sandbox: Sandbox) -> None:
    assert isinstance(send(make_channel(), photo=IMAGE, caption=True), Accepted)
    assert [method for method, _ in sandbox.calls] == ["sendPhoto"]
    (sight,) = sandbox.seen
    assert (sight.image, sight.text) == (IMAGE, PAYLOAD["text"])
    assert sight.buttons == (("Read", LINK),)


def test_an_image_that_telegram_cannot_use_never_costs_the_story(make_channel: Make, sandbox: Sandbox) -> None:
    sandbox.script("bad-image")
    wire = RecordingWire()
    outcome = send(make_channel(), wire, photo=IMAGE, caption=True)
    assert isinstance(outcome, Accepted)
    assert outcome.detail == "posted without its image: Bad Request: failed to get HTTP URL content"
    assert wire.starts == 2
    (sight,) = sandbox.seen
    assert (sight.image, sight.text) == ("", PAYLOAD["text"])
    assert sandbox.posts[0].preview["url"] == PAYLOAD["preview_url"]


def test_the_words_stay_back_when_the_pipeline_stops_between_image_and_words(
    make_channel: Make, sandbox: Sandbox
) -> None:
    sandbox.script("bad-image")
    assert send(make_channel(), RecordingWire(allowed=1), photo=IMAGE) == NotStarted()
    assert sandbox.seen == []


@pytest.mark.parametrize("answer", ["lost-before", "lost-after", "server-error"])
def test_the_words_are_not_posted_while_the_image_may_be_out(
    make_channel: Make, sandbox: Sandbox, answer: str
) -> None:
    sandbox.script(answer)
    wire = RecordingWire()
    assert isinstance(send(make_channel(), wire, photo=IMAGE), Unknown)
    assert wire.starts == 1
    assert all(sight.image == IMAGE for sight in sandbox.seen)


def test_a_refusal_that_is_not_about_the_image_is_final(make_channel: Make, sandbox: Sandbox) -> None:
    sandbox.script("400 Bad Request: message caption is too long")
    assert type(send(make_channel(), photo=IMAGE)) is MessageRefused
    assert sandbox.seen == []


def test_a_silent_channel_posts_without_sound(make_channel: Make, sandbox: Sandbox) -> None:
    send(make_channel(), silent=True)
    assert sandbox.posts[0].silent


def test_a_message_goes_to_its_own_recipient(make_channel: Make, sandbox: Sandbox) -> None:
    assert send(make_channel(), chat="4711") == Accepted("4711/1")


def test_nothing_is_on_record_when_the_service_cannot_be_reached(make_channel: Make, sandbox: Sandbox) -> None:
    sandbox.script("outage")
    wire = RecordingWire()
    outcome = send(make_channel(), wire)
    assert isinstance(outcome, Outage)
    assert "ConnectError" in outcome.detail
    assert wire.starts == 0


def test_a_kept_connection_that_the_service_closed_meanwhile_costs_nothing(
    make_channel: Make, sandbox: Sandbox
) -> None:
    channel = make_channel()
    send(channel)
    sandbox.script("outage")
    sandbox.script()
    wire = RecordingWire()
    assert isinstance(send(channel, wire), Accepted)
    assert wire.starts == 1


def test_a_server_that_speaks_no_tls_is_an_outage(make_channel: Make, sandbox: Sandbox) -> None:
    outcome = send(make_channel(api_base=f"https://127.0.0.1:{sandbox.port}"))
    assert isinstance(outcome, Outage)


def test_a_server_that_never_accepts_is_an_outage(make_channel: Make) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        # The queue of one holds the first caller; the next one waits outside until it gives up.
        with socket.create_connection(("127.0.0.1", port)):
            fillers = [socket.socket() for _ in range(3)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            outcome = send(make_channel(api_base=f"http://127.0.0.1:{port}", timeout=0.2))
            for filler in fillers:
                filler.close()
    assert isinstance(outcome, Outage)
    assert "ConnectTimeout" in outcome.detail


def test_what_the_ledger_raises_comes_through_and_nothing_leaves(make_channel: Make, sandbox: Sandbox) -> None:
    class BrokenWire(RecordingWire):
        def start(self, indexes: Any) -> bool:
            raise StorageError("the disk is full")

    channel = make_channel()
    with pytest.raises(StorageError, match="disk is full"):
        channel.send([make_message()], BrokenWire())
    assert sandbox.calls == []
    assert isinstance(send(channel), Accepted)


def test_a_wrong_token_closes_the_channel(make_channel: Make) -> None:
    outcome = send(make_channel(token="4242:not-the-token-of-this-bot"))
    assert isinstance(outcome, ChannelClosed)
    assert "token" in str(outcome)


def test_equal_content_is_equal_bytes(make_channel: Make, sandbox: Sandbox) -> None:
    for _ in range(2):
        send(make_channel(), photo=IMAGE)
    first, second = sandbox.seen
    assert first.raw == second.raw != b""


def test_the_paces_follow_the_services_and_name_no_token(make_channel: Make, sandbox: Sandbox) -> None:
    bot, chat, minute, _cap = make_channel().limits.paces
    assert (bot.count, bot.seconds) == (25, 1.0)
    assert (chat.count, chat.seconds) == (1, 1.2)
    assert (minute.count, minute.seconds) == (18, 60.0)
    assert all(sandbox.token.split(":")[1] not in pace.key for pace in (bot, chat, minute))
    assert len({bot.key, chat.key, minute.key}) == 3
    assert len(make_channel(chat=4711).limits.paces) == 3
    assert make_channel(chat="@DAILY").limits == make_channel().limits


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        (("401 Unauthorized",), "check `token`"),
        (("accept", "400 Bad Request: chat not found"), "check `chat`"),
        (("accept", "accept", "400 Bad Request: user not found"), "user not found"),
        (("garbage",), "check `api_base`"),
        (("lost-before",), "no answer from http://127.0.0.1:"),
    ],
)
def test_the_check_names_what_to_fix(
    make_channel: Make, sandbox: Sandbox, answers: tuple[str, ...], problem: str
) -> None:
    sandbox.script(*answers)
    (sentence,) = make_channel().check()
    assert sentence.startswith("channel tg: ")
    assert problem in sentence


def test_the_check_sees_a_bot_that_may_not_post(make_channel: Make, sandbox: Sandbox) -> None:
    sandbox.membership = {"status": "administrator", "can_post_messages": False}
    (sentence,) = make_channel().check()
    assert sentence == (
        "channel tg: @sandbox_bot may not post; make it an administrator with the right to post messages in @daily"
    )


@pytest.mark.parametrize("answer", ["accept", "closed", "garbage", "lost-before", "outage", "stall"])
def test_the_token_is_nowhere_even_when_logs_are_wide_open(
    make_channel: Make, sandbox: Sandbox, caplog: pytest.LogCaptureFixture, answer: str
) -> None:
    channel = make_channel(timeout=0.3)
    sandbox.script(answer)
    with caplog.at_level(logging.DEBUG):
        outcome = send(channel)
    sandbox.script()
    told = caplog.text + repr(outcome) + str(getattr(outcome, "detail", "")) + repr(channel)
    assert sandbox.token.split(":")[1] not in told


def test_loggers_that_print_the_token_are_quiet_once_a_channel_was_used(make_channel: Make) -> None:
    for name in ("httpx", "httpcore", "telegram"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    send(make_channel())
    for name in ("httpx", "httpcore.http11", "telegram.Bot"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)


SPEC_TYPES: dict[str, Callable[[Any], bool]] = {
    "Integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "String": lambda value: isinstance(value, str),
    "Boolean": lambda value: isinstance(value, bool),
}


def find_spec_problems(spec: Any, fields: list[dict[str, Any]], told: dict[str, Any]) -> list[str]:
    known = {field["name"]: field for field in fields}
    problems = [f"{name} does not exist" for name in told.keys() - known.keys()]
    problems += [f"{name} is missing" for name, field in known.items() if field["required"] and name not in told]
    for name in told.keys() & known.keys():
        if not any(matches(spec, kind, told[name]) for kind in known[name]["types"]):
            problems.append(f"{name} is not {known[name]['types']}: {told[name]!r}")
    return problems


def matches(spec: Any, kind: str, value: Any) -> bool:
    if kind.startswith("Array of "):
        return isinstance(value, list) and all(matches(spec, kind[9:], item) for item in value)
    if kind in SPEC_TYPES:
        return SPEC_TYPES[kind](value)
    fields = spec["types"].get(kind, {}).get("fields", [])
    return isinstance(value, dict) and not find_spec_problems(spec, fields, value)


def read_form(fields: dict[str, str]) -> dict[str, Any]:
    """Objects, lists and booleans travel as JSON text inside a form; strings as they are."""
    return {
        name: json.loads(value) if value[:1] in "[{" or value in ("true", "false") else value
        for name, value in fields.items()
    }


@needs_data
@pytest.mark.parametrize("changes", [{}, {"photo": IMAGE}, {"preview_url": ""}, {"silent": True}, {"buttons": []}])
def test_every_field_on_the_wire_is_in_the_services_own_table(
    make_channel: Make, sandbox: Sandbox, changes: dict[str, Any]
) -> None:
    spec = json.loads((DATA / "bot-api-10.1.json").read_text("utf-8"))
    channel = make_channel()
    send(channel, **changes)
    channel.check()
    for method, fields in sandbox.calls:
        assert find_spec_problems(spec, spec["methods"][method].get("fields", []), read_form(fields)) in (
            [],
            # A form has no numbers: the user id of getChatMember is text that the server reads as one.
            ["user_id is not ['Integer']: '4242'"],
        )


def test_fields_are_the_ones_the_service_documents() -> None:
    method, fields = list_fields(PAYLOAD, "@daily")
    assert method == "send_message"
    assert set(fields) == {"chat_id", "text", "entities", "link_preview_options", "reply_markup"}
    method, fields = list_fields({**PAYLOAD, "photo": IMAGE, "silent": True, "buttons": []}, "@daily")
    assert method == "send_photo"
    assert set(fields) == {"chat_id", "photo", "caption", "caption_entities", "disable_notification"}
