"""The kill matrix: every boundary that a day comes by, killed there the first time and a later time, and again
while it recovers."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.accounts import Account
from tests.chaos.child import Bomb
from tests.chaos.crew import Crew
from tests.chaos.errands import ERRANDS, run_errand
from tests.chaos.stage import Stage
from tests.chaos.walk import Walked, walk

#: A boundary reached so often is also killed at in the middle.
OFTEN = 3

#: What `make test` kills at: one of each kind, three in one day. The long form kills at all.
SHORT = (
    (Bomb("posts.apply_poll committed"), Bomb("editions.freeze written", 4), Bomb("ledger.claim committed")),
    (Bomb("editions.add_edition committed", 5), Bomb("sendgrid.answered"), Bomb("smtp.body", 2)),
    (Bomb("x.body"), Bomb("telegram.answered"), Bomb("ledger.settle written")),
    (Bomb("telegram.request"), Bomb("send_journal.written", 2), Bomb("links.add_clicks committed")),
)


@dataclass
class Matrix:
    """What the runs on one house came to."""

    house: str
    account: Account = field(default_factory=Account)
    runs: int = 0
    #: Runs there would have been with time enough.
    planned: int = 0
    #: Boundaries somebody was killed at.
    points: set[str] = field(default_factory=set)
    duds: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def add(self, walked: Walked) -> None:
        self.runs += 1
        self.account.add(walked.account)
        self.faults += [f"{walked}: {one}" for one in walked.account.violations]
        self.duds += [f"{walked}: {bomb}" for bomb in walked.duds]
        self.points |= {bomb.point for bomb in walked.bombs if bomb not in walked.duds}


def choose_bombs(trace: Sequence[str]) -> list[Bomb]:
    """The first time at each boundary of a day, and a time in the middle of those that come often."""
    counts = Counter(trace)
    first = [Bomb(point) for point in counts]
    return first + [Bomb(point, count // 2 + 1) for point, count in counts.items() if count >= OFTEN]


def choose_second(walked: Iterable[Walked], seed: int) -> list[tuple[Bomb, Bomb]]:
    """For each run with one kill a second one at a boundary that its recovery came by, the least used first."""
    chance, used = random.Random(seed), Counter[str]()
    pairs = []
    for one in sorted(walked, key=str):
        recovery = sorted(set(one.traces[1])) if len(one.traces) > 1 else []
        if recovery and len(one.bombs) == 1 and not one.duds:
            least = min(used[point] for point in recovery)
            point = chance.choice([point for point in recovery if used[point] == least])
            used[point] += 1
            pairs.append((one.bombs[0], Bomb(point)))
    return pairs


def run_matrix(crew: Crew, seed: int, tell: Callable[[str], None], only: str, until: float) -> Matrix:
    """All of it on one house; `tell` hears of every run. `only` narrows the boundaries by a part of their name;
    nothing is begun after `until` (monotonic seconds)."""
    matrix = Matrix(str(crew.house))

    def run(work: Callable[[Stage, Any], Walked], todo: Sequence[Any]) -> list[Walked]:
        done = []
        matrix.planned += len(todo)
        for one in crew.run_all(work, todo, until):
            matrix.add(one)
            done.append(one)
            tell(_sentence(one))
        return done

    (dry,) = run(walk, [()])
    bombs = [bomb for bomb in choose_bombs(dry.traces[0]) if only in bomb.point]
    # A run that is cut short has then seen something of everything.
    random.Random(seed).shuffle(bombs)
    tell(f"{crew.house}: {len(set(dry.traces[0]))} boundaries in a day, {len(bombs)} kills")
    once = run(walk, [(bomb,) for bomb in bombs])
    run(walk, choose_second(once, seed))
    names = [one.name for one in ERRANDS if crew.house.kind in one.kinds]
    whole = run(run_errand, [(name, None) for name in names])
    run(
        run_errand,
        [(one.name, bomb) for one in whole for bomb in choose_bombs(one.traces[0]) if only in bomb.point],
    )
    return matrix


def _sentence(walked: Walked) -> str:
    state = "did not go off" if walked.duds else f"{walked.account.unknown} unknown, {walked.seconds:.1f} s"
    wrong = "".join(f"\n    WRONG: {one}" for one in walked.account.violations[:5])
    return f"  {walked}: {state}{wrong}"
