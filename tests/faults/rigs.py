"""Each channel with its real client, a wire that can go wrong, and the sandbox that keeps what the public saw.

A new channel folder puts its rig into RIGS, or a reason into NOT_COVERED.
"""

from __future__ import annotations

import contextlib
import gc
import json
import re
import socket
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from distributor.channels import Surroundings, load, open_channel, settings_model
from distributor.core import contracts
from distributor.core.contracts import Channel, Site
from distributor.core.message import SLOT_NAMES, Content, Edition, Message, Outcome, Recipient, make_slot
from tests.faults import http_shapes, http_statuses, smtp_shapes
from tests.faults.http_talk import HttpReply, HttpTalk, pass_on, read_request
from tests.faults.shapes import AFTER, Shape
from tests.faults.smtp_talk import Relay, SmtpTalk
from tests.faults.wire import Wire

AROUND = Surroundings(Site("The Daily Example", "https://go.example.org"), agent="distributor/test")
LINK = "https://go.example.org/l/4fTz9QmK2p"
#: Seconds: never reached, and the one that a waiting shape makes the client wait.
PATIENT, IMPATIENT = 20.0, 0.5


@dataclass
class RecordingWire(contracts.Wire):
    """The pipeline's side of a send."""

    started: list[int] = field(default_factory=list)
    settled: dict[int, Outcome] = field(default_factory=dict)

    def start(self, indexes: Sequence[int]) -> bool:
        self.started += [index for index in indexes if index not in self.started]
        return True

    def settle(self, index: int, outcome: Outcome) -> None:
        assert index not in self.settled, "an outcome is told once"
        self.settled[index] = outcome


class Rig:
    """One service. `arm` makes the next message meet the shape; afterwards everything is passed on."""

    service: ClassVar[str]
    kind: ClassVar[str]
    sandbox_number: ClassVar[int] = 0
    payload: ClassVar[dict[str, Any]]

    def __init__(self, stack: contextlib.ExitStack, shape: Shape, side: str, certificate: Path) -> None:
        self.shape, self.side, self.certificate = shape, side, certificate
        self._armed: Shape | None = None
        self._lock = threading.Lock()
        self._stack = stack
        sandbox = load(self.kind, "sandbox").SANDBOXES[self.sandbox_number]
        self.sandbox: Any = stack.enter_context(sandbox(**self.describe_sandbox()))
        self.wire = stack.enter_context(Wire(self._talk))
        #: Messages that reached the wire whole or in part since `arm`.
        self.tries = 0
        self.channel = self.open(IMPATIENT if shape.waits else PATIENT)

    @classmethod
    def list_shapes(cls) -> list[Shape]:
        raise NotImplementedError

    def describe_sandbox(self) -> dict[str, Any]:
        return {}

    def describe_channel(self) -> dict[str, Any]:
        raise NotImplementedError

    def open(self, timeout: float) -> Channel:
        entry = {"name": "main", "timeout": timeout, **self.sandbox.settings(), **self.describe_channel()}
        channel = open_channel(settings_model(self.kind)(**entry), AROUND)
        self._stack.callback(channel.close)
        return channel

    def send(self, number: int, attempt: int = 1) -> tuple[Outcome, RecordingWire]:
        recording = RecordingWire()
        (outcome,) = self.channel.send([self.message(number, attempt)], recording)
        return outcome, recording

    def message(self, number: int, attempt: int = 1) -> Message:
        edition = Edition(number, "main", "now", "each", f"{number:016x}", Content(self.word(number)))
        address = f"reader{number}@example.com" if self.channel.list_name else self.channel.address
        recipient = Recipient(number if self.channel.list_name else 0, address)
        slots = dict(zip(SLOT_NAMES, ("A Reader", address, f"https://go.example.org/u/{number}"), strict=True))
        return Message(number, edition, recipient, slots if self.channel.list_name else {}, attempt)

    def word(self, number: int) -> dict[str, Any]:
        return {**self.payload, "text": f"Story number {number}\n\n{LINK}{number}"}

    def count_seen(self, number: int) -> int:
        return len(self.find_receipts(number))

    def find_receipts(self, number: int) -> list[str]:
        words = re.compile(rf"Story number {number}\b")
        return [one.receipt for one in self.sandbox.seen if words.search(one.text)]

    def arm(self) -> None:
        self.tries = 0
        if self.shape.moment == "listen":
            self.shape.play(self.wire)
        elif self.shape.warm and self.shape.moment == "connect":
            self.wire.hang_up()
        else:
            self._armed = self.shape

    def heal(self) -> None:
        """What was wrong is over; a client that lost its patience gets another."""
        self._armed = None
        if self.shape.moment == "listen":
            self.wire.open()
        if self.shape.waits or self.shape.moment == "handshake":
            self.side, self.shape = "", Shape("nothing", lambda _: None, "")
            self.channel = self.open(PATIENT)

    def take(self, *moments: str) -> Shape | None:
        with self._lock:
            armed = self._armed
            if armed is None or armed.moment not in moments:
                return None
            self._armed = None
            return armed

    def _talk(self, connection: socket.socket, stopping: threading.Event) -> None:
        raise NotImplementedError


class HttpRig(Rig):
    yes: ClassVar[HttpReply]
    no: ClassVar[HttpReply]

    @classmethod
    def list_shapes(cls) -> list[Shape]:
        return [*http_shapes.list_shapes(), *http_statuses.list_shapes()]

    @property
    def url(self) -> str:
        scheme = "https" if self.shape.moment == "handshake" else "http"
        return f"{scheme}://127.0.0.1:{self.wire.port}"

    def describe_channel(self) -> dict[str, Any]:
        return {"api_base": self.url}

    def _talk(self, connection: socket.socket, stopping: threading.Event) -> None:
        talk = HttpTalk(connection, stopping, self.url, self.no, self.yes)
        if shape := self.take("connect", "handshake"):
            shape.play(talk)
            return
        held = b""
        while True:
            request, held = read_request(connection, held)
            shape = self.take("message") if request.startswith(b"POST ") else None
            self.tries += request.startswith(b"POST ")
            if shape is None:
                talk.say(pass_on(request, self.sandbox.port))
                continue
            if self.side == AFTER:
                talk.reply = pass_on(request, self.sandbox.port)
            shape.play(talk)


class SendgridRig(HttpRig):
    service, kind, sandbox_number = "sendgrid", "email", 1
    payload: ClassVar[dict[str, Any]] = {
        "subject": "Rain",
        "html": "",
        "language": "en",
        "date": "Mon, 23 Nov 2026 07:30:00 +0000",
    }
    yes = HttpReply(202, {"X-Message-Id": "never-1"})
    no = HttpReply(400, {}, json.dumps({"errors": [{"message": "a no", "field": None, "help": None}]}).encode())

    def word(self, number: int) -> dict[str, Any]:
        text = f"Story number {number}\n\n{LINK}{number}\n\nStop: {make_slot('unsubscribe_url')}\n"
        return {**self.payload, "text": text}


class TelegramRig(HttpRig):
    service, kind = "telegram", "telegram"
    payload: ClassVar[dict[str, Any]] = {
        "entities": [],
        "photo": "",
        "caption": False,
        "buttons": [],
        "preview_url": "",
        "silent": False,
    }
    _chat: ClassVar[dict[str, Any]] = {"id": -1001000000001, "type": "channel"}
    _result: ClassVar[dict[str, Any]] = {"message_id": 999_999, "date": 1, "chat": _chat}
    yes = HttpReply(200, {}, json.dumps({"ok": True, "result": _result}).encode())
    no = HttpReply(400, {}, json.dumps({"ok": False, "error_code": 400, "description": "Bad Request: no"}).encode())


class XRig(HttpRig):
    service, kind = "x", "x"
    payload: ClassVar[dict[str, Any]] = {}
    yes = HttpReply(201, {}, json.dumps({"data": {"id": "999999", "text": "Story"}}).encode())
    no = HttpReply(400, {}, json.dumps({"title": "No", "detail": "a no", "type": "about:blank"}).encode())

    def describe_sandbox(self) -> dict[str, Any]:
        return {"limit": 1_000_000}

    def describe_channel(self) -> dict[str, Any]:
        # What is signed names the host that is called, and that is the wire.
        self.sandbox.front = self.url
        return {"api_base": self.url}


class SmtpRig(Rig):
    service, kind = "smtp", "email"
    client = "pipelined"
    payload = SendgridRig.payload
    word = SendgridRig.word

    @classmethod
    def list_shapes(cls) -> list[Shape]:
        return smtp_shapes.list_shapes()

    def describe_sandbox(self) -> dict[str, Any]:
        if self.shape.login == "auth":
            return {"username": "news", "password": "sandbox-password"}
        return {"tls": "starttls", "certificate": self.certificate} if self.shape.login == "starttls" else {}

    def describe_channel(self) -> dict[str, Any]:
        entry: dict[str, Any] = {"port": self.wire.port, "connections": 1, "client": self.client}
        if self.shape.waits:
            entry["answer_timeout"] = IMPATIENT
        if self.shape.moment == "handshake":
            entry |= {"tls": "tls", "tls_ca": str(self.certificate)}
        return entry

    def _talk(self, connection: socket.socket, stopping: threading.Event) -> None:
        if shape := self.take("connect", "handshake"):
            shape.play(SmtpTalk(connection, stopping, "banner", b""))
            return
        Relay(connection, stopping, self.sandbox.port, self._take_play).run()

    def _take_play(self, stage: str) -> Any:
        self.tries += stage == "dot"
        armed = self._armed
        if armed is None or armed.stage != stage or (shape := self.take("message")) is None:
            return None
        return shape.play, self.side == AFTER


class PlainSmtpRig(SmtpRig):
    """The same through smtplib."""

    service, client = "smtp-plain", "plain"


RIGS: tuple[type[Rig], ...] = (SmtpRig, PlainSmtpRig, SendgridRig, TelegramRig, XRig)
#: Kind -> why its faults are not tried here.
NOT_COVERED: dict[str, str] = {}


@contextlib.contextmanager
def open_rig(make_rig: type[Rig], shape: Shape, side: str, certificate: Path) -> Iterator[Rig]:
    with contextlib.ExitStack() as stack:
        if shape.moment == "handshake" or shape.login == "starttls":
            stack.callback(forget_sockets)
        yield make_rig(stack, shape, side, certificate)


def forget_sockets() -> None:
    """CPython leaves a socket to the collector when the other side is gone before its handshake begins."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
