"""An email list: every reader gets a copy of an edition, through an SMTP relay or through SendGrid."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from html import escape
from typing import Any

from distributor.channels import Surroundings
from distributor.channels.email.compose import (
    CLIPPED_FROM,
    PARTS,
    compile_template,
    compose,
    encoded_size,
    view_page,
)
from distributor.channels.email.headers import encode_list_id, encode_mailbox, split_mailbox
from distributor.channels.email.segments import Letter, Letterhead, compile_letter, fill_slots
from distributor.channels.email.sendgrid import Bulk, SendgridTransport
from distributor.channels.email.settings import Settings
from distributor.channels.email.smtp import SmtpTransport
from distributor.channels.email.smtp_pipelined import PipelinedTransport
from distributor.core.contracts import Channel, Wire
from distributor.core.errors import MessageRefused, Unsupported
from distributor.core.message import (
    Content,
    Edition,
    Limits,
    Message,
    Outcome,
    Preview,
    Recipient,
    ServiceEvent,
)

#: Tries for life. Waits grow to an hour, so a relay may be away for some three hours.
ATTEMPTS = 8
_SMTP_BATCH = 1000
#: A relay's bounce comes within the hour; SendGrid's reports may lag (facts/reliability.md 3.3).
DECIDE_WITHIN = {"smtp": timedelta(hours=1), "sendgrid": timedelta(hours=2)}


class EmailChannel(Channel):
    """Mails to the members of one list.

    A copy is a join of bytes compiled once an edition: the same recipient gets the same bytes at every try,
    with the same Message-ID. SMTP keeps its connections between calls; SendGrid takes up to 1,000 readers a call.
    """

    kind = "email"
    medium = "email"

    def __init__(self, settings: Settings, around: Surroundings, now: Callable[[], float] = time.time) -> None:
        name, self.address = split_mailbox(settings.from_)
        self.name = settings.name
        self.list_name = settings.list_name
        self.parts: Mapping[str, Sequence[str]] = PARTS
        self._settings = settings
        self._language = around.site.language
        self._now = now
        self._head = _write_letterhead(settings, around, name, self.address)
        self._compiled: tuple[Edition, Letter | Bulk] | None = None
        self._transport: SmtpTransport | PipelinedTransport | SendgridTransport
        if settings.transport == "smtp":
            is_plain = settings.client == "plain"
            self._transport = SmtpTransport(settings) if is_plain else PipelinedTransport(settings)
        else:
            self._transport = SendgridTransport(settings, around.agent)
        batch = _SMTP_BATCH if settings.transport == "smtp" else settings.per_call
        within = settings.decide_within or DECIDE_WITHIN[settings.transport]
        self.limits = Limits(batch=batch, attempts=ATTEMPTS, decide_within=within.total_seconds())

    def compile_template(self, name: str, source: str) -> str:
        return compile_template(name, source)

    def compose(self, texts: Mapping[str, str], form: str) -> Content:
        return compose(texts, form, language=self._language)

    def send(self, messages: Sequence[Message], wire: Wire) -> list[Outcome]:
        if not messages:
            return []
        try:
            compiled = self._compile(messages[0].edition)
        except Unsupported as error:
            return _refuse_all(messages, wire, str(error))
        return self._transport.send(compiled, messages, wire)  # type: ignore[arg-type]

    def _compile(self, edition: Edition) -> Letter | Bulk:
        if self._compiled is None or self._compiled[0] != edition:
            if isinstance(self._transport, SendgridTransport):
                self._compiled = (edition, self._transport.compile(edition, self._head))
            else:
                self._compiled = (edition, compile_letter(edition, self._head))
        return self._compiled[1]

    def preview(self, content: Content, recipient: Recipient) -> Preview:
        """What the recipient would read; the unsubscribe link leads nowhere."""
        plain = {"name": recipient.name, "address": recipient.address, "unsubscribe_url": "#"}
        payload = content.payload
        size = -(-encoded_size(str(payload.get("html", ""))) // 1024)
        return Preview(
            title=fill_slots(str(payload["subject"]), plain),
            text=fill_slots(str(payload.get("text", "")), plain),
            html=_fill_html(str(payload.get("html", "")), plain),
            measure=f"{size} KB of {CLIPPED_FROM // 1024} KB",
            warnings=content.warnings,
        )

    def view(self, content: Content) -> str:
        return view_page(content.payload)

    def read_events(self, headers: Mapping[str, str], body: bytes) -> list[ServiceEvent]:
        """Events of SendGrid's signed webhook. Raises PermissionError for a report that is not proven."""
        if self._settings.transport != "sendgrid":
            return []
        if self._settings.webhook_key is None:
            raise PermissionError(f"channel {self.name} has no webhook_key, so no report can be believed")
        from distributor.channels.email.events import load_key, read_signed_events

        return read_signed_events(load_key(self._settings.webhook_key), headers, body, self._now())

    def check(self) -> list[str]:
        return self._transport.check()

    def close(self) -> None:
        self._transport.close()


def open_channel(settings: Any, around: Surroundings) -> Channel:
    """A channel ready to send; nothing is connected before the first message."""
    return EmailChannel(settings, around)


def _write_letterhead(settings: Settings, around: Surroundings, name: str, address: str) -> Letterhead:
    domain = address.rpartition("@")[2]
    return Letterhead(
        sender=encode_mailbox(name, address),
        domain=domain,
        reply_to=encode_mailbox(*split_mailbox(settings.reply_to)) if settings.reply_to else b"",
        list_id=encode_list_id(around.site.name, settings.list_name, domain),
        feedback_id=settings.feedback_id or "",
    )


def _refuse_all(messages: Sequence[Message], wire: Wire, why: str) -> list[Outcome]:
    outcomes: list[Outcome] = [MessageRefused(why) for _ in messages]
    for index, outcome in enumerate(outcomes):
        wire.settle(index, outcome)
    return outcomes


def _fill_html(text: str, values: Mapping[str, str]) -> str:
    return fill_slots(text, {name: escape(value) for name, value in values.items()})
