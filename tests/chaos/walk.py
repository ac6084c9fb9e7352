"""The whole walk of a day under kills: two stories and a weekly letter, four services, twelve readers, clicks."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.accounts import Account, Pair, settle_accounts
from tests.chaos.child import Bomb
from tests.chaos.nursery import Life
from tests.chaos.stage import FEW, LETTER, PATIENCE, REFUSED, ROUND, Stage
from tests.chaos.visitors import Visitors

STORIES = 2
#: How long a start is tried again while the dead holder's lock is still there.
STARTING = 60.0


@dataclass
class Walked:
    """One run: its account, and the boundaries that each life came by."""

    account: Account
    bombs: tuple[Bomb, ...]
    traces: list[list[str]] = field(default_factory=list)
    #: Bombs that went off.
    hits: list[Bomb] = field(default_factory=list)
    #: How many of them while it recovered from another one.
    again: int = 0
    #: Bombs whose boundary was never reached.
    duds: list[Bomb] = field(default_factory=list)
    seconds: float = 0.0
    name: str = "a day"
    #: How many boundaries the last life had come by when it was told to stop.
    ran: int = 0

    def __str__(self) -> str:
        return f"{self.name}: " + (" then ".join(map(str, self.bombs)) or "no kill")


def walk(stage: Stage, bombs: Sequence[Bomb], roles: str = "web,clock,worker") -> Walked:
    """From a fresh stage to the end of the day, killed at each bomb in turn, the last life unharmed."""
    began = time.monotonic()
    stage.fresh()
    marks, titles = stage.mark(), [*stage.publish(STORIES), LETTER]
    walked = Walked(Account(), tuple(bombs))
    slugs = [row[0] for row in stage.ask("SELECT slug FROM link ORDER BY id")]
    kills = 0
    with Visitors(stage.port, slugs) as visitors:
        for number, bomb in enumerate((*bombs, None)):
            trace = stage.folder / f"trace-{number}"
            life = live(stage, bomb, titles, roles, trace)
            walked.traces.append(trace.read_text().splitlines() if trace.exists() else [])
            kills += life.is_killed
            if bomb is not None:
                (walked.hits if life.is_killed else walked.duds).append(bomb)
            if not life.is_killed and life.code != 0:
                walked.account.violations.append(f"ended with {life.code}: {stage.log.read_text()[-1500:]}")
        visitors.stop()
        walked.account = take_stock(stage, marks, titles, kills, walked.account.violations)
        walked.account.violations += visitors.check([row[0] for row in stage.ask("SELECT referrer FROM click")])
        walked.account.clicks = len(visitors.acknowledged)
    walked.seconds = time.monotonic() - began
    return walked


def live(stage: Stage, bomb: Bomb | None, titles: list[str], roles: str, trace: Path) -> Life:
    """One life: until it dies, or until the day is done and it is told to stop."""
    deadline = time.monotonic() + STARTING
    life = stage.start(bomb, roles, trace)
    while True:
        code = wait_until_done(stage, life, titles)
        if code != REFUSED or time.monotonic() > deadline:
            return life
        life = stage.start(bomb, roles, trace)


def wait_until_done(stage: Stage, life: Life, titles: list[str]) -> int | None:
    deadline = time.monotonic() + PATIENCE
    while not life.dead.wait(0.1):
        is_late = time.monotonic() > deadline
        # A process that does not listen yet has not learnt to stop in order either.
        if is_late or (stage.is_settled(titles, editions_of(titles)) and stage.is_listening()):
            life.terminate()
            life.wait(PATIENCE)
            break
    return life.code


def editions_of(titles: Sequence[str]) -> int:
    return sum(3 if title == LETTER else 1 if title.startswith(ROUND) else 5 for title in titles)


def take_stock(
    stage: Stage, marks: dict[str, int], titles: Sequence[str], kills: int, violations: list[str]
) -> Account:
    """The account of a run that has ended."""
    rows = [row for row in list_rows(stage) if row.title in titles]
    account = settle_accounts(list_planned(stage, titles), list_seen(stage, marks), rows, kills, in_flight(stage))
    account.violations += violations + check_house(stage)
    return account


def in_flight(stage: Stage) -> dict[str, int]:
    """Deliveries on the wire at one moment: one voice, four connections, one request for the whole list, and one
    connection again."""
    return {"tg": 1, "x": 1, "letter0": 4, "letter1": stage.readers, "letter2": 1}


def list_planned(stage: Stage, titles: Sequence[str]) -> list[Pair]:
    rounds = [one for one in titles if one.startswith(ROUND)]
    titles = [one for one in titles if one not in rounds]
    people = [f"reader{number}@example.org" for number in range(stage.readers)]
    lists = {"letter0": people, "letter1": people, "letter2": people[:FEW]}
    letters = [(name, one, title) for name, list_ in lists.items() for one in list_ for title in titles]
    posts = [(name, "", title) for name in ("tg", "x") for title in titles if title != LETTER]
    return [*letters, *posts, *(("tg", "", title) for title in rounds)]


def list_seen(stage: Stage, marks: dict[str, int]) -> list[Pair]:
    return [
        (name, one.recipient if name.startswith("letter") else "", find_title(one))
        for name, box in stage.boxes.items()
        for one in box.seen[marks[name] :]
    ]


def find_title(sighting: Any) -> str:
    words = f"{sighting.subject}\n{sighting.text}"
    start = words.find("Story number")
    if found := re.match(rf"\s*({ROUND}\d+)", words):
        return found[1]
    if start < 0:
        return LETTER if LETTER in words else words[:60]
    return " ".join(words[start : start + 20].split()[:3])


def list_rows(stage: Stage) -> list[Any]:
    return stage.ask(
        "SELECT e.channel, e.title, s.address, d.state, d.may_duplicate FROM delivery d "
        "JOIN edition e ON e.id = d.edition_id LEFT JOIN subscriber s ON s.id = d.recipient_id"
    )


def check_house(stage: Stage) -> list[str]:
    """What must be in order after every stop: sums, structure, journals."""
    from distributor.storage.checking import check
    from distributor.storage.database import Database

    database = Database(stage.keeping.url)
    try:
        wrong = list(check(database).problems)
    finally:
        database.close()
    left = [path.name for path in (stage.folder / "var").glob("sends-*.log")]
    left += [path.name for path in (stage.folder / "var" / "clicks").glob("*.clicks") if path.stat().st_size]
    return wrong + [f"left behind after a stop in order: {name}" for name in left]
