"""Tracked links of an edition: their slugs follow from what they stand for, so wording twice mints once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from distributor.core.links import new_slug

_PERSON = b"distributor.link"


@dataclass(frozen=True, slots=True)
class MintedLink:
    """One tracked link: slug -> target, counted under edition, post and slot."""

    slug: str
    key: str
    target: str
    edition_id: int
    post_id: int | None
    slot: str


class Mint:
    """Makes the links of one edition and keeps them until they are frozen with it.

    The slug is a keyed hash of edition, post, slot and target: unguessable without the installation's secret,
    the same on every try.
    """

    def __init__(self, secret: bytes, public_url: str, edition_id: int) -> None:
        self._secret = secret
        self._prefix = f"{public_url.rstrip('/')}/l/"
        self._edition_id = edition_id
        self.links: dict[str, MintedLink] = {}

    def make(self, slot: str, target: str, post_id: int | None) -> str:
        """The short address that leads to `target`."""
        key = f"{self._edition_id}:{post_id or 0}:{slot}:{target}"
        digest = hashlib.blake2b(key.encode(), key=self._secret[:64], digest_size=16, person=_PERSON).digest()
        slug = new_slug(digest)
        self.links[key] = MintedLink(slug, key, target, self._edition_id, post_id, slot)
        return self._prefix + slug


@dataclass(frozen=True)
class Utm:
    """The campaign marks of one schedule on one channel, and those of links that readers share on."""

    own: Mapping[str, str]
    campaign: str

    def shared(self, network: str) -> dict[str, str]:
        return {"utm_source": network, "utm_medium": "share", "utm_campaign": self.campaign}
