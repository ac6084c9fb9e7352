"""A database of every released version, with half an edition sent, comes to this one: whole, or not at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, inspect, text

from distributor.core.delivery import Settlement
from distributor.core.message import Content
from distributor.core.sending import Batch, Settled
from distributor.storage import join_stores, open_storage, schema
from distributor.storage.backup import upgrade_with_backup
from distributor.storage.database import Database
from distributor.storage.recreating import reset_counts
from tests.storage.scene import add_edition, states

NOW = 1795419000.0
CONTENT = Content({"text": "Story number 1"})
#: What a desk of that version holds in the middle of a list: ten readers, four served, one perhaps.
HALF_SENT = {
    "0001": [
        "INSERT INTO meta (key, value) VALUES ('instance', 'a1b2'), ('secret', '00ff')",
        "INSERT INTO channel (name, is_paused, reason, by, last_error) VALUES ('letter', :no, '', '', '')",
        "INSERT INTO source (name, state, failures, error, arrivals) VALUES ('front', '{}', 0, '', '[]')",
        "INSERT INTO post (id, source, status, reason, headline, content, content_hash, revision, first_seen_at, "
        "ripe_at, changed_at) VALUES (1, 'front', 'live', '', 'Story', '{}', 'h', 1, :now, :now, :now)",
        "INSERT INTO edition (id, key, schedule, channel, form, list, state, reason, token, title, due_at, "
        "created_at, frozen_at, content, content_hash, warnings, audience) VALUES (1, 'k', 'morning', 'letter', "
        "'digest', 'readers', 'frozen', '', 't', 'Morning', :now, :now, :now, :content, :hash, '[]', 10)",
        "INSERT INTO edition_post (schedule, post_id, edition_id, position, role) VALUES ('morning', 1, 1, 0, "
        "'item')",
    ]
}
HALF_SENT["0002"] = [
    *HALF_SENT["0001"],
    "UPDATE channel SET recent = 'AAAA' WHERE name = 'letter'",
    "INSERT INTO worker VALUES ('old', 'desk', 7, 'web,clock,worker', '0.2', :now, :now)",
    "INSERT INTO alert VALUES ('disk', 'The disk is nearly full', :now, :now)",
]


def make_old(url: str, version: str) -> None:
    """The schema that this version's own migrations made, and its rows, in that version's own words."""
    from alembic import command

    database = Database(url)
    with database.write("test.make_old") as connection:
        config = schema.alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        values = {"now": NOW, "no": False, "content": CONTENT.to_json(), "hash": CONTENT.hash}
        for sentence in HALF_SENT[version]:
            used = {key: value for key, value in values.items() if f":{key}" in sentence}
            connection.execute(text(sentence), used)
        for number in range(1, 11):
            for sentence in readers(number):
                connection.execute(text(sentence), {"now": NOW})
        reset_counts(connection)
    database.close()


def readers(number: int) -> Iterator[str]:
    address = f"reader{number}@example.org"
    yield (
        "INSERT INTO subscriber (id, address, address_key, name, status, reason, created_at, consent) VALUES "
        f"({number}, '{address}', '{address}', '', 'active', '', :now, '')"
    )
    yield f"INSERT INTO list_member VALUES ('readers', {number}, 'member', :now)"
    state = "sent" if number < 5 else "unknown" if number == 5 else "queued"
    yield (
        "INSERT INTO delivery (id, edition_id, recipient_id, state, attempts, changed_at) VALUES "
        f"({number}, 1, {number}, '{state}', {int(number < 6)}, :now)"
    )


def describe(database: Database) -> dict[str, Any]:
    """Tables, columns, keys and indexes, as the database itself says them."""
    with database.read() as connection:
        look = inspect(connection)
        return {
            name: (
                sorted((one["name"], str(one["type"]), one["nullable"]) for one in look.get_columns(name)),
                look.get_pk_constraint(name)["constrained_columns"],
                sorted((one["name"] or "", tuple(one["column_names"])) for one in look.get_indexes(name)),
                sorted(tuple(one["constrained_columns"]) for one in look.get_foreign_keys(name)),
            )
            for name in look.get_table_names()
        }


def test_every_released_version_has_a_desk_to_upgrade() -> None:
    """Whoever adds a version gives HALF_SENT the rows of the one before."""
    assert set(schema.KNOWN) - {schema.HEAD} <= set(HALF_SENT)


@pytest.mark.parametrize("version", sorted(HALF_SENT))
def test_an_old_database_becomes_like_a_new_one_and_its_half_sent_edition_goes_on(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path, version: str, now: datetime
) -> None:
    make_old(database_url, version)
    database = Database(database_url)
    before, after, copy = upgrade_with_backup(database, now)
    assert (before, after) == (version, schema.HEAD)
    assert (copy is not None) == database.is_sqlite
    assert describe(database) == describe_new(request, database, tmp_path)
    database.close()
    storage = open_storage(database_url)
    assert storage.instance == "a1b2"
    batch = storage.ledger.claim("letter", limit=100, paces=(), fence="f1", lease=60, now=now)
    assert isinstance(batch, Batch)
    assert [one.recipient_id for one in batch.claimed] == [6, 7, 8, 9, 10]
    done = [Settled(one.delivery_id, 1, now, now, Settlement("sent")) for one in batch.claimed]
    storage.ledger.settle("letter", "f1", done, now)
    assert states(storage) == {"sent": 9, "unknown": 1}
    storage.decisions.resolve(5, "leave", "anna", now)
    row = storage.reports.list_editions(limit=1)[0]
    assert (row.state, row.audience) == ("complete", 10)
    add_edition(storage, now, number=2)
    storage.close()


def describe_new(request: pytest.FixtureRequest, like: Database, folder: Path) -> dict[str, Any]:
    if like.is_sqlite:
        fresh = Database(f"sqlite:///{folder}/fresh.db")
        schema.upgrade(fresh)
        found = describe(fresh)
        fresh.close()
        return found
    return describe(request.getfixturevalue("postgres_ready_storage").database)


class Fell(BaseException):
    """As if the process ended at this statement."""


@pytest.mark.parametrize("version", sorted(HALF_SENT))
def test_an_upgrade_that_falls_at_any_statement_has_changed_nothing(database_url: str, version: str) -> None:
    make_old(database_url, version)
    database = Database(database_url)
    before = describe(database)
    for number in range(1, 200):
        if falls_at(database, number):
            assert schema.read_version(database) == version
            assert describe(database) == before
        else:
            break
    assert number > 2
    assert schema.read_version(database) == schema.HEAD
    assert sum(states(join_stores(database)).values()) == 10
    database.close()


def falls_at(database: Database, number: int) -> bool:
    """Upgrade, falling at this statement that changes something; False when it came to its end before that."""
    seen = 0

    def count(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        nonlocal seen
        seen += statement.lstrip().split(" ")[0].upper() in (
            "CREATE",
            "ALTER",
            "UPDATE",
            "INSERT",
            "DROP",
            "DELETE",
        )
        if seen == number:
            raise Fell

    event.listen(Engine, "before_cursor_execute", count)
    try:
        schema.upgrade(database)
    except Fell:
        return True
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    return False


KILLED = """
import os, signal, sys
from distributor.core.points import arm
from distributor.storage import schema
from distributor.storage.database import Database
from distributor.storage.recreating import reset_counts
arm(lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == sys.argv[2] else None)
schema.upgrade(Database(sys.argv[1]))
"""


@pytest.mark.parametrize("point", ["schema.upgrade written", "schema.upgrade committed"])
def test_an_upgrade_that_is_killed_is_whole_or_not_there(database_url: str, point: str) -> None:
    make_old(database_url, "0001")
    done = subprocess.run([sys.executable, "-c", KILLED, database_url, point], check=False, timeout=60)
    assert done.returncode == -9
    database = Database(database_url)
    assert schema.read_version(database) == (schema.HEAD if point.endswith("committed") else "0001")
    schema.upgrade(database)
    assert sum(states(join_stores(database)).values()) == 10
    database.close()
