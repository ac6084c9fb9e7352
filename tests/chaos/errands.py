"""Commands under kills: each leaves the database as it was or as the whole command makes it; it can be repeated."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.accounts import Account
from tests.chaos.child import Bomb
from tests.chaos.nursery import KILLED
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
#: Of readers that were imported the number says nothing, their address does.
PASSING_IN = {"source": {"state"}, "list_member": {"subscriber_id"}, "subscriber": {"id"}}


@dataclass(frozen=True)
class Errand:
    """A command, and how the stage is set for it. `kinds`: the databases it is for."""

    name: str
    words: tuple[str, ...]
    prepare: Callable[[Stage], None] = lambda stage: None
    kinds: tuple[str, ...] = ("SQLite", "PostgreSQL")
    #: Whether it does its work in several commits, so that half of it may be there after a kill.
    has_steps: bool = False


def run_errand(stage: Stage, todo: tuple[str, Bomb | None]) -> Walked:
    """One command, killed at the bomb and typed again; without a bomb only the whole command."""
    name, bomb = todo
    errand = next(one for one in ERRANDS if one.name == name)
    began, account = time.monotonic(), Account()
    before, after, trace = _do_whole(stage, errand)
    walked = Walked(account, (bomb,) if bomb else (), [trace], name=name)
    if bomb is not None:
        _set_stage(stage, errand)
        code = stage.run(*_words(stage, errand), bomb=bomb)
        account.kills = int(code == KILLED)
        if code != KILLED:
            walked.duds.append(bomb)
        between = dump(stage)
        if not errand.has_steps and between not in (before, after):
            account.violations.append(f"{name}: half done: {_differences(before, between)}")
        stage.run(*_words(stage, errand))
        if dump(stage) != after:
            account.violations.append(f"{name}: typed again it came to {_differences(after, dump(stage))}")
    account.violations += check_house(stage)
    walked.seconds = time.monotonic() - began
    return walked


def _do_whole(stage: Stage, errand: Errand) -> tuple[Any, Any, list[str]]:
    _set_stage(stage, errand)
    before, trace = dump(stage), stage.folder / "trace-errand"
    trace.unlink(missing_ok=True)
    code = stage.run(*_words(stage, errand), trace=trace)
    assert code == 0, f"{errand.name} ended with {code}: {stage.log.read_text()[-2000:]}"
    return before, dump(stage), trace.read_text().splitlines() if trace.exists() else []


def _set_stage(stage: Stage, errand: Errand) -> None:
    stage.fresh()
    errand.prepare(stage)


def _words(stage: Stage, errand: Errand) -> list[str]:
    return [word.format(folder=stage.folder, **_numbers(stage)) for word in errand.words]


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


# -- how the stage is set ------------------------------------------------------------------------------------


def hold_post(stage: Stage) -> None:
    first = "(SELECT min(id) FROM post WHERE status = 'live')"
    stage.tell(f"UPDATE post SET status = 'held', reason = 'burst' WHERE id = {first}")


def park_edition(stage: Stage) -> None:
    stage.tell("UPDATE edition SET state = 'parked', reason = 'template' WHERE id = (SELECT max(id) FROM edition)")


def lose_answer(stage: Stage) -> None:
    stage.tell(
        "UPDATE edition SET state = 'frozen', audience = NULL, sent = NULL, failed = NULL, skipped = NULL, "
        "presumed = NULL WHERE channel = 'x'"
    )
    stage.tell(
        "UPDATE delivery SET state = 'unknown', reason = 'test' WHERE edition_id IN "
        "(SELECT id FROM edition WHERE channel = 'x')"
    )


def write_people(stage: Stage) -> None:
    people = "".join(f"guest{number}@example.org\n" for number in range(2500))
    (stage.folder / "guests.csv").write_text(f"email\n{people}")


def pause(stage: Stage) -> None:
    stage.require("pause", "tg", "--reason", "a test")


def suppress(stage: Stage) -> None:
    stage.require("subscribers", "suppress", "reader3@example.org")


def hold_database(stage: Stage) -> None:
    stage.require("db", "hold", "--reason", "a test")


def add_news(stage: Stage) -> None:
    """The same number each time: the database forgets it with the stage."""
    stage.feed.publish(99)


def forget_backup(stage: Stage) -> None:
    for path in Path(stage.folder).glob("copy.db*"):
        path.unlink()


def make_backup(stage: Stage) -> None:
    forget_backup(stage)
    stage.require("db", "backup", str(stage.folder / "copy.db"))


def start_empty(stage: Stage) -> None:
    shutil.rmtree(stage.folder / "var")
    (stage.folder / "var").mkdir()


IMPORT = ("subscribers", "import", "{folder}/guests.csv", "--list", "readers")
ERRANDS = (
    Errand("import", IMPORT, write_people, has_steps=True),
    Errand("suppress", ("subscribers", "suppress", "reader3@example.org")),
    Errand("unsuppress", ("subscribers", "suppress", "reader3@example.org", "--undo"), suppress),
    Errand("pause", ("pause", "tg", "--reason", "a test")),
    Errand("pause all", ("pause", "--reason", "a test")),
    Errand("resume", ("resume", "tg"), pause),
    Errand("release a story", ("posts", "release", "{post}"), hold_post),
    Errand("drop a story", ("posts", "drop", "{post}"), hold_post),
    Errand("release an edition", ("editions", "release", "{edition}"), park_edition),
    Errand("drop an edition", ("editions", "drop", "{edition}"), park_edition),
    Errand("resolve as sent", ("deliveries", "resolve", "{delivery}", "--sent"), lose_answer),
    Errand("resolve by resending", ("deliveries", "resolve", "{delivery}", "--resend"), lose_answer),
    Errand("resolve by leaving", ("deliveries", "resolve", "{delivery}", "--leave"), lose_answer),
    Errand("poll", ("poll",), add_news),
    Errand("hold the database", ("db", "hold", "--reason", "a test")),
    Errand("adopt the database", ("db", "adopt", "--release"), hold_database),
    Errand("back up", ("db", "backup", "{folder}/copy.db"), forget_backup, ("SQLite",)),
    Errand("restore", ("db", "restore", "{folder}/copy.db"), make_backup, ("SQLite",), has_steps=True),
    Errand("create the database", ("db", "upgrade"), start_empty, ("SQLite",)),
)
