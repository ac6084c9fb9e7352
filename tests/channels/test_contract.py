"""What every channel promises the pipeline: run over the folder listing and each kind's sandboxes.

A new channel folder is tested here by being there. A sandbox names answers that its service cannot give in
`lacks`.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import SecretStr

from distributor.channels import Surroundings, kinds, load, open_channel, settings_model
from distributor.core.contracts import Channel, Site, Wire
from distributor.core.errors import Busy, ChannelClosed, MessageRefused, Outage, RecipientGone, SendError, Unknown
from distributor.core.message import (
    SLOT_NAMES,
    Accepted,
    Content,
    Edition,
    Limits,
    Message,
    NotStarted,
    Outcome,
    Recipient,
)

AROUND = Surroundings(Site("The Daily Example", "https://go.example.org"), agent="distributor/test")
LINK = "https://go.example.org/l/4fTz9QmK2p"
#: Seconds a channel waits for an answer: never reached, but where a test waits for its end.
TIMEOUT = 20.0
SHORT_TIMEOUT = 0.5

ANSWERS: dict[str, type[Accepted] | type[SendError]] = {
    "accept": Accepted,
    "busy": Busy,
    "refuse": MessageRefused,
    "gone": RecipientGone,
    "closed": ChannelClosed,
    "outage": Outage,
    "lost-before": Unknown,
    "lost-after": Unknown,
    "garbage": Unknown,
    "server-error": Unknown,
    "stall": Unknown,
}
#: Answers after which the message is public although nobody said so.
VISIBLE = ("accept", "lost-after")
INVISIBLE = ("busy", "refuse", "gone", "closed", "outage", "lost-before", "server-error")


def list_sandboxes() -> list[Any]:
    found = []
    for kind in kinds():
        # A kind without a sandbox fails the test below, with a sentence.
        with contextlib.suppress(ModuleNotFoundError, AttributeError):
            found += [
                pytest.param(sandbox, id=f"{kind}-{number}" if number else kind)
                for number, sandbox in enumerate(load(kind, "sandbox").SANDBOXES)
            ]
    return found


every_kind = pytest.mark.parametrize("kind", kinds())
every_sandbox = pytest.mark.parametrize("make_sandbox", list_sandboxes())


@dataclass
class RecordingWire(Wire):
    """The pipeline's side of a send: what was asked, in order, and what was public at that moment."""

    count_seen: Callable[[], int] = lambda: 0
    says_yes: bool = True
    started: list[int] = field(default_factory=list)
    seen_at_start: list[int] = field(default_factory=list)
    settled: dict[int, Outcome] = field(default_factory=dict)

    def start(self, indexes: Sequence[int]) -> bool:
        self.seen_at_start.append(self.count_seen())
        self.started += [index for index in indexes if index not in self.started]
        return self.says_yes

    def settle(self, index: int, outcome: Outcome) -> None:
        self.settled[index] = outcome


@dataclass
class Rig:
    """One sandbox with a channel that talks to it."""

    sandbox: Any
    channel: Channel
    settings: Any

    def compose(self, form: str = "each", words: str = "Rain by noon") -> Content:
        texts = {
            name: self.channel.compile_template(name, make_text(name, words)) for name in self.channel.parts[form]
        }
        return self.channel.compose(texts, form)

    def message(self, content: Content, number: int = 1, attempt: int = 1) -> Message:
        edition = Edition(number, self.channel.name, "now", "each", f"{number:016x}", content)
        address = f"reader{number}@example.org" if self.channel.list_name else self.channel.address
        recipient = Recipient(number if self.channel.list_name else 0, address, "A Reader")
        return Message(number, edition, recipient, dict(zip(SLOT_NAMES, make_slots(address), strict=True)), attempt)

    def send(self, *messages: Message, says_yes: bool = True) -> tuple[list[Outcome], RecordingWire]:
        wire = RecordingWire(lambda: len(self.sandbox.seen), says_yes)
        return self.channel.send(messages, wire), wire

    def send_one(self, answer: str = "accept") -> tuple[Outcome, RecordingWire]:
        self.sandbox.script(answer)
        outcomes, wire = self.send(self.message(self.compose()))
        # An outage lasts until the script is touched again.
        self.sandbox.script()
        return outcomes[0], wire


def make_slots(address: str) -> tuple[str, str, str]:
    return "A Reader", address, f"https://go.example.org/unsubscribe/{address.partition('@')[0]}"


def make_text(name: str, words: str) -> str:
    """What a simple template of this file type renders to."""
    if "subject" in name:
        return words
    if name.endswith(".mjml"):
        body = f"<mj-text>{words}</mj-text><mj-button href='{LINK}'>Read</mj-button>"
        return f"<mjml><mj-body><mj-section><mj-column>{body}</mj-column></mj-section></mj-body></mjml>"
    if name.endswith(".html"):
        return f'<p><b>{words}</b></p>\n<p><a href="{LINK}">Read</a></p>'
    return f"{words}\n\n{LINK}\n"


@contextlib.contextmanager
def open_rig(make_sandbox: Any, timeout: float = TIMEOUT) -> Iterator[Rig]:
    with make_sandbox() as sandbox:
        settings = settings_model(sandbox.kind)(**{"name": "main", "timeout": timeout, **sandbox.settings()})
        channel = open_channel(settings, AROUND)
        try:
            yield Rig(sandbox, channel, settings)
        finally:
            channel.close()


@pytest.fixture
def rig(make_sandbox: Any, request: pytest.FixtureRequest) -> Iterator[Rig]:
    is_stalled = "stall" in request.node.callspec.params.values()
    with open_rig(make_sandbox, SHORT_TIMEOUT if is_stalled else TIMEOUT) as opened:
        yield opened


def skip_lacking(make_sandbox: Any, answer: str) -> None:
    if answer in getattr(make_sandbox, "lacks", ()):
        pytest.skip(f"this service has no answer {answer!r}")


@every_kind
def test_a_kind_says_what_must_be_filled_in(kind: str) -> None:
    fields = settings_model(kind).model_fields
    assert {"name", "kind", "timeout", "allow"} <= fields.keys()
    untold = [name for name, info in fields.items() if not info.description and name != "kind"]
    assert not untold, f"say in an operator's words what {untold} are"


@every_kind
def test_a_kind_ships_the_service_it_believes_in(kind: str) -> None:
    sandboxes = load(kind, "sandbox").SANDBOXES
    assert sandboxes
    assert {sandbox.kind for sandbox in sandboxes} == {kind}


@every_sandbox
def test_a_channel_declares_who_it_is_and_what_it_can_carry(rig: Rig) -> None:
    assert rig.channel.kind == rig.sandbox.kind
    assert rig.channel.name == "main"
    assert rig.channel.address
    assert isinstance(rig.channel.limits, Limits)
    assert rig.channel.limits.batch >= 1
    assert {"each", "digest"} <= set(rig.channel.parts)


@every_sandbox
@pytest.mark.parametrize("form", ["each", "digest"])
def test_a_simple_text_is_composed_previewed_and_frozen(rig: Rig, form: str) -> None:
    content = rig.compose(form)
    again = Content.from_json(content.to_json(), content.warnings)
    assert again == content
    assert again.to_json() == content.to_json()
    preview = rig.channel.preview(again, rig.message(again).recipient)
    assert "Rain by noon" in preview.title + preview.text + preview.html


@every_sandbox
@pytest.mark.parametrize("answer", ANSWERS)
def test_each_answer_has_its_one_outcome(make_sandbox: Any, rig: Rig, answer: str) -> None:
    skip_lacking(make_sandbox, answer)
    outcome, wire = rig.send_one(answer)
    assert type(outcome).__mro__.count(ANSWERS[answer]), f"{answer}: {outcome!r}"
    assert wire.settled == {0: outcome}
    if isinstance(outcome, Accepted):
        assert outcome.receipt
    if isinstance(outcome, Busy):
        assert 0 < outcome.retry_after < 86400


@every_sandbox
@pytest.mark.parametrize("answer", [*VISIBLE, *INVISIBLE])
def test_one_send_is_one_try(make_sandbox: Any, rig: Rig, answer: str) -> None:
    skip_lacking(make_sandbox, answer)
    rig.send_one(answer)
    assert len(rig.sandbox.seen) == (1 if answer in VISIBLE else 0)


@every_sandbox
@pytest.mark.parametrize("answer", ["accept", "lost-after", "garbage"])
def test_a_message_is_on_record_before_anybody_can_see_it(rig: Rig, answer: str) -> None:
    _, wire = rig.send_one(answer)
    assert len(rig.sandbox.seen) == 1
    assert wire.started == [0]
    assert wire.seen_at_start == [0]


@every_sandbox
def test_what_the_pipeline_withholds_is_not_seen(rig: Rig) -> None:
    outcomes, wire = rig.send(rig.message(rig.compose()), says_yes=False)
    assert outcomes == [NotStarted()]
    assert wire.settled == {0: NotStarted()}
    assert rig.sandbox.seen == []
    outcome, _ = rig.send_one()
    assert isinstance(outcome, Accepted)


@every_sandbox
@pytest.mark.parametrize("answer", [answer for answer in ANSWERS if answer != "accept"])
def test_the_channel_goes_on_after_every_answer(make_sandbox: Any, rig: Rig, answer: str) -> None:
    skip_lacking(make_sandbox, answer)
    rig.send_one(answer)
    before = len(rig.sandbox.seen)
    outcomes, _ = rig.send(rig.message(rig.compose(words="Sun by evening"), number=2))
    assert isinstance(outcomes[0], Accepted)
    assert len(rig.sandbox.seen) == before + 1


@every_sandbox
def test_every_message_has_its_outcome_in_order(rig: Rig) -> None:
    content = rig.compose()
    messages = [rig.message(content, number) for number in range(1, min(rig.channel.limits.batch, 3) + 1)]
    outcomes, wire = rig.send(*messages)
    assert [type(outcome) for outcome in outcomes] == [Accepted] * len(messages)
    assert [wire.settled[index] for index in range(len(messages))] == outcomes
    if rig.channel.list_name:
        assert sorted(sight.recipient for sight in rig.sandbox.seen) == [m.recipient.address for m in messages]


@every_sandbox
def test_two_messages_are_seen_in_the_order_they_were_sent(rig: Rig) -> None:
    for number, words in enumerate(("First came the rain", "Then came the sun"), 1):
        outcomes, _ = rig.send(rig.message(rig.compose(words=words), number))
        assert isinstance(outcomes[0], Accepted)
    first, second = rig.sandbox.seen
    assert "First came the rain" in first.text + first.html
    assert "Then came the sun" in second.text + second.html
    assert first.at <= second.at


@every_sandbox
def test_a_reader_sees_the_words_and_the_way_to_the_story(rig: Rig) -> None:
    outcome, _ = rig.send_one()
    (sight,) = rig.sandbox.seen
    assert "Rain by noon" in sight.text + sight.html
    assert LINK in (*sight.links, *(url for _, url in sight.buttons))
    assert isinstance(outcome, Accepted)
    assert not sight.edited


@every_sandbox
def test_a_retry_is_byte_identical(make_sandbox: Any) -> None:
    with open_rig(make_sandbox) as rig:
        frozen = rig.compose().to_json()
    seen = []
    for attempt in (1, 2):
        # Each time another process, which knows the content from the database only.
        with open_rig(make_sandbox) as rig:
            rig.send(rig.message(Content.from_json(frozen), attempt=attempt))
            (sight,) = rig.sandbox.seen
            seen.append(
                (sight.recipient, sight.subject, sight.text, sight.html, sight.image, sight.buttons, sight.raw)
            )
    assert seen[0] == seen[1]


@every_sandbox
def test_a_healthy_service_passes_the_check_and_an_absent_one_does_not(rig: Rig) -> None:
    assert rig.channel.check() == []
    rig.sandbox.stop()
    problems = rig.channel.check()
    assert problems
    assert not [secret for secret in find_secrets(rig.settings) if secret in " ".join(problems)]


@every_sandbox
def test_a_channel_can_be_closed_twice_and_used_again(rig: Rig) -> None:
    rig.send_one()
    rig.channel.close()
    rig.channel.close()
    outcomes, _ = rig.send(rig.message(rig.compose(words="Sun by evening"), number=2))
    assert isinstance(outcomes[0], Accepted)


@every_sandbox
def test_no_secret_is_ever_told(make_sandbox: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    with open_rig(make_sandbox, SHORT_TIMEOUT) as rig:
        secrets = find_secrets(rig.settings)
        told += [repr(rig.settings), str(rig.settings), repr(rig.channel), repr(vars(rig.sandbox).keys())]
        for answer in ANSWERS:
            if answer not in getattr(make_sandbox, "lacks", ()):
                outcome, _ = rig.send_one(answer)
                told += describe(outcome)
        told += rig.channel.check()
    told += [format_record(record) for record in caplog.records]
    for secret in secrets:
        assert not [text for text in told if secret in text]


def find_secrets(settings: Any) -> list[str]:
    """Every secret as it is typed, and as mail servers carry it."""
    values = [value.get_secret_value() for _, value in settings if isinstance(value, SecretStr)]
    return [*values, *(base64.b64encode(value.encode()).decode() for value in values)]


def describe(outcome: Outcome) -> list[str]:
    told = [repr(outcome), str(outcome), getattr(outcome, "detail", "")]
    if isinstance(outcome, BaseException):
        told += traceback.format_exception(outcome)
    return told


def format_record(record: logging.LogRecord) -> str:
    return logging.Formatter("%(name)s %(message)s").format(record) + repr(record.args)
