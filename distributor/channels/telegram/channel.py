"""Posts to one Telegram chat or channel through a bot.

A template (each.html, digest.html) is ordinary HTML, turned into text and entities, plus four tags:

- `<tg-photo src="URL">`: the lead image. The words become its caption when they fit into 1,024 characters,
  or can be cut to that; else the image stays away and the link preview stands in for it.
- `<tg-preview href="URL">`: the page whose preview is shown under a text without a photo: the story's own
  page, while the links in the text are the counted ones. Without this tag there is no preview.
- `<tg-button href="URL">Read</tg-button>`: a button under the message, in a row of its own...
- `<tg-row>...</tg-row>`: ...or side by side with the others of its row.

Words inside the `fit` filter are shortened when the message is too long. Every tag needs its end tag except
tg-photo and tg-preview; one with an empty address is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from distributor.channels.fields import list_caps
from distributor.channels.telegram.answers import ImageRefused, read_answer, read_result, redact
from distributor.channels.telegram.compose import compose_payload
from distributor.channels.telegram.preview import draw_preview
from distributor.core.contracts import Channel, Wire
from distributor.core.errors import Outage, Unknown
from distributor.core.message import (
    Accepted,
    Content,
    Limits,
    Message,
    NotStarted,
    Outcome,
    Pace,
    Preview,
    Recipient,
)

if TYPE_CHECKING:
    from distributor.channels import Surroundings
    from distributor.channels.telegram.client import Client, Exchange
    from distributor.channels.telegram.settings import Settings


def open_channel(settings: Settings, around: Surroundings) -> Channel:
    return TelegramChannel(settings)


class TelegramChannel(Channel):
    """One chat, one bot, one event loop: one thread owns it. Nothing connects before the first call."""

    kind = "telegram"

    def __init__(self, settings: Settings) -> None:
        self.name = settings.name
        self.address = settings.chat
        self.parts = {"each": ("each.html",), "digest": ("digest.html",)}
        self._settings = settings
        self._token = settings.token.get_secret_value()
        self._proxy = settings.proxy.get_secret_value() if settings.proxy else None
        self._client: Client | None = None
        paces = _list_paces(self._token, settings.chat)
        caps = list_caps(settings.name, settings.cap, settings.cap_per_day)
        self.limits = Limits(paces=(*paces, *caps), decide_within=settings.decide_within.total_seconds())

    def compose(self, texts: Mapping[str, str], form: str) -> Content:
        (name,) = self.parts[form]
        return compose_payload(texts[name], is_silent=self._settings.silent)

    def send(self, messages: Sequence[Message], wire: Wire) -> list[Outcome]:
        outcomes = []
        for index, message in enumerate(messages):
            outcome = self._send_one(index, message, wire)
            wire.settle(index, outcome)
            outcomes.append(outcome)
        return outcomes

    def preview(self, content: Content, recipient: Recipient) -> Preview:
        return draw_preview(content)

    def check(self) -> list[str]:
        """Whether the token is good, the chat is known, and the bot may post there."""
        me = self._ask("get_me", {})
        if isinstance(me, str):
            return [me]
        chat = self._ask("get_chat", {"chat_id": self.address})
        if isinstance(chat, str):
            return [chat]
        member = self._ask("get_chat_member", {"chat_id": self.address, "user_id": me.get("id")})
        if isinstance(member, str):
            return [member]
        problem = _find_missing_right(chat, member)
        return [f"channel {self.name}: @{me.get('username')} {problem} in {self.address}"] if problem else []

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _send_one(self, index: int, message: Message, wire: Wire) -> Outcome:
        payload = dict(message.edition.content.payload)
        chat = message.recipient.address or self.address
        outcome = self._post(payload, chat, index, wire)
        if not isinstance(outcome, ImageRefused):
            return outcome
        # An explicit no: nothing was posted, so the same words may go out without their image.
        second = self._post({**payload, "photo": ""}, chat, index, wire)
        if isinstance(second, Accepted):
            return replace(second, detail=f"posted without its image: {outcome.detail}")
        return second

    def _post(self, payload: Mapping[str, Any], chat: str, index: int, wire: Wire) -> Outcome:
        from distributor.channels.telegram.client import make_fields

        method, fields = list_fields(payload, chat)
        exchange = self._open_client().call(method, make_fields(fields), lambda: wire.start([index]))
        return self._judge(exchange)

    def _judge(self, exchange: Exchange) -> Outcome:
        if exchange.is_withheld:
            return NotStarted()
        if exchange.status:
            return read_answer(exchange.status, exchange.body, self._secrets)
        reason = redact(exchange.reason, self._secrets)
        if exchange.is_provably_unsent:
            return Outage("Telegram cannot be reached; nothing was posted", reason)
        return Unknown("the connection to Telegram broke before an answer: it may have been posted", reason)

    def _ask(self, method: str, fields: dict[str, Any]) -> dict[str, Any] | str:
        """What a question is answered with, or a sentence about what is wrong."""
        exchange = self._open_client().call(method, fields)
        found = read_result(exchange.status, exchange.body, self._secrets) if exchange.status else None
        if found is None:
            found = f"no answer from {self._settings.api_base} ({redact(exchange.reason, self._secrets)})"
        return f"channel {self.name}: {found}" if isinstance(found, str) else found

    def _open_client(self) -> Client:
        if self._client is None:
            from distributor.channels.telegram.client import Client

            self._client = Client(self._token, self._settings.api_base, self._settings.timeout, self._proxy)
        return self._client

    @property
    def _secrets(self) -> tuple[str, ...]:
        return (self._token, quote(self._token, safe=""), self._proxy or "")


def list_fields(payload: Mapping[str, Any], chat: str) -> tuple[str, dict[str, Any]]:
    """The method and its fields for a frozen payload, as plain data. Equal payloads give equal bytes."""
    fields: dict[str, Any] = {"chat_id": chat}
    if payload["silent"]:
        fields["disable_notification"] = True
    if payload["buttons"]:
        fields["reply_markup"] = payload["buttons"]
    if payload["photo"]:
        words = {"photo": payload["photo"], "caption": payload["text"], "caption_entities": payload["entities"]}
        return "send_photo", fields | words
    url = payload["preview_url"]
    fields["link_preview_options"] = {"url": url, "prefer_large_media": True} if url else {"is_disabled": True}
    return "send_message", fields | {"text": payload["text"], "entities": payload["entities"]}


def _list_paces(token: str, chat: str) -> tuple[Pace, ...]:
    """1 a second per chat, 20 a minute per channel or group, 30 a second per bot (Bot FAQ), with some air.

    A key is public to whoever reads the database: it holds a hash of the token.
    """
    bot = "telegram:" + hashlib.blake2b(token.encode(), digest_size=8).hexdigest()
    # A little over a second: Telegram measures at its end, and two messages may travel at different speeds.
    paces = [Pace(bot, 25, 1.0), Pace(f"{bot}:{chat.lower()}", 1, 1.2)]
    if chat.startswith(("@", "-")):
        paces.append(Pace(f"{bot}:{chat.lower()}:minute", 18, 60.0))
    return tuple(paces)


def _find_missing_right(chat: Mapping[str, Any], member: Mapping[str, Any]) -> str:
    status = member.get("status")
    if status in ("left", "kicked"):
        return "is not a member; add it as an administrator with the right to post"
    if chat.get("type") == "channel" and status != "creator" and not member.get("can_post_messages"):
        return "may not post; make it an administrator with the right to post messages"
    if status == "restricted" and not member.get("can_send_messages"):
        return "may not write; lift its restriction"
    return ""
