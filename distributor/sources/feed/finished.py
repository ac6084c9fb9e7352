"""Entries that were sanitised before are not sanitised again."""

from __future__ import annotations

import hashlib
import sys

from distributor.core.post import post_to_json
from distributor.sources.drafts import Draft, finish

#: Bytes of finished entries that are kept, the latest: those of some hundred feeds.
MOST = 8_000_000


class Finished:
    """Posts as JSON by the entry they came from. Not for two threads at once."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._size = 0
        self._texts: dict[bytes, str] = {}

    def finish(self, draft: Draft, source: str) -> str:
        """The post of an entry as JSON, "" for one that leads nowhere. Equal entries have equal posts."""
        key = hashlib.blake2b(repr((source, draft)).encode(), digest_size=16).digest()
        text = self._texts.pop(key, None)
        if text is None:
            post = finish(draft, source, "feed")
            text = post_to_json(post) if post else ""
            self._size += sys.getsizeof(text)
        self._texts[key] = text
        while self._size > self._most:
            self._size -= sys.getsizeof(self._texts.pop(next(iter(self._texts))))
        return text
