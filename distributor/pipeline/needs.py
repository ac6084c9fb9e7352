"""Gathering what may need a person, for whoever shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from distributor.core.message import Limits, cap_key
from distributor.core.needs import Situation
from distributor.core.reporting import ChannelRow, EditionRow, HeldRow, SourceRow


class Reports(Protocol):
    """What is asked of the reports."""

    def count_deliveries(self) -> Mapping[tuple[str, str], int]: ...
    def count_by_status(self) -> Mapping[str, int]: ...
    def list_editions(
        self, *, limit: int = 50, state: str = "", channel_name: str = ""
    ) -> Sequence[EditionRow]: ...
    def list_channels(self) -> Mapping[str, ChannelRow]: ...
    def list_held(self, limit: int = 20) -> Sequence[HeldRow]: ...
    def find_deadlines(self) -> Mapping[str, datetime]: ...
    def find_mismatches(self) -> Sequence[int]: ...
    def oldest(self, state: str) -> datetime | None: ...


class Posts(Protocol):
    """What is asked of the stories."""

    def load_sources(self) -> Mapping[str, SourceRow]: ...


def gather_facts(reports: Reports, posts: Posts) -> dict[str, Any]:
    """The fields of a Situation that the database answers. Raises StorageError."""
    return {
        "deliveries": reports.count_deliveries(),
        "oldest": {state: reports.oldest(state) for state in ("queued", "held", "unknown")},
        "deadlines": reports.find_deadlines(),
        "held": reports.list_held(),
        "aside": [*reports.list_editions(limit=20, state="parked"), *reports.list_editions(limit=20, state="held")],
        "mismatches": reports.find_mismatches(),
        "channels": reports.list_channels(),
        "sources": posts.load_sources(),
        "held_posts": reports.count_by_status().get("held", 0),
    }


def read_situation(
    reports: Reports,
    posts: Posts,
    stamps: Mapping[str, Sequence[float]],
    limits: Mapping[str, Limits],
    source_names: Sequence[str],
    now: datetime,
) -> Situation:
    """Everything that may need a person. `stamps`: key of a pace -> when its last messages went."""
    capped = find_capped(limits, stamps, now)
    return Situation(now=now, capped=capped, source_names=source_names, **gather_facts(reports, posts))


def find_capped(
    limits: Mapping[str, Limits], stamps: Mapping[str, Sequence[float]], now: datetime
) -> dict[str, datetime]:
    """Channel -> when all its caps let the next message go, where one is used up."""
    found: dict[str, datetime] = {}
    for name, limit in limits.items():
        for pace in limit.paces:
            recent = sorted(t for t in stamps.get(pace.key, ()) if abs(now.timestamp() - t) < pace.seconds)
            if pace.key == cap_key(name) and len(recent) >= pace.count:
                free_at = datetime.fromtimestamp(recent[-pace.count] + pace.seconds, UTC)
                found[name] = max(found.get(name, free_at), free_at)
    return found
