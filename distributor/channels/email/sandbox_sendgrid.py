"""SendGrid's v3 mail/send on 127.0.0.1: its rules and sentences, and every mail as its reader sees it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from functools import cached_property
from types import TracebackType
from typing import Any

from distributor.channels.email.sandbox_mail import find_image, find_links
from distributor.channels.email.sandbox_sendgrid_rules import Refusal, check_mail
from distributor.channels.sandbox_server import WIRE_ANSWERS, Call, Reply, ScriptedServer
from distributor.core.sandbox import Sighting

API_KEY = "SG.sandbox-key-of-no-real-account"
_HELP = "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#message."

_SENTENCES: dict[str, tuple[int, str, str | None]] = {
    "busy": (429, "too many requests", None),
    "refuse": (400, "The subject is required. You can get around this requirement if you use a template with a "
        "subject defined or if every personalization has a subject defined.", "subject"),
    "gone": (400, "Does not contain a valid address.", "personalizations.0.to.0.email"),
    "closed": (401, "The provided authorization grant is invalid, expired, or revoked", None),
    "not-verified": (403, "The from address does not match a verified Sender Identity. Mail cannot be sent until "
        "this error is resolved.", "from"),
    "no-index": (400, "Bad Request", None),
    "too-large": (413, "The JSON payload you have included in your request is too large.", None),
}  # fmt: skip


class SendgridSandbox:
    """One account. Beside the answers that every sandbox knows, `script` takes "not-verified", "no-index",
    "too-large" and "no-id" (202 without a message id).
    """

    kind = "email"

    def __init__(self, port: int = 0, *, api_key: str = API_KEY, clock: Callable[[], float] = time.time) -> None:
        self.api_key = api_key
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: list[Sighting] = []
        self._bad: set[str] = set()
        self._count = 0
        #: The body of every call that reached the service whole and with the right key.
        self.calls: list[bytes] = []
        self._server = ScriptedServer(port, self._answer, lambda call: call.path == "/v3/mail/send")

    @property
    def port(self) -> int:
        return self._server.port

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def __enter__(self) -> SendgridSandbox:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def settings(self) -> dict[str, Any]:
        """A channel entry for the configuration, pointed here."""
        return {
            "kind": self.kind,
            "transport": "sendgrid",
            "api_key": self.api_key,
            "api_base": f"http://127.0.0.1:{self.port}",
            "from": "The Daily Example <news@example.org>",
            "list": "readers",
        }

    def script(self, *answers: str) -> None:
        """What the next calls get, one each; then normal again. An outage lasts until the next `script`."""
        for answer in answers:
            if answer not in {"accept", "no-id", *_SENTENCES, *WIRE_ANSWERS}:
                raise ValueError(f"this sandbox has no answer called {answer!r}")
        self._server.script(*answers)

    def refuse_address(self, address: str) -> None:
        """From now on a call that holds this address is refused whole, as the service does."""
        self._bad.add(address)

    @property
    def seen(self) -> list[Sighting]:
        """One sighting a reader, oldest first; `raw` is the call it came in."""
        with self._lock:
            return list(self._seen)

    @cached_property
    def _signing_key(self) -> Any:
        from cryptography.hazmat.primitives.asymmetric import ec

        return ec.generate_private_key(ec.SECP256R1())

    @property
    def webhook_key(self) -> str:
        """What the operator would copy from the settings page for signed reports."""
        from base64 import b64encode

        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        public = self._signing_key.public_key()
        return b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()

    def sign_report(self, events: list[dict[str, Any]]) -> tuple[dict[str, str], bytes]:
        """Headers and body of an event webhook call, as the service would post it now."""
        from base64 import b64encode

        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        body = json.dumps(events).encode() + b"\r\n"
        timestamp = str(int(self._clock()))
        signature = self._signing_key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        headers = {
            "X-Twilio-Email-Event-Webhook-Signature": b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
            "Content-Type": "application/json",
        }
        return headers, body

    def _answer(self, call: Call, name: str) -> Reply:
        if call.headers.get("authorization") != f"Bearer {self.api_key}":
            return self._refuse(401, "The provided authorization grant is invalid, expired, or revoked", None)
        if (call.method, call.path) == ("GET", "/v3/scopes"):
            return Reply(200, json.dumps({"scopes": ["mail.send"]}).encode(), self._head())
        if (call.method, call.path) != ("POST", "/v3/mail/send"):
            return self._refuse(404, "not found", None)
        if call.headers.get("content-type") != "application/json":
            return self._refuse(415, "Content-Type should be application/json.", None)
        with self._lock:
            self.calls.append(call.body)
        if name in _SENTENCES:
            return self._refuse(*_SENTENCES[name])
        try:
            mail = check_mail(call.body, self._bad)
        except Refusal as refusal:
            return self._refuse(refusal.status, refusal.sentence, refusal.field)
        receipt = self._deliver(mail, call.body)
        return Reply(202, b"", self._head() | ({} if name == "no-id" else {"X-Message-Id": receipt}), "text/plain")

    def _deliver(self, mail: dict[str, Any], raw: bytes) -> str:
        with self._lock:
            self._count += 1
            receipt = f"sandbox-{self._count:06d}"
            for one in mail["personalizations"]:
                self._seen += [self._sight(mail, one, to["email"], receipt, raw) for to in one["to"]]
            return receipt

    def _sight(self, mail: dict[str, Any], one: dict[str, Any], address: str, receipt: str, raw: bytes) -> Sighting:
        values = one.get("substitutions", {})
        parts = {part["type"]: _substitute(part["value"], values) for part in mail["content"]}
        page, text = parts.get("text/html", ""), parts.get("text/plain", "")
        return Sighting(
            at=self._clock(),
            recipient=address,
            text=text,
            html=page,
            subject=_substitute(one.get("subject") or mail["subject"], values),
            image=find_image(page),
            links=find_links(page, text),
            receipt=receipt,
            raw=raw,
        )

    def _head(self) -> dict[str, str]:
        return {"Date": formatdate(self._clock(), usegmt=True)}

    def _refuse(self, status: int, sentence: str, field: str | None) -> Reply:
        error = {"message": sentence, "field": field, "help": _HELP + field if field else None}
        headers = self._head()
        if status == 429:
            headers |= {"X-RateLimit-Limit": "600", "X-RateLimit-Remaining": "0"}
            headers["X-RateLimit-Reset"] = str(int(self._clock()) + 2)
        return Reply(status, json.dumps({"errors": [error]}).encode(), headers)


def _substitute(text: str, values: Mapping[str, str]) -> str:
    for tag, value in values.items():
        text = text.replace(tag, value)
    return text
