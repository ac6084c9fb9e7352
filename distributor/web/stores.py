"""What the web asks of the stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from distributor.core.message import ServiceEvent
from distributor.core.reporting import ChannelRow, ClickCount, EditionRow, GroupBy, NoticeRow, SourceRow


class Recipients(Protocol):
    def unsubscribe(self, subscriber_id: int, list_name: str, reason: str, now: datetime) -> bool: ...


class Editions(Protocol):
    def find_list(self, edition_id: int) -> str: ...


class Posts(Protocol):
    def load_sources(self) -> Mapping[str, SourceRow]: ...


class EventCount(Protocol):
    """What became of a report."""

    @property
    def new(self) -> int: ...
    @property
    def repeated(self) -> int: ...
    @property
    def unmatched(self) -> int: ...


class Events(Protocol):
    def add(self, channel_name: str, events: Sequence[ServiceEvent], now: datetime) -> EventCount: ...


class Health(Protocol):
    def find_problem(self) -> str: ...
    def count_editions(self) -> Mapping[tuple[str, str], int]: ...


class Reports(Protocol):
    def count_deliveries(self) -> Mapping[tuple[str, str], int]: ...
    def count_by_status(self) -> Mapping[str, int]: ...
    def count_clicks(
        self, by: GroupBy, *, since: datetime | None = None, edition_id: int | None = None, limit: int = 100
    ) -> Sequence[ClickCount]: ...
    def list_editions(
        self, *, limit: int = 50, state: str = "", channel_name: str = ""
    ) -> Sequence[EditionRow]: ...
    def list_channels(self) -> Mapping[str, ChannelRow]: ...
    def list_notices(self, limit: int = 50, level: str = "") -> Sequence[NoticeRow]: ...
    def find_mismatches(self) -> Sequence[int]: ...
    def oldest(self, state: str) -> datetime | None: ...


class Stores(Protocol):
    """The stores over one database, as far as pages need them."""

    @property
    def recipients(self) -> Recipients: ...
    @property
    def editions(self) -> Editions: ...
    @property
    def posts(self) -> Posts: ...
    @property
    def events(self) -> Events: ...
    @property
    def health(self) -> Health: ...
    @property
    def reports(self) -> Reports: ...
    @property
    def secret(self) -> bytes:
        """Signs unsubscribe links."""
