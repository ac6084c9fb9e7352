"""What the status page shows, gathered from the stores, and what of it needs a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from distributor.core import needs
from distributor.core.needs import Need, Situation, count
from distributor.core.reporting import ClickCount, EditionRow, NoticeRow, ProcessRow
from distributor.pipeline.needs import gather_facts
from distributor.pipeline.plan import Forecast
from distributor.web.parts import ClickJournalState, WebParts

EDITION_DAYS = 3
CLICK_DAYS = 7


@dataclass(frozen=True)
class Overview(Situation):
    """Everything on the page: what may need a person, and what is good to know."""

    editions: Sequence[EditionRow] = ()
    channel_names: Sequence[str] = ()
    coming: Sequence[Forecast] = ()
    clicks: Sequence[ClickCount] = ()
    stories: Sequence[ClickCount] = ()
    readers_by_edition: Mapping[str, int] = field(default_factory=dict)
    journal: ClickJournalState = field(default_factory=ClickJournalState)
    notices: Sequence[NoticeRow] = ()
    processes: Sequence[ProcessRow] = ()


def gather(parts: WebParts, reasons: Mapping[str, str]) -> Overview:
    """Ask the stores. Raises StorageError."""
    now, reports = parts.clock(), parts.stores.reports
    since = now - timedelta(days=EDITION_DAYS)
    week = now - timedelta(days=CLICK_DAYS)
    newest = reports.list_editions(limit=60)
    by_edition = reports.count_clicks("edition", since=week, limit=1000)
    return Overview(
        now=now,
        reasons=reasons,
        **gather_facts(reports, parts.stores.posts),
        editions=[row for row in newest if row.due_at >= since or row.state in ("planned", "frozen")],
        channel_names=parts.channels,
        source_names=parts.sources,
        coming=parts.forecast(),
        clicks=reports.count_clicks("channel", since=week),
        stories=reports.count_clicks("post", since=week, limit=8),
        readers_by_edition={row.group: row.human for row in by_edition},
        journal=parts.journal(),
        notices=reports.list_notices(limit=20),
        processes=parts.stores.workers.list_all(now),
    )


def find_needs(view: Overview) -> list[Need]:
    """What waits for a person, the worst first. Pure."""
    found = needs.find_needs(view)
    if lost := view.journal.lost:
        found.append(Need("warning", f"{count(lost, 'click')} could not be written down and are lost."))
    return found
