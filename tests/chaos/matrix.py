"""The kill matrix: every boundary that a day or a command comes by, killed there the first time and a later time,
and again while it recovers."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.accounts import Account
from tests.chaos.child import Bomb
from tests.chaos.commands import ERRANDS
from tests.chaos.crew import Crew
from tests.chaos.errands import run_errand
from tests.chaos.long_day import Pair, Plan, live_day
from tests.chaos.plans import Known, choose_pairs, make_plans, try_again
from tests.chaos.scenes import SCENES
from tests.chaos.stage import Stage
from tests.chaos.walk import Walked

#: What `make test` kills at: one of each kind, three in one day. The long form kills at all.
SHORT = (
    (Bomb("posts.apply_poll committed"), Bomb("editions.freeze written", 4), Bomb("ledger.claim committed")),
    (Bomb("editions.add_edition committed", 5), Bomb("sendgrid.answered"), Bomb("smtp.body", 2)),
    (Bomb("x.body"), Bomb("telegram.answered"), Bomb("ledger.settle written")),
    (Bomb("telegram.request"), Bomb("send_journal.written", 2), Bomb("links.add_clicks committed")),
)
#: An early kill, after which nearly everything is still to be done: what the next life comes by is its recovery.
EARLY = Plan("a day", (Pair(Bomb("editions.add_edition committed", 2)),))


@dataclass
class Matrix:
    """What the runs on one house came to."""

    house: str
    account: Account = field(default_factory=Account)
    runs: int = 0
    #: Runs there would have been with time enough.
    planned: int = 0
    #: Kills while it recovered from another one.
    again: int = 0
    #: Boundaries somebody was killed at, and those that were seen.
    points: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def add(self, walked: Walked) -> None:
        self.runs += 1
        self.account.add(walked.account)
        self.again += walked.again
        self.faults += [f"{walked}: {one}" for one in walked.account.violations]
        self.points |= {bomb.point for bomb in walked.hits}
        self.seen |= {point for trace in walked.traces for point in trace}


class Runs:
    """The runs of one matrix, each told when it is over."""

    def __init__(self, crew: Crew, tell: Callable[[str], None], until: float) -> None:
        self._crew, self._tell, self._until = crew, tell, until
        self.matrix = Matrix(str(crew.house))

    def run(self, todo: Sequence[Any]) -> list[Walked]:
        """Nothing is begun after `until` (monotonic seconds)."""
        done = []
        self.matrix.planned += len(todo)
        for one in self._crew.run_all(do_one, todo, self._until):
            self.matrix.add(one)
            done.append(one)
            self._tell(_sentence(one))
        return done


def run_matrix(crew: Crew, seed: int, tell: Callable[[str], None], only: str, until: float) -> Matrix:
    """All of it on one house; `tell` hears of every run. `only` narrows the boundaries by a part of their name."""
    runs = Runs(crew, tell, until)
    scenes = [one.name for one in SCENES if crew.house.kind in one.kinds]
    days = runs.run([*(Plan(name) for name in scenes), EARLY])
    # Commands know no engine.
    is_local = not crew.house.engine
    errands = [(one.name, only) for one in ERRANDS if is_local and crew.house.kind in one.kinds]
    plans = plan_days(days, scenes, seed, only)
    tell(f"{crew.house}: {sum(len(plan.pairs) for plan in plans)} pairs of kills, {len(errands)} commands")
    first = [plan for plan in plans if plan.pairs[0].first.nth == 1]
    todo: list[Any] = [*errands, *first]
    random.Random(seed).shuffle(todo)
    runs.run(todo)
    missed = {point for point in runs.matrix.seen - runs.matrix.points if only in point}
    runs.run(try_again(plans, missed, EARLY.pairs[0].first))
    runs.run(plans[len(first) :])
    return runs.matrix


def plan_days(days: Iterable[Walked], scenes: Sequence[str], seed: int, only: str = "") -> list[Plan]:
    """From unharmed days, and one with an early kill, to days of kills."""
    by_name = {one.name: one for one in days if not one.bombs}
    recovery = next((one.traces[-1] for one in days if one.bombs and one.traces), [])
    taken: set[str] = set()
    used: Counter[str] = Counter()
    pairs: dict[str, list[Pair]] = {}
    for number, name in enumerate(scenes):
        if name in by_name and recovery:
            known = describe(by_name[name])
            found = choose_pairs(known, taken, recovery, used, seed + number)
            pairs[name] = [pair for pair in found if only in pair.first.point]
            taken |= {*known.trace, *known.first, *known.others}
    return make_plans(pairs, seed)


def describe(walked: Walked) -> Known:
    """The last life but one is the one that is killed later, the last one only cleans up."""
    first, *falls, traced, last = walked.traces
    later = {*traced, *last, *(point for one in falls for point in one)}
    return Known(walked.name, traced, walked.ran, frozenset(set(first) - later), frozenset(later - set(traced)))


def do_one(stage: Stage, todo: Any) -> Walked:
    """A day or a command; what breaks the test itself is a fault among the others and stops nobody."""
    try:
        return live_day(stage, todo) if isinstance(todo, Plan) else run_errand(stage, todo)
    except Exception as error:  # of the test, or of a command that it needs
        name = todo.scene if isinstance(todo, Plan) else todo[0]
        account = Account(violations=[f"it could not be played: {error!r}"[:2000]])
        return Walked(account, (Bomb("-"),), name=name)


def _sentence(walked: Walked) -> str:
    kills, seconds = walked.account.kills, walked.seconds
    duds = f"; not reached: {', '.join(map(str, walked.duds))}" if walked.duds else ""
    wrong = "".join(f"\n    WRONG: {one}" for one in walked.account.violations[:5])
    return f"  {walked.name}: {kills} kills, {walked.account.unknown} unknown, {seconds:.0f} s{duds}{wrong}"
