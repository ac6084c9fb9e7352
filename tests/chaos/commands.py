"""The commands that are killed: how the stage is set for each, and what must be true when it is done."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.chaos.stage import Stage


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
    #: Whether it comes to the same each time, whatever the time is.
    compares: bool = True
    #: Boundaries that are killed at elsewhere, too, are left out: only those that begin with one of these stay.
    rooms: tuple[str, ...] = ("",)
    #: For `run`, which does not end by itself: until when it runs.
    until: Callable[[Stage], bool] | None = None


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
    stage.tell("UPDATE channel SET is_paused = (1 = 1), by = 'the service', reason = 'a test' WHERE name = 'x'")
    mail = stage.boxes["letter0"]
    email = {"to": "desk@example.org", "from": "distributor@example.org", "host": "127.0.0.1", "port": mail.port}
    outside = f"http://127.0.0.1:{stage.outside.port}"
    ways = {"webhook": f"{outside}/alert", "ping": f"{outside}/ping"}
    stage.configure({"alerts": {**ways, "email": {**email, "tls": "none"}}})


def forget_watch(stage: Stage) -> None:
    """A minute and a half later: the dead watcher's place is free."""
    stage.tell("DELETE FROM meta WHERE key = 'alerts.watch'")


def check_told(stage: Stage) -> list[str]:
    told = stage.ask("SELECT key FROM alert WHERE key = 'paused x' AND told_at IS NOT NULL")
    return [] if told else ["nobody was told of the closed channel"]


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
FIRST_ROOMS = ("editions.start", "identity.", "instance.", "schema.")
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
    Errand("poll", ("poll",), add_news, rooms=("posts.", "reader.")),
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
           compares=False, rooms=("alerts.",)),
)  # fmt: skip
