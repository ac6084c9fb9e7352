"""What the product knows, read from its database through its own stores: deliveries, editions, links, clicks."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from distributor.app import App, open_app, read_settings
from distributor.core.reporting import ClickCount, GroupBy, LinkRow
from distributor.demo.board import Snapshot

T = TypeVar("T")

#: More than any demo gets to.
_ALL = 100_000


class Readings:
    """Questions only. Opens the database at the first of them: by then the product has made it. Thread-safe."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._app: App | None = None

    def close(self) -> None:
        with self._lock:
            if self._app is not None:
                self._app.close()
                self._app = None

    def _ask(self, question: Callable[[App], T]) -> T:
        with self._lock:
            if self._app is None:
                self._app = open_app(read_settings(self._config, {}))
            return question(self._app)

    def revisions(self) -> dict[str, int]:
        """Address of each known story -> number of its newest revision."""
        rows = self._ask(lambda app: app.storage.posts.list_recent(1000))
        return {row.post.link: row.revision for row in rows}

    def post_ids(self) -> dict[str, int]:
        """Address of each known story -> its number."""
        return {row.post.link: row.id for row in self._ask(lambda app: app.storage.posts.list_recent(1000))}

    def links(self) -> list[LinkRow]:
        return self._ask(lambda app: app.storage.reports.list_links(limit=_ALL))

    def clicks(self, by: GroupBy) -> list[ClickCount]:
        return self._ask(lambda app: app.storage.reports.count_clicks(by, limit=_ALL))

    def deliveries(self) -> dict[str, int]:
        """State -> how many deliveries are in it, where there are any."""
        states: Counter[str] = Counter()
        for (_, state), number in self._ask(lambda app: app.storage.reports.count_deliveries()).items():
            states[state] += number
        return dict(+states)

    def list_open(self) -> list[str]:
        """Editions that still have something to do."""
        rows = self._ask(lambda app: app.storage.reports.list_editions(limit=_ALL))
        return [f"{row.channel}: {row.title}" for row in rows if row.state in ("planned", "frozen")]

    def members(self, list_name: str) -> int:
        return self._ask(lambda app: app.storage.reports.count_members(list_name))

    def warnings(self) -> list[str]:
        """What the desk was told about the words of its editions, each sentence once."""
        texts = [json.loads(edition.warnings or "[]") for edition in self.take_snapshot().editions]
        return sorted({sentence for sentences in texts for sentence in sentences})

    def take_snapshot(self) -> Snapshot:
        """Everything a page needs, in one go."""
        return self._ask(_take_snapshot)


def _take_snapshot(app: App) -> Snapshot:
    reports = app.storage.reports
    return Snapshot(
        posts=app.storage.posts.list_recent(1000),
        editions=reports.list_editions(limit=_ALL),
        links=reports.list_links(limit=_ALL),
        plans=app.plans,
        deliveries=reports.count_deliveries(),
        paused=app.storage.decisions.list_paused(),
    )
