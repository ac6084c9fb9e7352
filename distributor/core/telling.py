"""Whom was told what: each trouble once, again while it lasts, and its end. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from distributor.core.addresses import hide_addresses
from distributor.core.alerting import Trouble
from distributor.core.needs import describe_span

#: Most troubles that one message spells out; the others are counted.
MOST_TOLD = 20


@dataclass(frozen=True)
class KnownTrouble:
    """A trouble as it was written down. `told_at`: when somebody was last told, None when nobody was yet."""

    key: str
    text: str
    since: datetime
    told_at: datetime | None


@dataclass(frozen=True)
class Telling:
    """What has to be said now. `over` are troubles that somebody was told of and that have ended."""

    begun: tuple[Trouble, ...] = ()
    still: tuple[Trouble, ...] = ()
    over: tuple[KnownTrouble, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.begun or self.still or self.over)

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(one.key for one in (*self.begun, *self.still)) | {row.key for row in self.over}


@dataclass(frozen=True)
class Notice:
    """One message to whoever looks after the program: a line for the subject, plain text, and the same as data."""

    subject: str
    text: str
    data: Mapping[str, object]


def decide_telling(
    troubles: Sequence[Trouble], known: Mapping[str, KnownTrouble], now: datetime, again: timedelta
) -> Telling:
    """What is new or was never told and has lasted for its patience, what is told again, what is over.

    `known` is what is written down, the new ones too.
    """
    begun = tuple(one for one in troubles if _is_to_begin(one, known.get(one.key), now))
    still = tuple(
        one
        for one in troubles
        if (row := known.get(one.key)) and row.told_at is not None and now - row.told_at >= again
    )
    present = {one.key for one in troubles}
    over = tuple(row for key, row in sorted(known.items()) if key not in present and row.told_at is not None)
    return Telling(begun, still, over)


def _is_to_begin(one: Trouble, row: KnownTrouble | None, now: datetime) -> bool:
    if row is None:
        return not one.patience
    return row.told_at is None and now - row.since >= one.patience


def compose(telling: Telling, site: str, since: Mapping[str, datetime], now: datetime) -> Notice:
    """One message for everything that is to be said. It holds no reader's address and no secret."""
    parts = []
    for title, found in (("New", telling.begun), ("Still", telling.still)):
        lines = [_write(one, since, now) for one in found[:MOST_TOLD]]
        lines += [f"and {len(found) - MOST_TOLD} more: distributor status"] if len(found) > MOST_TOLD else []
        parts += [f"{title}:", *lines, ""] if lines else []
    if telling.over:
        parts += ["Over:", *(f"- {_flatten(row.text)}" for row in telling.over[:MOST_TOLD]), ""]
    told = [("begun", one) for one in telling.begun] + [("still", one) for one in telling.still]
    data: list[dict[str, object]] = [
        {"state": state, "key": one.key, "text": _flatten(one.text), "commands": list(one.commands)}
        for state, one in told
    ]
    data += [{"state": "over", "key": row.key, "text": _flatten(row.text), "commands": []} for row in telling.over]
    subject = _flatten(f"[{site}] {_sum_up(telling)}")
    text = "\n".join(parts).strip()
    return Notice(subject, text, {"text": f"{subject}\n{text}", "site": site, "alerts": data})


def _sum_up(telling: Telling) -> str:
    wrong = [*telling.begun, *telling.still]
    if not wrong:
        return "over: " + telling.over[0].text[:80] if len(telling.over) == 1 else f"{len(telling.over)} are over"
    return wrong[0].text[:100] if len(wrong) == 1 else f"{len(wrong)} things are wrong: {wrong[0].text[:80]}"


def _write(one: Trouble, since: Mapping[str, datetime], now: datetime) -> str:
    lines = [f"- {_flatten(one.text)}"]
    if one.key in since and now - since[one.key] >= timedelta(minutes=1):
        lines[0] += f" (for {describe_span(now - since[one.key])})"
    return "\n".join([*lines, *(f"    {command}" for command in one.commands)])


def _flatten(text: str) -> str:
    """Titles and services' answers are foreign text: one line, and without readers' addresses."""
    return hide_addresses(" ".join(text.split()))
