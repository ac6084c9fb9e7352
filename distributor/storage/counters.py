"""Counts of all processes since the database was made: they survive restarts, and are read by who watches."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select, text

from distributor.core.tally import Key
from distributor.storage.database import Database
from distributor.storage.inserting import insert_new
from distributor.storage.tables import meta

#: Counts stand among the single values, their keys behind this.
_PREFIX = "count."
_BETWEEN = "\t"


class Counters:
    """Sums by name and labels."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, counts: Mapping[Key, float]) -> None:
        """Add to the sums, all or nothing; in order, so that two processes never wait for each other in a ring."""
        if not counts:
            return
        with self._database.write("counters.add") as connection:
            for key in sorted(counts):
                stored = _PREFIX + _BETWEEN.join(part.replace(_BETWEEN, " ") for part in key)
                connection.execute(insert_new(connection, meta).values(key=stored, value="0"))
                connection.execute(_ADD, {"key": stored, "number": counts[key]})

    def load(self) -> dict[Key, float]:
        """Every sum."""
        query = select(meta.c.key, meta.c.value).where(meta.c.key.startswith(_PREFIX, autoescape=True))
        with self._database.read() as connection:
            rows = connection.execute(query)
            return {tuple(row.key.removeprefix(_PREFIX).split(_BETWEEN)): float(row.value) for row in rows}


_ADD = text(
    "UPDATE meta SET value = CAST(CAST(value AS DOUBLE PRECISION) + CAST(:number AS DOUBLE PRECISION) AS TEXT) "
    "WHERE key = :key"
)
