"""The oracle: what the public of the sandboxes saw, against what the ledger says. It believes nobody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Where a delivery may end. Nothing in these runs is refused, so nothing may fail or be skipped.
ENDS = frozenset({"sent", "unknown", "presumed"})
Pair = tuple[str, str, str]


@dataclass
class Account:
    """What one run came to."""

    kills: int = 0
    deliveries: int = 0
    unknown: int = 0
    lost: list[Pair] = field(default_factory=list)
    twice: list[Pair] = field(default_factory=list)
    clicks: int = 0
    #: Anything that breaks a promise, lost and twice included, as sentences.
    violations: list[str] = field(default_factory=list)

    def add(self, other: Account) -> None:
        self.kills += other.kills
        self.deliveries += other.deliveries
        self.unknown += other.unknown
        self.clicks += other.clicks
        self.lost += other.lost
        self.twice += other.twice
        self.violations += other.violations


def settle_accounts(
    planned: Sequence[Pair], seen: Sequence[Pair], rows: Sequence[Any], kills: int, in_flight: Mapping[str, int]
) -> Account:
    """Compare what was to go out, what was seen and what the ledger says.

    A pair is (channel, address or "", title); a row has channel, title, address, state and may_duplicate.
    """
    account = Account(kills=kills, deliveries=len(planned))
    counts, wanted = Counter(seen), set(planned)
    states: dict[Pair, str] = {}
    flagged = set()
    for row in rows:
        pair = (row.channel, row.address or "", row.title)
        if pair in states:
            account.violations.append(f"{pair} stands in the ledger twice")
        states[pair] = row.state
        if row.may_duplicate:
            flagged.add(pair)
    account.unknown = sum(state in ("unknown", "presumed") for state in states.values())
    account.twice = sorted(pair for pair, count in counts.items() if count > 1 and pair not in flagged)
    account.lost = sorted(
        pair for pair in wanted - counts.keys() if states.get(pair) not in ("unknown", "presumed")
    )
    account.violations += [f"lost: {pair}, called {states.get(pair, 'nothing')}" for pair in account.lost]
    account.violations += [f"seen {counts[pair]} times: {pair}" for pair in account.twice]
    account.violations += [f"never planned: {pair}" for pair in sorted(counts.keys() - wanted)]
    account.violations += [f"planned twice or for nobody: {pair}" for pair in sorted(states.keys() - wanted)]
    account.violations += [
        f"{pair} is called {state}" for pair, state in sorted(states.items()) if state not in ENDS
    ]
    account.violations += list(check_unknown(states, kills, in_flight))
    return account


def check_unknown(states: Mapping[Pair, str], kills: int, in_flight: Mapping[str, int]) -> Sequence[str]:
    """A kill may leave as many deliveries unknown as there were requests on the wire, and no more."""
    unknown = Counter(pair[0] for pair, state in states.items() if state in ("unknown", "presumed"))
    return [
        f"{channel}: {count} unknown after {kills} kills, at most {in_flight[channel]} each were on the wire"
        for channel, count in unknown.items()
        if count > kills * in_flight[channel]
    ]
