"""One installation sends from one database: what notices a copy, and holds it until a person has looked.

The database says who it is (`instance`), where it lives (`home`) and how often a person has moved it (`fence`). A
file in state_dir, the mark, repeats the first and the last. At each start they are compared with what is there:

- the database lives elsewhere than it says: it is a copy, a snapshot or a restored backup;
- the mark has seen a higher fence: an older database has come back to its place;
- the send record knows messages of which the database knows nothing: so it has, too.

Then the database is put into safe mode: stories are read and worded, readers are redirected and may leave, and
nothing is sent before somebody has typed `distributor db adopt`. Several nodes of one PostgreSQL database see the
same home; a node without a mark is a new node.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, delete, select, update

from distributor.core.errors import StorageError
from distributor.core.points import reach
from distributor.storage.database import Database
from distributor.storage.identity import read_or_make
from distributor.storage.inserting import insert_new
from distributor.storage.notices import add_notice
from distributor.storage.place import find_home, is_same_home
from distributor.storage.tables import meta

log = logging.getLogger(__name__)

MARK = "instance.json"
_HOW = "nothing is sent until you have looked at what waits and typed: distributor db adopt"
_COPIED = f"this database is a copy or was restored: it was made elsewhere; {_HOW}"
_OLDER = f"this database is older than the one that was here before; {_HOW}"
_BEHIND = f"messages have gone out of which this database knows nothing, so it is older than them; {_HOW}"


@dataclass(frozen=True)
class Mark:
    """What a state_dir has seen of the database that it belongs to."""

    instance: str
    fence: int


def read_safe_mode(database: Database) -> str:
    """Why nothing is sent, as a sentence that names the command; "" when all is well. One cheap look."""
    rows = database.look("SELECT value FROM meta WHERE key = 'safe_mode'")
    return str(rows[0][0]) if rows else ""


def read_values(connection: Connection) -> dict[str, str]:
    """Every single value of the database."""
    return {row.key: row.value for row in connection.execute(select(meta))}


def write_value(connection: Connection, key: str, value: str) -> None:
    connection.execute(insert_new(connection, meta).values(key=key, value=value))
    connection.execute(update(meta).where(meta.c.key == key).values(value=value))


def forget_value(connection: Connection, key: str) -> None:
    connection.execute(delete(meta).where(meta.c.key == key))


def enter(
    database: Database, state_dir: Path, now: datetime, is_behind: bool = False, is_meant: bool = False
) -> str:
    """Compare the database with its home and with this node's mark, before anything is sent; returns the sentence
    of safe mode, "" when all is well. Writes nothing when nothing is new.

    `is_behind`: the send record is ahead of the database. Raises StorageError when this folder belongs to another
    database, unless a person says that this one `is_meant`.
    """
    instance = read_or_make(database, "instance", 8)
    mark = read_mark(state_dir)
    with database.read() as connection:
        values = read_values(connection)
        here = find_home(database, connection)
    fence = int(values.get("fence", "0"))
    if values.get("safe_mode"):
        return values["safe_mode"]
    if mark is not None and mark.instance != instance and "home" in values and not is_meant:
        raise StorageError(
            f"{state_dir} belongs to another database than {database.label}; give this node a state_dir of its own "
            "or mend database.url. If it is meant, type: distributor db adopt"
        )
    problem = _find_problem(values, here, mark, fence, instance)
    if problem or is_behind:
        return enter_safe_mode(database, problem or _BEHIND, now)
    if "home" not in values:
        fence = _settle_in(database, here)
    if mark is None and "home" in values and database.is_sqlite:
        log.warning("%s was missing and is written anew; the database is the one that was here", state_dir / MARK)
    if mark != Mark(instance, fence):
        write_mark(state_dir, Mark(instance, fence))
    return ""


def _find_problem(values: Mapping[str, str], here: str, mark: Mark | None, fence: int, instance: str) -> str:
    if "home" in values and not is_same_home(values["home"], here):
        return _COPIED
    if mark is not None and mark.instance == instance and mark.fence > fence:
        return _OLDER
    return ""


def _settle_in(database: Database, here: str) -> int:
    """The first start of this database, or of a program that knows of homes."""
    with database.write("instance.settle_in") as connection:
        for key, value in (("home", here), ("fence", "1")):
            connection.execute(insert_new(connection, meta).values(key=key, value=value))
        return int(read_values(connection)["fence"])


def enter_safe_mode(database: Database, sentence: str, now: datetime) -> str:
    """Nothing is claimed from now on, by no node; returns the sentence that is told."""
    with database.write("instance.enter_safe_mode") as connection:
        if "safe_mode" not in read_values(connection):
            write_value(connection, "safe_mode", sentence)
            add_notice(connection, "alarm", "safe mode", sentence, now)
    return sentence


def raise_fence(connection: Connection, here: str) -> int:
    """This database, where it is now, is the one that sends: older ones of it are refused where its mark is."""
    fence = int(read_values(connection).get("fence", "0")) + 1
    write_value(connection, "fence", str(fence))
    write_value(connection, "home", here)
    return fence


def read_mark(state_dir: Path) -> Mark | None:
    """What this node has seen; None on its first start. A mark that cannot be read is none: the home decides."""
    try:
        data = json.loads((state_dir / MARK).read_text("utf-8"))
        return Mark(str(data["instance"]), int(data["fence"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_mark(state_dir: Path, mark: Mark) -> None:
    """Whole or not at all."""
    part = state_dir / f"{MARK}.{os.getpid()}.part"
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        reach("instance.write_mark")
        with part.open("w", encoding="utf-8") as file:
            file.write(json.dumps({"instance": mark.instance, "fence": mark.fence}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(state_dir / MARK)
    except OSError as error:
        raise StorageError(f"cannot write {state_dir / MARK}: {error.strerror}") from None
    reach("instance.mark_written")
