"""Which story went where, when, and who came back: the newsroom's articles beside the product's own records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from distributor.core.reporting import EditionRow, LinkRow
from distributor.core.schedule import next_occurrence
from distributor.demo.newsroom.paper import Article
from distributor.pipeline.plan import Plan
from distributor.storage.post_rows import PostRow


@dataclass(frozen=True, slots=True)
class Cell:
    """One story on one schedule. `sent` of `audience` messages are out; `at` is when, or when it is due."""

    sent: int = 0
    audience: int = 0
    at: datetime | None = None
    people: int = 0
    others: int = 0
    trouble: str = ""
    warning: str = ""
    is_outdated: bool = False

    @property
    def is_out(self) -> bool:
        return 0 < self.audience == self.sent


@dataclass(frozen=True, slots=True)
class Row:
    """`cells` by schedule; a schedule that does not take the story is not in it."""

    article: Article
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the product's stores said at one moment."""

    posts: Sequence[PostRow] = ()
    editions: Sequence[EditionRow] = ()
    links: Sequence[LinkRow] = ()
    plans: Sequence[Plan] = ()
    deliveries: Mapping[tuple[str, str], int] = field(default_factory=dict)
    #: Channel -> why it was stopped.
    paused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Board:
    rows: Sequence[Row] = ()
    next_letter: datetime | None = None
    waiting: int = 0
    fewest: int = 1


def make_board(articles: Sequence[Article], site_url: str, snapshot: Snapshot, now: datetime) -> Board:
    """Newest story first; what was in the paper before the demo is left out."""
    by_address = {row.post.link: row for row in snapshot.posts}
    letter = next((plan for plan in snapshot.plans if plan.form == "digest"), None)
    due = next_occurrence(letter.name, letter.rule, now) if letter else None
    rows = []
    for article in articles:
        if article.story.when != "before":
            row = by_address.get(site_url + article.path)
            rows.append(Row(article, _make_cells(row, article, snapshot) if row else {}))
    waiting = sum(1 for row in rows if letter and (cell := row.cells.get(letter.name)) and not cell.audience)
    return Board(rows, due.due if due else None, waiting, letter.min_items if letter else 1)


def _make_cells(row: PostRow, article: Article, snapshot: Snapshot) -> dict[str, Cell]:
    editions = {edition.id: edition for edition in snapshot.editions}
    links = [link for link in snapshot.links if link.post_id == row.id]
    cells = {}
    for plan in snapshot.plans:
        if plan.matches(row.post):
            own = [link for link in links if link.schedule == plan.name and link.slot == "article"]
            edition = editions.get(own[0].edition_id or 0) if own else None
            held = f"held for the desk: {row.reason}" if row.status == "held" else ""
            cells[plan.name] = _make_cell(edition, links, article, snapshot) if edition else Cell(trouble=held)
    return cells


def _make_cell(edition: EditionRow, links: Sequence[LinkRow], article: Article, snapshot: Snapshot) -> Cell:
    followed = [link for link in links if link.edition_id == edition.id]
    at = edition.completed_at or edition.due_at
    is_stuck = edition.state in ("parked", "held") or edition.counts.get("failed") or edition.counts.get("unknown")
    paused = snapshot.paused.get(edition.channel) if edition.state != "complete" else None
    return Cell(
        sent=edition.counts.get("sent", 0),
        audience=edition.audience,
        at=at,
        people=sum(link.human for link in followed),
        others=sum(link.other for link in followed),
        trouble=(edition.reason or edition.state) if is_stuck else f"paused: {paused}" if paused else "",
        warning=next(iter(json.loads(edition.warnings or "[]")), ""),
        is_outdated=article.is_corrected and at < article.updated_at,
    )
