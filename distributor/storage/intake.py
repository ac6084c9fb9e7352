"""Adding many readers at once: a chunk a transaction, and a few statements for all of a chunk."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, text

from distributor.core.subscriber import ImportCount
from distributor.storage.staging import Staging

#: address, key, name, consent
Row = tuple[str, str, str, str]

_INCOMING = "CREATE TEMP TABLE incoming (address text, key text, name text, consent text) ON COMMIT DROP"
_COPY = "COPY incoming (address, key, name, consent) FROM STDIN"
_NEWEST = "SELECT coalesce(max(id), 0) FROM subscriber"

_BARRED = "EXISTS (SELECT 1 FROM suppression x WHERE x.address_key = s.address_key AND x.list IN ('', :list))"
_IS_ANY_BARRED = "SELECT EXISTS (SELECT 1 FROM suppression)"
_ADD_PEOPLE = (
    "INSERT INTO subscriber (address, address_key, name, status, reason, created_at, consent) "
    "SELECT p.address, p.key, p.name, 'active', '', :at, p.consent FROM {people} "
    "ON CONFLICT (address_key) DO NOTHING"
)
_ADD_MEMBERS = (
    "INSERT INTO list_member (list, subscriber_id, state, since) "
    "SELECT :list, s.id, 'member', :at FROM {people} AND NOT {barred}"
)
_ADD_BOTH = (
    "WITH fresh AS ({people} RETURNING id, address_key), added AS ({members} RETURNING 1) "
    "SELECT (SELECT count(*) FROM fresh), (SELECT count(*) FROM added)"
)
_JOINED = (
    "{people} JOIN subscriber s ON s.address_key = p.key "
    "LEFT JOIN list_member m ON m.list = :list AND m.subscriber_id = s.id WHERE {where}"
)
# People whose key a line before had, which stands right before them.
_FIRST = "NOT EXISTS (SELECT 1 FROM {sorted} q WHERE q.rowid = p.rowid - 1 AND q.key = p.key)"
_COUNT_FOUND = "SELECT m.state, {barred}, count(*) FROM {people} GROUP BY 1, 2"


class Intake:
    """One import in chunks of people sorted by key, each key once."""

    def __init__(self, staging: Staging, list_name: str, now: datetime, count: ImportCount) -> None:
        self._staging = staging
        self._values = {"list": list_name, "at": now.timestamp()}
        self._count = count
        self._last_row: Row = ("", "", "", "")

    def add(self, connection: Connection, after: int, last: int) -> None:
        """Take in the staged people with numbers from `after` + 1 to `last`."""
        if connection.dialect.name == "sqlite":
            rows = f"{self._staging.schema}.sorted"
            people, where = f"{rows} p", f"p.rowid > {after} AND p.rowid <= {last}"
            fresh, added = self._add_on_sqlite(connection, f"{people} WHERE {where} ORDER BY p.rowid")
            where += " AND " + _FIRST.format(sorted=rows)
        else:
            people, where = "incoming p", "true"
            _copy(connection, self._drop_repeated(self._staging.list_rows(after, last)))
            fresh, added = self._add_on_postgresql(connection)
        if fresh == last - after:
            self._count.added += added
            self._count.suppressed += fresh - added
        else:
            found = self._add_known(connection, _JOINED.format(people=people, where=where), added)
            self._count.repeated += last - after - found

    def _add_on_sqlite(self, connection: Connection, people: str) -> tuple[int, int]:
        """How many were nobody's readers yet, and how many of those are members now."""
        newest = int(connection.execute(text(_NEWEST)).scalar_one())
        fresh = self._run(connection, _ADD_PEOPLE.format(people=people))
        # Nobody else writes until the end of the transaction, so nobody can be barred meanwhile.
        barred = _BARRED if connection.execute(text(_IS_ANY_BARRED), self._values).scalar() else "false"
        return fresh, self._run(connection, _say_members(f"subscriber s WHERE s.id > {newest}", barred))

    def _add_on_postgresql(self, connection: Connection) -> tuple[int, int]:
        # Others may add readers at the same time: only the statement itself knows whom it added.
        people, members = _ADD_PEOPLE.format(people="incoming p"), _say_members("fresh s WHERE true")
        sentence = text(_ADD_BOTH.format(people=people, members=members))
        fresh, added = connection.execute(sentence, self._values).one()
        return int(fresh), int(added)

    def _drop_repeated(self, rows: list[Row]) -> list[Row]:
        kept = [row for before, row in pairwise([self._last_row, *rows]) if before[1] != row[1]]
        self._last_row = rows[-1]
        return kept

    def _add_known(self, connection: Connection, people: str, added: int) -> int:
        """Who was a reader before: who may be becomes a member, `added` are that already. Returns how many."""
        rows = connection.execute(text(_COUNT_FOUND.format(people=people, barred=_BARRED)), self._values)
        numbers = {(row[0], bool(row[1])): int(row[2]) for row in rows}
        more = self._run(connection, _say_members(f"{people} AND m.state IS NULL"))
        self._count.added += added + more
        self._count.left_before += sum(number for (state, _), number in numbers.items() if state == "left")
        self._count.suppressed += sum(n for (state, barred), n in numbers.items() if barred and state != "left")
        self._count.known += numbers.get(("member", False), 0) - added
        return sum(numbers.values())

    def _run(self, connection: Connection, sentence: str) -> int:
        return int(connection.execute(text(sentence), self._values).rowcount)


def _say_members(people: str, barred: str = _BARRED) -> str:
    return _ADD_MEMBERS.format(people=people, barred=barred)


def _copy(connection: Connection, rows: Sequence[Row]) -> None:
    """The rows as the table `incoming` of this transaction."""
    # Without statistics the planner would rather read every reader there is than look up those of a chunk.
    for sentence in ("SET LOCAL enable_hashjoin = off", "SET LOCAL enable_mergejoin = off", _INCOMING):
        connection.exec_driver_sql(sentence)
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
        data = "".join(["\t".join(row) + "\n" for row in rows])
        if "\\" in data or data.count("\n") != len(rows) or data.count("\t") != 3 * len(rows):
            for row in rows:
                copy.write_row(row)
        else:
            copy.write(data)
