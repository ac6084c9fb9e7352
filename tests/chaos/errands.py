"""Commands under kills: each leaves the database as it was or as the whole command makes it; it can be repeated."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.chaos.accounts import Account
from tests.chaos.child import Bomb
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
#: Of readers that were imported the number says nothing, their address does.
PASSING_IN = {"source": {"state"}, "list_member": {"subscriber_id"}, "subscriber": {"id"}}


@dataclass(frozen=True)
class Errand:
    """A command, and how the stage is set for it. `kinds`: the databases it is for.

    `between` is done before it is typed again; `check` says what is wrong when it was done at last.
    """

    name: str
    words: tuple[str, ...]
    prepare: Callable[[Stage], None] = lambda stage: None
    kinds: tuple[str, ...] = ("SQLite", "PostgreSQL")
    #: Whether it does its work in several commits, so that half of it may be there after a kill.
    has_steps: bool = False
    between: Callable[[Stage], None] = lambda stage: None
    check: Callable[[Stage], list[str]] = lambda stage: []
    #: Boundaries that are killed at elsewhere, too, are left out: only those that begin with one of these stay.
    rooms: tuple[str, ...] = ("",)
    #: For `run`, which does not end by itself: until when it runs.
    until: Callable[[Stage], bool] | None = None


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
    if errand.until is None and dump(stage) != after:
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


# -- how the stage is set ------------------------------------------------------------------------------------


def hold_post(stage: Stage) -> None:
    first = "(SELECT min(id) FROM post WHERE status = 'live')"
    stage.tell(f"UPDATE post SET status = 'held', reason = 'burst' WHERE id = {first}")


def park_edition(stage: Stage) -> None:
    stage.tell("UPDATE edition SET state = 'parked', reason = 'template' WHERE id = (SELECT max(id) FROM edition)")


def hold_delivery(stage: Stage) -> None:
    edition = "(SELECT max(id) FROM edition)"
    stage.tell(f"UPDATE edition SET state = 'frozen', audience = NULL WHERE id = {edition}")
    stage.tell(f"UPDATE delivery SET state = 'held', reason = 'late' WHERE edition_id = {edition}")


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
    stage.keeping.empty()


def make_oldest(stage: Stage) -> None:
    """The database of the first version, with half an edition sent."""
    from tests.storage.test_upgrade import make_old

    stage.keeping.empty()
    make_old(stage.keeping.url, "0001")


def break_channel(stage: Stage) -> None:
    """The service has closed a channel, and somebody wants to be told by every way there is."""
    stage.tell("UPDATE channel SET is_paused = (1 = 1), by = 'service', reason = 'a test' WHERE name = 'x'")
    mail = stage.boxes["letter0"]
    email = {"to": "desk@example.org", "from": "distributor@example.org", "host": "127.0.0.1", "port": mail.port}
    outside = f"http://127.0.0.1:{stage.outside.port}"
    ways = {"webhook": f"{outside}/alert", "ping": f"{outside}/ping"}
    stage.configure({"alerts": {**ways, "email": {**email, "tls": "none"}}})


def forget_watch(stage: Stage) -> None:
    """A minute and a half later: the dead watcher's place is free."""
    stage.tell("DELETE FROM meta WHERE key = 'alerts.watch'")


def check_told(stage: Stage) -> list[str]:
    rows = stage.ask("SELECT key FROM alert WHERE told_at IS NULL")
    return [f"nobody was told: {row[0]}" for row in rows]


def has_started(stage: Stage) -> bool:
    try:
        schedules = stage.ask("SELECT count(*) FROM schedule")[0][0]
        return bool(schedules and stage.ask("SELECT count(*) FROM post")[0][0])
    except Exception:  # no tables yet
        return False


def check_silence(stage: Stage) -> list[str]:
    """What was on the site before the first start is history."""
    count = stage.ask("SELECT count(*) FROM edition")[0][0]
    return [f"{count} editions of what was there before the first start"] if count else []


def target_of(stage: Stage) -> str:
    return urlsplit(stage.server_url)._replace(path=f"/moved_{os.getpid()}").geturl()


def make_target(stage: Stage) -> None:
    import psycopg

    with psycopg.connect(stage.server_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS moved_{os.getpid()} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE moved_{os.getpid()} STRATEGY file_copy".encode())


def check_moved(stage: Stage) -> list[str]:
    """Everything is there, and the file sends no more."""
    import psycopg

    wrong = []
    with psycopg.connect(target_of(stage)) as target:
        for table in ("delivery", "edition", "post", "subscriber", "attempt", "link"):
            question = f"SELECT count(*) FROM {table}"
            here, there = stage.ask(question)[0][0], target.execute(question.encode()).fetchall()[0][0]
            wrong += [f"{table}: {here} rows here, {there} there"] if here != there else []
        if target.execute("SELECT 1 FROM meta WHERE key = 'arriving'").fetchall():
            wrong.append("the move has no end")
    if not stage.ask("SELECT value FROM meta WHERE key = 'moved_to'"):
        wrong.append("the file may still send")
    return wrong


IMPORT = ("subscribers", "import", "{folder}/guests.csv", "--list", "readers")
FIRST_ROOMS = ("editions.start", "identity.", "instance.", "schema.", "lock.", "presence.", "posts.")
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
    Errand("release a delivery", ("editions", "release", "{edition}"), hold_delivery),
    Errand("drop an edition", ("editions", "drop", "{edition}"), park_edition),
    Errand("resolve as sent", ("deliveries", "resolve", "{delivery}", "--sent"), lose_answer),
    Errand("resolve by resending", ("deliveries", "resolve", "{delivery}", "--resend"), lose_answer),
    Errand("resolve by leaving", ("deliveries", "resolve", "{delivery}", "--leave"), lose_answer),
    Errand("poll", ("poll",), add_news),
    Errand("hold the database", ("db", "hold", "--reason", "a test")),
    Errand("adopt the database", ("db", "adopt", "--release"), hold_database),
    Errand("back up", ("db", "backup", "{folder}/copy.db"), forget_backup, ("SQLite",)),
    Errand("restore", ("db", "restore", "{folder}/copy.db"), make_backup, ("SQLite",), has_steps=True),
    Errand("create the database", ("db", "upgrade"), start_empty),
    Errand("upgrade the oldest database", ("db", "upgrade"), make_oldest, has_steps=True),
    Errand("start for the first time", ("run",), start_empty, check=check_silence, until=has_started,
           has_steps=True, rooms=FIRST_ROOMS),
    Errand("move", ("db", "move", "{target}"), make_target, ("SQLite",), has_steps=True, check=check_moved),
    Errand("watch", ("@watch",), break_channel, has_steps=True, between=forget_watch, check=check_told,
           rooms=("alerts.",)),
)  # fmt: skip
