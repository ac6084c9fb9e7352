"""What goes onto the wire and what comes back: Content, Message, Outcome, Limits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from distributor.core.errors import SendError

# A personal slot inside frozen content: SLOT_START + name + SLOT_END. Private-use characters survive MJML,
# Jinja2, HTML escaping and css-inline untouched, and `clean_text` keeps them out of story text.
SLOT_START = "\ue100"
SLOT_END = "\ue101"

#: The personal slots a recipient has: everything else in an edition is the same for all.
SLOT_NAMES = ("name", "address", "unsubscribe_url")


def make_slot(name: str) -> str:
    """The mark a template leaves where a recipient's own name, address or unsubscribe_url will stand."""
    return f"{SLOT_START}{name}{SLOT_END}"


@dataclass(frozen=True)
class Content:
    """What one edition says on one channel. `payload` is plain JSON data and is frozen with the edition.

    `warnings` are for the editor (near a size limit, an accidental link) and never stop a send.
    """

    payload: Mapping[str, Any]
    warnings: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Stable text: equal payloads give equal bytes."""
        return json.dumps(self.payload, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @property
    def hash(self) -> str:
        return hash_content(self.to_json())

    @classmethod
    def from_json(cls, text: str, warnings: Sequence[str] = ()) -> Content:
        return cls(json.loads(text), tuple(warnings))


@lru_cache(maxsize=4)  # asked for each batch of an edition
def hash_content(text: str) -> str:
    """Of a content's JSON text: 32 hex characters that differ when one byte does."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


# What there is one of for each reader is not frozen: that takes three times as long to make. Nobody changes it.


@dataclass(slots=True)
class Recipient:
    """Who one message is for. `id` is 0 on a channel with one voice (a chat, an account)."""

    id: int
    address: str
    name: str = ""


@dataclass(frozen=True)
class Edition:
    """The frozen content of one occurrence (or one post) for one channel.

    `token` is 16 unguessable hex characters, fixed when the edition is planned: Message-ID, view-in-browser.
    """

    id: int
    channel: str
    schedule: str
    form: str
    token: str
    content: Content


@dataclass(slots=True)
class Message:
    """One delivery's copy. All messages of one `send` call belong to the same edition."""

    delivery_id: int
    edition: Edition
    recipient: Recipient
    slots: Mapping[str, str] = field(default_factory=dict)
    attempt: int = 1


@dataclass(slots=True)
class Accepted:
    """The service took it. `receipt` is the service's own id for the message.

    `rest_until` (seconds since the epoch) when the service said that its window is used up until then.
    """

    receipt: str
    detail: str = ""
    rest_until: float | None = None


@dataclass(frozen=True, slots=True)
class NotStarted:
    """`Wire.start` said no (paused, stopping, suppressed meanwhile): no byte left, the delivery goes back."""


Outcome = Accepted | NotStarted | SendError


@dataclass(frozen=True, slots=True)
class Pace:
    """At most `count` messages in any `seconds` for everything that shares `key`; kept in the database."""

    key: str
    count: int
    seconds: float


def cap_key(channel_name: str) -> str:
    """Of the paces that are the channel's own caps, as opposed to those that its service asks for."""
    return f"cap:{channel_name}"


#: Seconds in which a person may decide about a message that perhaps went out, where a channel says nothing else.
DECIDE_WITHIN = 3600.0


@dataclass(frozen=True)
class Limits:
    """What a channel can carry.

    batch: messages per `send` call (1 for a single voice). attempts: outages after which one delivery is given up.
    paces: rate limits, shared across processes through the database. decide_within: seconds in which a person may
    decide about a message that perhaps went out; then it counts as `presumed` and is not sent again.
    """

    batch: int = 1
    attempts: int = 20
    paces: tuple[Pace, ...] = ()
    decide_within: float = DECIDE_WITHIN


@dataclass(frozen=True)
class Preview:
    """What one recipient would see. `html` is empty where the channel shows plain text only.

    `measure` is the length as the service counts it, for example "212 of 280".
    """

    title: str
    text: str
    html: str = ""
    measure: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServiceEvent:
    """Something a service reported after accepting: delivered, bounced, complained, unsubscribed.

    `key` makes a repeat recognisable; `receipt` or `address` says which delivery is meant.
    """

    kind: str
    key: str
    at: float
    receipt: str = ""
    address: str = ""
    delivery_id: int | None = None
    detail: str = ""
