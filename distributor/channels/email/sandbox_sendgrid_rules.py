"""The documented rules of mail/send that our calls must keep (sendgrid-oai, mail-send/errors).

The sentences marked * are remembered in substance; the others are the service's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

LARGEST = 30 * 1024 * 1024
_ADDRESS = re.compile(r"[^@\s<>,;\x00-\x1f]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", re.ASCII)
# fmt: off
_KNOWN = frozenset((
    "personalizations", "from", "reply_to", "reply_to_list", "subject", "content", "attachments", "template_id",
    "headers", "categories", "custom_args", "send_at", "batch_id", "asm", "ip_pool_name", "mail_settings",
    "tracking_settings",
))
_KNOWN_PERSONAL = frozenset((
    "from", "to", "cc", "bcc", "subject", "headers", "substitutions", "dynamic_template_data", "custom_args",
    "send_at",
))
_RESERVED = frozenset((
    "x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding", "to", "from",
    "subject", "reply-to", "cc", "bcc",
))
# fmt: on
_TWICE = "Each unique email address in the personalizations array should only be included once. "


class Refusal(Exception):
    """The service says no to the whole call."""

    def __init__(self, sentence: str, field: str | None, status: int = 400) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.field = field
        self.status = status


def check_mail(body: bytes, bad: Collection[str]) -> dict[str, Any]:
    """The parsed call. Raises Refusal; `bad` are addresses that the service does not take."""
    if len(body) > LARGEST:
        raise Refusal("The JSON payload you have included in your request is too large.", None, 413)
    try:
        mail = json.loads(body)
    except ValueError:
        raise Refusal("Bad Request", None) from None
    if not isinstance(mail, dict) or (unknown := sorted(set(mail) - _KNOWN)):
        raise Refusal(f"Invalid parameter {unknown[0] if isinstance(mail, dict) else ''}", None)  # *
    _check_from(mail)
    _check_personalizations(mail.get("personalizations"), bad)
    _check_content(mail)
    return mail


def _check_from(mail: dict[str, Any]) -> None:
    sender = mail.get("from")
    if not isinstance(sender, dict) or not _is_address(sender.get("email")):
        raise Refusal("The from object must be provided for every email send. It is an object that requires the "
                      "email parameter, but may also contain a name parameter.", "from.email")  # fmt: skip
    if "reply_to" in mail and not _is_address(mail["reply_to"].get("email")):
        raise Refusal("The reply_to object, when used, must at least have an email parameter and may also contain "
                      "a name parameter.", "reply_to.email")  # fmt: skip


def _check_content(mail: dict[str, Any]) -> None:
    if not isinstance(mail.get("subject"), str) or not mail["subject"]:
        raise Refusal("The subject is required. You can get around this requirement if you use a template with a "
                      "subject defined or if every personalization has a subject defined.", "subject")  # fmt: skip
    content = mail.get("content")
    if not isinstance(content, list) or not content:
        raise Refusal("Unless a valid template_id is provided, the content parameter is required.", "content")
    for at, part in enumerate(content):
        if not isinstance(part.get("value"), str) or not part["value"]:
            raise Refusal(
                "The content value must be a string at least one character in length.", f"content.{at}.value"
            )
    order = [part.get("type") for part in content]
    if order != sorted(order, key=["text/plain", "text/html"].index):
        raise Refusal("If present, text/plain must be first, followed by text/html, followed by any other "
                      "content.", "content")  # fmt: skip


def _check_personalizations(items: Any, bad: Collection[str]) -> None:
    if not isinstance(items, list) or not items:
        raise Refusal("The personalizations field is required and must have at least one personalization.",
                      "personalizations")  # fmt: skip
    if len(items) > 1000:
        raise Refusal("The personalization block is limited to 1000 personalizations per API request. You have "
                      f"provided {len(items)} personalizations. Please consider splitting this into multiple "
                      "requests and resending your request.", "personalizations")  # fmt: skip
    known: set[str] = set()
    for at, item in enumerate(items):
        _check_personalization(item, f"personalizations.{at}", bad)
        for to in item["to"]:
            address = to["email"].lower()
            if address in known:
                raise Refusal(f"{_TWICE}You have included [{to['email']}] more than once.", "personalizations")
            known.add(address)
    if len(known) > 1000:
        raise Refusal("There is a limit of 1000 total recipients (to + cc + bcc) per request.", "personalizations")


def _check_personalization(item: dict[str, Any], where: str, bad: Collection[str]) -> None:
    if unknown := sorted(set(item) - _KNOWN_PERSONAL):
        raise Refusal(f"Invalid parameter {unknown[0]}", where)  # *
    to = item.get("to")
    if not isinstance(to, list) or not to:
        raise Refusal("The to array is required for all personalization objects, and must have at least one email "
                      "object with a valid email address.", f"{where}.to")  # fmt: skip
    for at, one in enumerate(to):
        if not _is_address(one.get("email")) or one["email"] in bad:
            raise Refusal("Does not contain a valid address.", f"{where}.to.{at}.email")
        if set(one.get("name", "")) & set(";,"):
            raise Refusal("The name may not contain a comma or a semicolon.", f"{where}.to.{at}.name")  # *
    _check_strings(item, "headers", where, _RESERVED)
    _check_strings(item, "substitutions", where)
    _check_strings(item, "custom_args", where)


def _check_strings(item: dict[str, Any], name: str, where: str, reserved: Collection[str] = ()) -> None:
    values = item.get(name, {})
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise Refusal(
            f"The {name} property must be an object of key/value pairs of strings.", f"{where}.{name}"
        )  # *
    if sum(len(key.encode()) + len(value.encode()) for key, value in values.items()) > 10_000:
        raise Refusal(f"The {name} may not exceed 10000 bytes.", f"{where}.{name}")  # *
    for key, value in values.items():
        if key.lower() in reserved:
            raise Refusal(f"The header {key} is reserved.", f"{where}.{name}.{key}")  # *
        if name == "headers" and not (value.isascii() and value.isprintable()):
            raise Refusal(
                "Headers must be encoded when they contain unicode characters.", f"{where}.{name}.{key}"
            )  # *


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and _ADDRESS.fullmatch(value) is not None
