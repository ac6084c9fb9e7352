"""The report that `--once` prints: what went where, and who came back."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import shorten
from typing import Any

from distributor.core.sandbox import Sighting
from distributor.demo.proof import Expected, flatten
from distributor.demo.stage import Stage

_LONGEST = 62
_CHANNELS = {"telegram": "Telegram", "x": "X", "letter": "the letter", "harbour": "harbour alert"}
_SLOTS = {"article": "the story's own link", "share_x": "share button for X", "shared_x": "link shared on X"}

Row = Sequence[object]


def write_summary(
    expected: Sequence[Expected],
    stage: Stage,
    links: Sequence[dict[str, Any]],
    warnings: Sequence[str],
) -> str:
    """Two tables in plain text and what the desk was warned of. `links` are what `distributor links` prints."""
    tables = [*_write_deliveries(expected, stage), "", *_write_clicks(links)]
    return "\n".join([*tables, "", *(f"The desk was warned: {warning}." for warning in warnings)])


def _write_deliveries(expected: Sequence[Expected], stage: Stage) -> list[str]:
    rows: list[Row] = [("WHAT WENT WHERE", "Telegram", "X", "letter", "alert")]
    for one in expected:
        rows.append(
            (
                shorten(one.later_headline, _LONGEST, placeholder=" …"),
                _count(stage.telegram.seen, one.headline),
                _count(stage.x.seen, one.headline),
                _count(stage.smtp.seen, one.later_headline),
                sum(alert.subject == one.headline for alert in stage.sendgrid.seen) or "-",
            )
        )
    return _align(rows)


def _count(seen: Sequence[Sighting], headline: str) -> int:
    return sum(headline in flatten(sighting.text) for sighting in seen)


def _write_clicks(links: Sequence[dict[str, Any]]) -> list[str]:
    rows: list[Row] = [("WHO CAME BACK", "on", "by", "people", "others")]
    followed = [link for link in links if link["people"] or link["others"]]
    for link in sorted(followed, key=lambda one: (one["channel"], one["slot"])):
        headline = shorten(link["headline"], _LONGEST, placeholder=" …")
        place = _CHANNELS.get(link["channel"], link["channel"]), _SLOTS.get(link["slot"], link["slot"])
        rows.append((headline, *place, link["people"], link["others"]))
    sums = (sum(link["people"] for link in followed), sum(link["others"] for link in followed))
    return _align([*rows, ("together", "", "", *sums)])


def _align(rows: Sequence[Row]) -> list[str]:
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in texts) for column in range(len(texts[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in texts]
