"""Commands under kills: each leaves the database as it was or as the whole command makes it; it can be repeated."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.chaos.accounts import Account
from tests.chaos.child import Bomb
from tests.chaos.commands import ERRANDS, Errand, target_of
from tests.chaos.nursery import KILLED
from tests.chaos.plans import choose_bombs
from tests.chaos.stage import Stage
from tests.chaos.walk import Walked, check_house

#: What differs between two runs of one command, and says nothing about what it did.
UNTOLD = frozenset({"notice", "worker", "attempt", "alembic_version", "link", "click", "click_hour", "journal"})
PASSING = frozenset(
    {"at", "since", "created_at", "changed_at", "frozen_at", "completed_at", "started_at", "ended_at", "due_at"}
    | {"late_after", "not_before", "planned_at", "first_seen_at", "ripe_at", "seen_at", "published_at"}
    | {"next_poll_at", "last_poll_at", "last_ok_at", "planned_until", "told_at", "beat_at", "rest_until"}
    | {"lease_until", "stamps", "content", "content_hash", "token", "fence", "value", "arrivals"}
)
#: Of readers that were imported the number says nothing, their address does; of stories their keys do. A
#: transaction that was cut off has used up the numbers that it took from PostgreSQL.
PASSING_IN = {"source": {"state"}, "list_member": {"subscriber_id"}, "subscriber": {"id"}, "post": {"id"}}
PASSING_IN |= {"post_key": {"post_id"}, "revision": {"post_id"}}


def run_errand(stage: Stage, todo: tuple[str, str]) -> Walked:
    """One command: whole, and then killed at each boundary that it came by, killed once more when it is typed
    again, and typed again. `todo`: its name, and what must be in the name of a boundary."""
    name, only = todo
    errand = next(one for one in ERRANDS if one.name == name)
    began, account = time.monotonic(), Account()
    before, after, trace = _do_whole(stage, errand)
    walked = Walked(account, (), [trace], name=name)
    account.violations += [*check_house(stage), *errand.check(stage)]
    for bomb in choose_bombs(trace):
        if only in bomb.point and bomb.point.startswith(errand.rooms):
            _kill_at(stage, errand, bomb, walked, before, after)
    walked.seconds = time.monotonic() - began
    return walked


def _kill_at(stage: Stage, errand: Errand, bomb: Bomb, walked: Walked, before: Any, after: Any) -> None:
    account = walked.account
    walked.bombs += (bomb,)
    _set_stage(stage, errand)
    if not _type(stage, errand, bomb):
        walked.duds.append(bomb)
        return
    walked.hits.append(bomb)
    between = dump(stage)
    if not errand.has_steps and between not in (before, after):
        account.violations.append(f"{bomb}: half done: {_differences(before, between)}")
    errand.between(stage)
    again = _type(stage, errand, bomb)
    account.kills += 1 + again
    walked.again += again
    errand.between(stage)
    _type(stage, errand)
    if errand.compares and errand.until is None and dump(stage) != after:
        account.violations.append(f"{bomb}: typed again it came to {_differences(after, dump(stage))}")
    account.violations += [f"{bomb}: {one}" for one in (*check_house(stage), *errand.check(stage))]


def _type(stage: Stage, errand: Errand, bomb: Bomb | None = None, trace: Path | None = None) -> bool:
    """The command to its end; whether it was killed."""
    if errand.until is None:
        return stage.run(*_words(stage, errand), bomb=bomb, trace=trace) == KILLED
    life = stage.start(bomb, trace=trace)
    while not life.dead.wait(0.1):
        if stage.is_listening() and errand.until(stage):
            life.terminate()
            life.wait()
    return life.is_killed


def _do_whole(stage: Stage, errand: Errand) -> tuple[Any, Any, list[str]]:
    _set_stage(stage, errand)
    before, trace = dump(stage), stage.folder / "trace-errand"
    trace.unlink(missing_ok=True)
    is_killed = _type(stage, errand, trace=trace)
    assert not is_killed, f"{errand.name}: {stage.log.read_text()[-2000:]}"
    return before, dump(stage), trace.read_text().splitlines() if trace.exists() else []


def _set_stage(stage: Stage, errand: Errand) -> None:
    stage.fresh()
    errand.prepare(stage)


def _words(stage: Stage, errand: Errand) -> list[str]:
    values: dict[str, Any] = {"folder": stage.folder, "target": target_of(stage)}
    return [word.format(**values, **_numbers(stage)) for word in errand.words]


def _numbers(stage: Stage) -> dict[str, int]:
    """Numbers that a person would have read off a list before."""
    found = {"post": "SELECT min(id) FROM post WHERE status IN ('held', 'live', 'dropped')"}
    found["edition"] = "SELECT max(id) FROM edition"
    found["delivery"] = (
        "SELECT min(d.id) FROM delivery d JOIN edition e ON e.id = d.edition_id WHERE e.channel = 'x'"
    )
    try:
        return {name: stage.ask(question)[0][0] or 0 for name, question in found.items()}
    except Exception:  # an errand that begins without tables
        return dict.fromkeys(found, 0)


def dump(stage: Stage) -> dict[str, list[tuple[Any, ...]]]:
    """What the database says, without what differs from one moment to the next."""
    from distributor.storage.tables import metadata

    said = {}
    for table in metadata.sorted_tables:
        if table.name in UNTOLD:
            continue
        columns = [c.name for c in table.columns if c.name not in PASSING | PASSING_IN.get(table.name, set())]
        try:
            rows = stage.ask(f'SELECT {", ".join(columns)} FROM "{table.name}"')
        except Exception:  # no such table yet
            rows = []
        said[table.name] = sorted((tuple(row) for row in rows), key=repr)
    return said


def _differences(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    changed = [name for name in one if one[name] != other[name]]
    return {name: (_only_in(one[name], other[name]), _only_in(other[name], one[name])) for name in changed}


def _only_in(rows: list[Any], others: list[Any]) -> list[Any]:
    return [row for row in rows if row not in others][:5]
