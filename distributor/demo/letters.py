"""A received mail taken apart: its header lines and the address that its one-click unsubscribe posts to."""

from __future__ import annotations

import json
import re
from email import message_from_bytes, policy
from typing import Any

from distributor.core.sandbox import Sighting

Headers = list[tuple[str, str]]

_ADDRESS = re.compile(r"<(https?://[^>]+)>")


def read_headers(mail: Sighting) -> Headers:
    """As its reader's program would show them. What went to SendGrid's API is JSON, no mail yet."""
    if mail.raw.startswith(b"{"):
        return _read_call(json.loads(mail.raw), mail)
    parsed = message_from_bytes(mail.raw, policy=policy.default)
    return [(name, " ".join(str(value).split())) for name, value in parsed.items()]


def _read_call(call: dict[str, Any], mail: Sighting) -> Headers:
    own = next(one for one in call["personalizations"] if one["to"][0]["email"] == mail.recipient)
    to, sender = own["to"][0], call["from"]
    named = [(name, str(value)) for name, value in {**call.get("headers", {}), **own.get("headers", {})}.items()]
    return [
        ("From", _write_mailbox(sender)),
        ("To", _write_mailbox(to)),
        ("Subject", mail.subject),
        *named,
    ]


def _write_mailbox(entry: dict[str, str]) -> str:
    return f"{entry['name']} <{entry['email']}>" if entry.get("name") else entry["email"]


def find_header(mail: Sighting, wanted: str) -> str:
    return next((value for name, value in read_headers(mail) if name.lower() == wanted), "")


def find_unsubscribe(mail: Sighting) -> str:
    """Where one click posts to (RFC 8058); "" when the mail does not offer it."""
    if find_header(mail, "list-unsubscribe-post") != "List-Unsubscribe=One-Click":
        return ""
    found = _ADDRESS.search(find_header(mail, "list-unsubscribe"))
    return found[1] if found else ""
