"""Tokens in readers' links: unforgeable, bound to a purpose, short enough for an unfolded mail header."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

_PERSON = b"distributor"
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


def sign_unsubscribe(secret: bytes, subscriber_id: int, edition_id: int) -> str:
    """ "<subscriber>-<edition>-<mac>": names who leaves and because of what; good for ever, any number of times."""
    return f"{subscriber_id}-{edition_id}-{_mac(secret, subscriber_id, edition_id)}"


def read_unsubscribe(secret: bytes, token: str) -> tuple[int, int] | None:
    """(subscriber id, edition id), or None for a token that was never given out."""
    parts = token.split("-", 2)
    if len(parts) != 3 or not (
        parts[0].isascii() and parts[0].isdigit() and parts[1].isascii() and parts[1].isdigit()
    ):
        return None
    if len(parts[0]) > 18 or len(parts[1]) > 18:
        return None
    subscriber_id, edition_id = int(parts[0]), int(parts[1])
    expected = _mac(secret, subscriber_id, edition_id)
    is_ours = hmac.compare_digest(expected.encode(), parts[2].encode("utf-8", "replace"))
    return (subscriber_id, edition_id) if is_ours else None


def _mac(secret: bytes, subscriber_id: int, edition_id: int) -> str:
    data = b"unsubscribe:%d:%d" % (subscriber_id, edition_id)
    digest = hashlib.blake2b(data, key=secret, digest_size=12, person=_PERSON).digest()
    return base64.urlsafe_b64encode(digest).decode("ascii")
