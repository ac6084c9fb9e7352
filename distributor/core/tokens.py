"""Tokens in readers' links: unforgeable, bound to a purpose, short enough for an unfolded mail header."""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from functools import lru_cache

_PERSON = b"distributor"
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
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
    mac = _begin(secret).copy()
    mac.update(data)
    # 12 octets are 16 letters without padding.
    return binascii.b2a_base64(mac.digest(), newline=False).translate(_URL_SAFE).decode("ascii")


@lru_cache(maxsize=4)
def _begin(secret: bytes) -> hashlib.blake2b:
    """Where all of a secret's tokens begin: a list has one for each reader."""
    return hashlib.blake2b(key=secret, digest_size=12, person=_PERSON)
