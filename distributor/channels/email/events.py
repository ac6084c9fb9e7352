"""What SendGrid's signed event webhook reports, proven over the raw bytes before anything is read."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from distributor.channels.email.sendgrid import DELIVERY_ARGUMENT
from distributor.core.message import ServiceEvent

SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"
#: The service repeats a report for up to 24 hours; an older one is a replay.
OLDEST = 26 * 3600.0
#: How far a sender's clock may run ahead of ours.
AHEAD = 600.0

_KINDS = {
    "delivered": "delivered",
    "bounce": "bounced",
    "dropped": "dropped",
    "spamreport": "complained",
    "unsubscribe": "unsubscribed",
    "group_unsubscribe": "unsubscribed",
}


def load_key(text: str) -> Any:
    """The verification key from SendGrid's settings page, bare base64 or PEM. Raises ValueError."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from sendgrid.helpers.eventwebhook import EventWebhook

    bare = "".join(re.sub(r"-----[A-Z ]+-----", "", text).split())
    try:
        key = EventWebhook().convert_public_key_to_ecdsa(bare)
    except ValueError:
        key = None
    if not isinstance(key, EllipticCurvePublicKey):
        raise ValueError("is not a verification key: copy it from SendGrid, Settings, Mail Settings, Event Webhook")
    return key


def read_signed_events(key: Any, headers: Mapping[str, str], body: bytes, now: float) -> list[ServiceEvent]:
    """Events of a report whose signature is right and young. Raises PermissionError otherwise."""
    lower = {name.lower(): value for name, value in headers.items()}
    signature, timestamp = lower.get(SIGNATURE, ""), lower.get(TIMESTAMP, "")
    if not _is_signed(key, signature, timestamp, body):
        raise PermissionError("the report is not signed with the webhook_key of this channel")
    if not -AHEAD <= now - float(timestamp) <= OLDEST:
        raise PermissionError("the report is too old, or a clock is wrong")
    return read_events(body)


def _is_signed(key: Any, signature: str, timestamp: str, body: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    try:
        decoded = base64.b64decode(signature, validate=True)
        key.verify(decoded, timestamp.encode("ascii") + body, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def read_events(body: bytes) -> list[ServiceEvent]:
    """The events of a proven report that change something; the others are left out."""
    try:
        items = json.loads(body)
    except ValueError:
        return []
    found = (_read_event(item) for item in items if isinstance(item, dict)) if isinstance(items, list) else ()
    return [event for event in found if event is not None]


def _read_event(item: dict[str, Any]) -> ServiceEvent | None:
    kind = _KINDS.get(str(item.get("event")))
    if kind is None:
        return None
    if kind == "bounced" and item.get("type") == "blocked":
        # A block is about our reputation or the content; the mailbox is there.
        kind = "blocked"
    address = str(item.get("email") or "")
    delivery = str(item.get(DELIVERY_ARGUMENT) or "")
    sent = str(item.get("sg_message_id") or "")
    at = _to_seconds(item.get("timestamp"))
    return ServiceEvent(
        kind=kind,
        # sg_event_id differs when the service repeats itself (sendgrid-nodejs#1435).
        key=f"{item['event']}:{delivery or address}:{at:.0f}:{sent}"[:300],
        at=at,
        receipt=sent.partition(".")[0],
        address=address,
        delivery_id=_to_delivery(delivery),
        detail=str(item.get("reason") or item.get("response") or "")[:300],
    )


def _to_seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _to_delivery(text: str) -> int | None:
    digits = text.partition(".")[0]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else None
