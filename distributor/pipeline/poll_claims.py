"""Which clock asks a source, where there are several: one at a time, and another one when the first is dead."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from distributor.core.source_state import SourceState

#: How long a process that lives may ask. A poll that takes longer may be made twice: one request too many, and the
#: stories are stored once.
POLL_CLAIM = timedelta(minutes=5)


class Presence(Protocol):
    """What can be seen of the processes on one database. Both may raise StorageError."""

    def renew(self) -> None: ...
    def has_gone(self, fence: str) -> bool: ...


class Sources(Protocol):
    """Where claims are written down."""

    def claim_poll(self, name: str, seen: SourceState, claimed: SourceState) -> bool: ...


class SignsOfLife(Protocol):
    def list_live(self, now: datetime) -> Collection[str]: ...


@dataclass(frozen=True)
class PollClaims:
    """Of the process with this fence. `addresses`: source -> its address in the settings. `is_steady`: whether this
    process may take others for dead by their signs of life."""

    fence: str
    addresses: Mapping[str, str]
    sources: Sources
    presence: Presence
    signs: SignsOfLife
    is_steady: Callable[[], bool]
    clock: Callable[[], datetime]

    def claim(self, name: str, state: SourceState) -> bool:
        """Whether this process asks the source now, and not another one. Raises StorageError."""
        # Who cannot be seen is taken for dead while it asks.
        self.presence.renew()
        now, known = self.clock(), state.for_address(self.addresses.get(name, ""))
        claimed = replace(known, next_poll_at=now + POLL_CLAIM, asked_at=now, claimed_by=self.fence)
        return self.sources.claim_poll(name, state, claimed)

    def is_left(self, state: SourceState) -> bool:
        """Whether the process that asks will not come back with an answer. Its own polls that are not running any
        more are among them: they ended without a word. Raises StorageError."""
        holder = state.claimed_by
        if not holder or holder == self.fence:
            return bool(holder)
        if self.presence.has_gone(holder):
            return True
        return self.is_steady() and holder not in self.signs.list_live(self.clock())
