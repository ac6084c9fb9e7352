"""Looking a database over without changing it: structure, versions, accounts, and where it lives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, exists, func, select, text

from distributor.storage import schema
from distributor.storage.database import Database
from distributor.storage.instance import read_mark, read_safe_mode, read_values
from distributor.storage.kept import is_behind
from distributor.storage.place import find_home, is_same_home
from distributor.storage.send_record import count_odd_lines, list_files
from distributor.storage.tables import delivery, edition, metadata, subscriber

#: A copy each hour and a quiet night; older than this, copies have stopped (facts/reliability.md section 6).
OLDEST_BACKUP = timedelta(hours=26)


@dataclass(frozen=True)
class CheckResult:
    """What `db check` found. No problems: the database is sound, this program understands it, and it may send."""

    version: str
    rows: dict[str, int]
    problems: tuple[str, ...]
    #: What is worth knowing: who it is, how old the last copy is.
    notes: tuple[str, ...] = ()


def check(database: Database, state_dir: Path | None = None, now: datetime | None = None) -> CheckResult:
    """Everything about a database; with `state_dir` and `now` also what lies beside it. Changes nothing."""
    version = schema.read_version(database)
    if version is None:
        return CheckResult("", {}, ("the database is empty; run: distributor db upgrade",))
    if version != schema.HEAD:
        sentence = f"the database is at version {version}, this program needs {schema.HEAD}"
        return CheckResult(version, {}, (sentence,))
    from distributor.storage.reports import Reports

    problems = _integrity(database) if database.is_sqlite else []
    with database.read() as connection:
        rows = {
            name: int(connection.execute(select(func.count()).select_from(table)).scalar_one())
            for name, table in sorted(metadata.tables.items())
        }
        problems += _find_orphans(connection)
    problems += [
        f"edition {edition_id}: its deliveries do not add up to its audience"
        for edition_id in Reports(database).find_mismatches()
    ]
    notes: list[str] = []
    if state_dir is not None and now is not None:
        problems += [*_check_place(database, state_dir), *_check_record(database, state_dir)]
        problems += _check_backups(database, now, notes)
        notes += _describe(database, state_dir)
    return CheckResult(version, rows, tuple(problems), tuple(notes))


def _integrity(database: Database) -> list[str]:
    with database.read() as connection:
        found = [row[0] for row in connection.execute(text("PRAGMA integrity_check(20)"))]
        broken = [
            f"{row[0]} row {row[1]} points to nothing"
            for row in connection.execute(text("PRAGMA foreign_key_check"))
        ]
    return [line for line in found if line != "ok"] + broken


def _find_orphans(connection: Connection) -> list[str]:
    """What no foreign key can say."""
    reader = exists().where(subscriber.c.id == delivery.c.recipient_id)
    nobody = (
        select(func.count())
        .select_from(delivery)
        .join(edition, edition.c.id == delivery.c.edition_id)
        .where(edition.c.state == "frozen", edition.c.list != "", ~reader)
    )
    wordless = select(edition.c.id).where(edition.c.state == "frozen", edition.c.content.is_(None))
    found = [f"edition {number} is frozen and has no words" for number in connection.execute(wordless).scalars()]
    if count := int(connection.execute(nobody).scalar_one()):
        found.append(f"{count} deliveries are for readers who are not there")
    return found


def _check_place(database: Database, state_dir: Path) -> Iterator[str]:
    with database.read() as connection:
        values, here = read_values(connection), find_home(database, connection)
    mark = read_mark(state_dir)
    if "moved_to" in values:
        yield f"this database has moved to {values['moved_to']}; name that one in database.url"
    if "arriving" in values:
        yield "the move into this database was broken off; type: distributor db move"
    if safe_mode := read_safe_mode(database):
        yield f"safe mode: {safe_mode}"
    elif "home" in values and not is_same_home(values["home"], here):
        yield "this database is a copy or was restored: the next start holds everything; see: distributor db adopt"
    if mark is None or "home" not in values:
        return
    if mark.instance != values.get("instance"):
        yield f"{state_dir} belongs to another database; see: distributor db adopt"
    elif mark.fence > int(values.get("fence", "0")):
        yield "this database is older than the one that was here before; see: distributor db merge-journal"


def _check_record(database: Database, state_dir: Path) -> Iterator[str]:
    with database.read() as connection:
        instance = read_values(connection).get("instance", "")
    try:
        for path in list_files(state_dir):
            if count := count_odd_lines(path, instance):
                yield f"{path}: {count} lines cannot be read; what they proved is unknown after a restore"
        if is_behind(database, state_dir, instance):
            yield "messages have gone out of which this database knows nothing; see: distributor db merge-journal"
    except OSError as error:
        yield f"the send record cannot be read: {error}"


def _check_backups(database: Database, now: datetime, notes: list[str]) -> Iterator[str]:
    if not database.is_sqlite:
        return
    copies = list((database.path.parent / "backups").glob("*.db"))
    if not copies:
        notes.append("there is no backup yet; see: distributor db backup")
        return
    newest = max(copies, key=lambda path: path.stat().st_mtime)
    age = now - datetime.fromtimestamp(newest.stat().st_mtime, UTC)
    notes.append(f"the last backup is {newest}, {age.total_seconds() / 3600:.1f} hours old")
    if age > OLDEST_BACKUP:
        yield f"the last backup is {age.total_seconds() / 3600:.0f} hours old"


def _describe(database: Database, state_dir: Path) -> Iterator[str]:
    with database.read() as connection:
        values = read_values(connection)
    yield f"instance {values.get('instance', 'none yet')}, fence {values.get('fence', 'none yet')}"
    days = list_files(state_dir)
    if days:
        size = sum(path.stat().st_size for path in days)
        yield f"the send record goes back to {days[0].stem} ({size / 1e6:.1f} MB)"
