"""Tokens in readers' links: unforgeable, bound to a purpose, short enough for an unfolded mail header."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

_PERSON = b"distributor"
_TOKEN = re.compile(r"(0|[1-9][0-9]{0,17})-(0|[1-9][0-9]{0,17})-(.+)")


def sign_unsubscribe(secret: bytes, subscriber_id: int, edition_id: int) -> str:
    """ "<subscriber>-<edition>-<mac>": names who leaves and because of what; good for ever, any number of times."""
    return f"{subscriber_id}-{edition_id}-{_mac(secret, subscriber_id, edition_id)}"


def read_unsubscribe(secret: bytes, token: str) -> tuple[int, int] | None:
    """(subscriber id, edition id), or None for a token that was never given out."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        return None
    subscriber_id, edition_id = int(found[1]), int(found[2])
    expected = _mac(secret, subscriber_id, edition_id)
    is_ours = hmac.compare_digest(expected.encode(), found[3].encode("utf-8", "replace"))
    return (subscriber_id, edition_id) if is_ours else None


def _mac(secret: bytes, subscriber_id: int, edition_id: int) -> str:
    data = b"unsubscribe:%d:%d" % (subscriber_id, edition_id)
    digest = hashlib.blake2b(data, key=secret, digest_size=12, person=_PERSON).digest()
    return base64.urlsafe_b64encode(digest).decode("ascii")
