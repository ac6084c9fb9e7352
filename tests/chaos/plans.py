"""Which boundaries are killed at, how often, and in which order: from what unharmed days and commands came by."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.child import Bomb
from tests.chaos.long_day import Pair, Plan

#: A boundary reached so often is also killed at in the middle.
OFTEN = 3
#: Pairs of kills in one day. Telegram takes 18 messages a minute, and stories must not wait for it.
A_DAY = 6


@dataclass(frozen=True)
class Known:
    """What an unharmed day of one scene came by: `trace` in the life that is killed, until it was told to stop at
    `ran`; `first` in its first life only, `others` in those that only clean up."""

    scene: str
    trace: Sequence[str]
    ran: int
    first: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()


def choose_bombs(trace: Sequence[str]) -> list[Bomb]:
    """The first time at each boundary of a trace, and a time in the middle of those that come often."""
    counts = Counter(trace)
    first = [Bomb(point) for point in counts]
    return first + [Bomb(point, count // 2 + 1) for point, count in counts.items() if count >= OFTEN]


def choose_pairs(
    known: Known, taken: set[str], recovery: Sequence[str], used: Counter[str], seed: int
) -> list[Pair]:
    """A pair for each boundary that is not `taken` by an earlier scene; the second kill is at a boundary of
    `recovery` that can still come after the first, the least used one."""
    bombs = [bomb for bomb in choose_bombs(known.trace) if bomb.point not in taken]
    bombs += [Bomb(point) for point in sorted((known.first | known.others) - taken - set(known.trace))]
    order = {point: at for at, point in reversed(list(enumerate(known.trace)))}
    start = set(recovery[: _find_start(recovery)])
    chance, pairs = random.Random(seed), []
    chance.shuffle(bombs)
    for bomb in bombs:
        at = order.get(bomb.point, 0)
        fitting = sorted(point for point in set(recovery) if point in start or order.get(point, at + 1) > at)
        least = min(used[point] for point in fitting)
        second = chance.choice([point for point in fitting if used[point] == least])
        used[second] += 1
        pairs.append(Pair(bomb, Bomb(second), at >= known.ran, bomb.point in known.first))
    return pairs


def make_plans(pairs: Mapping[str, Sequence[Pair]], seed: int) -> list[Plan]:
    """Days of some pairs each, in random order; later times of a boundary come last, so that a run that is
    cut short has seen most of the boundaries."""
    first, later = [], []
    for scene, some in pairs.items():
        heads = [pair for pair in some if pair.at_first]
        rest = [pair for pair in some if not pair.at_first and pair.first.nth == 1]
        while heads or rest:
            first.append(Plan(scene, (*heads[:1], *rest[:A_DAY])))
            heads, rest = heads[1:], rest[A_DAY:]
        again = [pair for pair in some if pair.first.nth > 1]
        later += [Plan(scene, tuple(again[at : at + A_DAY])) for at in range(0, len(again), A_DAY)]
    chance = random.Random(seed)
    chance.shuffle(first)
    chance.shuffle(later)
    return [*first, *later]


def try_again(plans: Iterable[Plan], missed: set[str], early: Bomb) -> list[Plan]:
    """Each boundary that nobody was killed at once more, in a day of its own and with more patience; one that only
    a recovery comes by after an `early` kill."""
    again = {}
    for plan in plans:
        for pair in plan.pairs:
            if pair.first.point in missed:
                once = Pair(Bomb(pair.first.point), None, pair.at_stop)
                again[pair.first.point] = Plan(plan.scene, (once, once), patience=2.0)
    for point in sorted(missed - again.keys()):
        again[point] = Plan("a day", (Pair(early, Bomb(point)),) * 2, patience=2.0)
    return list(again.values())


def _find_start(trace: Sequence[str]) -> int:
    """How many boundaries a life comes by before the first source is asked."""
    return next((at for at, point in enumerate(trace) if point.endswith(".fetch")), len(trace))
