"""Boundaries at which nobody was killed on a database and engine, each with its reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

MANY = "only where several processes share a database, which is PostgreSQL"
ONE_FILE = "only on SQLite: on PostgreSQL many processes share the database, and the dead are told from the living"
COPIES = "only on SQLite: copies of PostgreSQL are made with its own programs"
NO_SPEED = "only with the procrastinate engine: the local one is not woken through the database"
COMMANDS = "only by commands, which know no engine: they are killed there on the local one"
UNTRIED = "not reached in this run"
#: Beginnings of what only commands come by, a first start among them.
_OF_COMMANDS = ("adoption.", "alerts.", "decisions.", "editions.drop", "editions.start_schedules",
                "editions.unpark", "identity.", "instance.", "posts.drop", "posts.release", "schema.",
                "recipients.add_subscribers", "recipients.suppress", "recipients.unsuppress")  # fmt: skip

#: (words of the house, beginning of the boundary's name) -> why it cannot be reached there.
REASONS = (
    ("SQLite", "lanes.", MANY),
    ("SQLite", "recovery.recover_dead", MANY),
    ("SQLite", "workers.leave ", "only on PostgreSQL: on SQLite who is alone forgets all others in one step"),
    ("PostgreSQL", "backup.", COPIES),
    ("PostgreSQL", "copying.", COPIES),
    ("PostgreSQL", "restore.", COPIES),
    ("PostgreSQL", "regular_backups.", COPIES),
    ("PostgreSQL", "lock.write", "only on SQLite: on PostgreSQL the lock is the server's"),
    ("PostgreSQL", "recovery.recover ", ONE_FILE),
    ("PostgreSQL", "workers.leave_only", ONE_FILE),
    ("PostgreSQL", "move.", "the move starts from SQLite: it is killed there"),
    ("PostgreSQL, local", "lanes.put_down", NO_SPEED),
    ("PostgreSQL, local", "lanes.release", NO_SPEED),
    *(("PostgreSQL, procrastinate", begin, COMMANDS) for begin in _OF_COMMANDS),
)


def explain_unreached(house: str, points: Iterable[str]) -> dict[str, list[str]]:
    """Reason -> boundaries, for one house."""
    found: dict[str, list[str]] = defaultdict(list)
    for point in sorted(set(points)):
        why = [reason for words, begin, reason in REASONS if house.startswith(words) and point.startswith(begin)]
        found[why[0] if why else UNTRIED].append(point)
    return dict(found)


def shorten(points: Iterable[str]) -> str:
    """The two boundaries of one commit as one word."""
    names = sorted(set(points))
    commits = {name.removesuffix(" written") for name in names if name.endswith(" written")}
    whole = {one for one in commits if f"{one} committed" in names}
    rest = [name for name in names if name.rpartition(" ")[0] not in whole]
    return ", ".join(f"`{name}`" for name in sorted([*whole, *rest]))
