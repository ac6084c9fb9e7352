"""What must be true of the database between two steps, whatever happened in them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from distributor.core.delivery import MOVES, TERMINAL, State
from distributor.storage import Storage
from tests.simulation.public import Public
from tests.simulation.world import World

#: Where a delivery that somebody saw may be without a person having taken a chance.
TRUE_ONCE_SEEN = frozenset({"claimed", "sending", "unknown", "sent", "presumed"})
DELIVERIES = (
    "SELECT d.id, d.edition_id, d.recipient_id, d.state, d.attempts, d.may_duplicate, e.list "
    "FROM delivery d JOIN edition e ON e.id = d.edition_id ORDER BY d.id"
)
EDITIONS = (
    "SELECT id, schedule, form, state, due_at, audience, sent, failed, skipped, presumed FROM edition ORDER BY id"
)


@cache
def find_reachable(state: State) -> frozenset[State]:
    """Every state that moves lead to, this one too."""
    found: set[State] = {state}
    while True:
        wider = found | {after for one in found for after in MOVES[one]}
        if wider == found:
            return frozenset(found)
        found = wider


@dataclass
class Oracle:
    """Compares the database with the step before, and with what the public saw."""

    world: World
    public: Public
    states: dict[int, State] = field(default_factory=dict)
    audiences: dict[int, set[int]] = field(default_factory=dict)
    checks: int = 0

    def check(self) -> None:
        self.checks += 1
        rows = self.public.database.look(DELIVERIES)
        by_edition: dict[int, list[Any]] = {}
        for row in rows:
            by_edition.setdefault(row[1], []).append(row)
            self._check_delivery(row)
        self.world.require(self.states.keys() <= {row[0] for row in rows}, "a delivery is gone")
        self.states = {row[0]: row[3] for row in rows}
        digests: Counter[tuple[str, float]] = Counter()
        for edition in self.public.database.look(EDITIONS):
            self._check_edition(edition, by_edition.get(edition[0], []))
            if edition[2] == "digest":
                digests[(edition[1], edition[4])] += 1
        doubled = [key for key, count in digests.items() if count > 1]
        self.world.require(not doubled, f"occurrences with more than one edition: {doubled}")

    def _check_delivery(self, row: Any) -> None:
        one, _, recipient, state, _, may_duplicate, _ = row
        before = self.states.get(one, "queued")
        is_move = state in find_reachable(before)
        self.world.require(is_move, f"delivery {one} went back from {before} to {state}")
        times = self.public.times_seen[one]
        if times and not may_duplicate:
            self.world.require(state in TRUE_ONCE_SEEN, f"delivery {one} was seen and is {state}")
            is_recorded = state != "claimed" or recipient != 0
            self.world.require(is_recorded, f"delivery {one} was seen and never was on record as sending")
        if state == "sent":
            is_known = bool(times) or one in self.public.vouched
            self.world.require(is_known, f"delivery {one} is sent and nobody saw it")
        if may_duplicate:
            self.world.require(self.public.resends[one] > 0, f"delivery {one} may be doubled and nobody decided so")

    def _check_edition(self, edition: Any, rows: list[Any]) -> None:
        number, _, _, state, _, audience, *sums = edition
        if state not in ("frozen", "complete"):
            self.world.require(not rows, f"edition {number} is {state} and has deliveries")
            return
        readers = {row[2] for row in rows}
        known = self.audiences.setdefault(number, readers)
        self.world.require(known == readers and len(rows) == audience, f"edition {number} changed its audience")
        is_over = all(row[3] in TERMINAL for row in rows)
        self.world.require(is_over == (state == "complete"), f"edition {number} is {state}, all over: {is_over}")
        if state == "complete":
            states = Counter(row[3] for row in rows)
            counted = [states[name] for name in ("sent", "failed", "skipped", "presumed")]
            self.world.require(counted == sums, f"edition {number} says {sums} and has {counted}")

    def note_audiences(self) -> None:
        """Right after wording: who is written to is who may be, and that is the audience from now on (I6)."""
        sentence = "SELECT id, list FROM edition WHERE state IN ('frozen', 'complete') ORDER BY id"
        for number, list_name in self.public.database.look(sentence):
            if number in self.public.audiences:
                continue
            rows = self.public.database.look(f"SELECT recipient_id FROM delivery WHERE edition_id = {int(number)}")
            readers = {row[0] for row in rows}
            self.public.audiences[number] = readers
            if list_name:
                barred = self.public.find_barred(number)
                everyone = {row[0] for row in self.public.database.look("SELECT id FROM subscriber")}
                self.world.require(
                    readers == everyone - barred, f"edition {number} is frozen for the wrong readers"
                )

    def check_shown(self, storage: Storage) -> None:
        """Every unknown is on the operator's list (I7)."""
        unknown = {one for one, state in self.states.items() if state == "unknown"}
        shown = {row.id for row in storage.reports.list_deliveries(state="unknown", limit=10_000)}
        counted = sum(n for (_, state), n in storage.reports.count_deliveries().items() if state == "unknown")
        self.world.require(unknown == shown and counted == len(shown), f"unknown are {unknown}, shown are {shown}")
        self.world.require(storage.reports.find_mismatches() == [], "an edition does not add up")
