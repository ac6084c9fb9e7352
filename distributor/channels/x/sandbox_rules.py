"""What X checks in a request, what it says when it refuses one, and what it charges."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from distributor.channels.sandbox_server import Call
from distributor.channels.x.length import Span, find_urls

#: Dollars, price list of 2026-08-22.
PRICES = {
    "post": Decimal("0.015"),
    "post with url": Decimal("0.200"),
    "delete": Decimal("0.010"),
    "user read": Decimal("0.010"),
    "own post read": Decimal("0.001"),
}

#: Every field of TweetCreateRequest (openapi 2.167, additionalProperties: false).
_POST_FIELD_NAMES = """
    card_uri community_id direct_message_deep_link edit_options for_super_followers_only geo made_with_ai media
    nullcast paid_partnership poll quote_tweet_id reply reply_settings share_with_followers text
"""
_POST_FIELDS = frozenset(_POST_FIELD_NAMES.split())
_PROBLEMS = "https://api.twitter.com/2/problems/"

_HERE = re.compile(r"https?://(?:127\.0\.0\.1|localhost)(?::[0-9]+)?(?:/[^\s]*)?", re.IGNORECASE)

Refusal = tuple[int, dict[str, Any]]


def problem(kind: str, title: str, detail: str, status: int) -> dict[str, Any]:
    """A problem document; `kind` is the last part of its type."""
    named = kind if kind == "about:blank" else _PROBLEMS + kind
    return {"title": title, "detail": detail, "type": named, "status": status}


def _invalid(message: str) -> Refusal:
    detail = "One or more parameters to your request was invalid."
    listed = [{"parameters": {}, "message": message}]
    return 400, {"errors": listed, **problem("invalid-request", "Invalid Request", detail, 400)}


def _forbidden(detail: str, kind: str = "about:blank") -> Refusal:
    return 403, problem(kind, "Forbidden", detail, 403)


#: Scripted answers, by name: the status and the document.
REFUSALS: dict[str, Refusal] = {
    "refuse": _invalid("The request could not be processed"),
    "closed": (401, problem("about:blank", "Unauthorized", "Unauthorized", 401)),
    "busy": (429, problem("about:blank", "Too Many Requests", "Too Many Requests", 429)),
    "capped": (
        429,
        {
            "account_id": 1,
            "period": "Monthly",
            "scope": "Product",
            **problem("usage-capped", "UsageCapExceeded", "Usage cap exceeded: Monthly product cap", 429),
        },
    ),
    "duplicate": _forbidden("You are not allowed to create a Tweet with duplicate content."),
    "forbidden": _forbidden("You may not post this: the link was found to be harmful."),
    "suspended": _forbidden("Your account is suspended and is not permitted to access this feature."),
    "too-long": _forbidden("Your Tweet text is too long."),
    "no-credit": (
        402,
        problem(
            "credits",
            "CreditsDepleted",
            "Your enrolled account does not have any credits to fulfill this request.",
            402,
        ),
    ),
}


def find_links(text: str) -> list[Span]:
    """The links X would make, and those to this machine, where the demo's newsroom lives."""
    here = [Span(found.start(), found.end(), found.group()) for found in _HERE.finditer(text)]
    rest = [span for span in find_urls(text) if not any(one.start < span.end <= one.end for one in here)]
    return sorted([*here, *rest], key=lambda span: span.start)


def check_post(body: bytes) -> Refusal | None:
    """What is wrong with the JSON of a new post; None when X would look at its words."""
    try:
        data = json.loads(body)
    except ValueError:
        return _invalid("The body is not valid JSON")
    if not isinstance(data, dict):
        return _invalid("$: is not an object")
    for name in data:
        if name not in _POST_FIELDS:
            return _invalid(
                f"[$.{name}: is not defined in the schema and the schema does not allow additional properties]"
            )
    if not isinstance(data.get("text"), str):
        return _invalid("$.text: is missing or not a string")
    if not data["text"].strip():
        return _invalid("[$.text: must be at least 1 characters long]")
    return None


def check_signature(call: Call, url: str, keys: Mapping[str, str]) -> dict[str, Any] | None:
    """RFC 5849 HMAC-SHA1 over the address that was called; None when it is right."""
    header = call.headers.get("authorization", "")
    if not header.startswith("OAuth "):
        return problem("about:blank", "Unauthorized", "Unauthorized", 401)
    found = {name: unquote(value) for name, value in re.findall(r'(\w+)="([^"]*)"', header)}
    given = found.pop("oauth_signature", "")
    params = [*found.items(), *parse_qsl(call.query, keep_blank_values=True)]
    pairs = sorted((_escape(name), _escape(value)) for name, value in params)
    joined = "&".join(f"{name}={value}" for name, value in pairs)
    base = "&".join(map(_escape, (call.method, url + call.path, joined)))
    key = f"{_escape(keys['api_secret'])}&{_escape(keys['access_secret'])}"
    wanted = base64.b64encode(hmac.new(key.encode(), base.encode(), hashlib.sha1).digest()).decode()
    names = (found.get("oauth_consumer_key"), found.get("oauth_token"))
    if names != (keys["api_key"], keys["access_token"]) or not hmac.compare_digest(given, wanted):
        return {"errors": [{"code": 32, "message": "Could not authenticate you."}]}
    return None


def _escape(text: str) -> str:
    return quote(text, safe="~-._")
