"""Small writes that several stores make inside their transactions: pauses, notices, attempts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, literal, select, text, update

from distributor.storage.database import run_quickly
from distributor.storage.inserting import insert_new
from distributor.storage.tables import Instant, channel, notice


def set_pause(connection: Connection, name: str, is_paused: bool, reason: str, by: str, now: datetime) -> None:
    """Write the pause of a channel, or its end, with who and why, and a notice of it.

    An open channel begins without a past for the breaker.
    """
    touch_channel(connection, name)
    values: dict[str, Any] = {
        "is_paused": True,
        "reason": reason,
        "since": func.coalesce(channel.c.since, literal(now, Instant())),
    }
    if not is_paused:
        values = {"is_paused": False, "reason": "", "since": None, "recent": ""}
    values["by"] = by
    connection.execute(update(channel).where(channel.c.name == name).values(values))
    word = "paused" if is_paused else "resumed"
    add_notice(
        connection,
        "audit",
        f"{word} {name}",
        f"{by} {word} {name}: {reason}" if reason else f"{by} {word} {name}",
        now,
    )


def add_notice(connection: Connection, level: str, subject: str, sentence: str, now: datetime) -> None:
    """One line for the operator's page and log. `level`: info | warning | alarm | audit."""
    connection.execute(insert(notice).values(at=now, level=level, subject=subject, text=sentence[:1000]))


#: Built once: they are asked for each batch.
_IS_KNOWN, _IS_PAUSED = (
    select(column).where(channel.c.name == bindparam("channel")) for column in (channel.c.name, channel.c.is_paused)
)
_IS_BINDING = _IS_PAUSED.with_for_update(read=True)


def touch_channel(connection: Connection, name: str) -> None:
    found = connection.execute(_IS_KNOWN, {"channel": name}).scalar()
    if found is None:
        connection.execute(insert_new(connection, channel).values(name=name, is_paused=False))


def is_paused(connection: Connection, name: str, is_binding: bool = False) -> bool:
    """Whether the channel is paused; `is_binding`: a pause that is being written waits for this transaction, so
    that nothing begins after `pause` has returned."""
    if is_binding:
        touch_channel(connection, name)
    return bool(connection.execute(_IS_BINDING if is_binding else _IS_PAUSED, {"channel": name}).scalar())


#: A try begins. One that was not counted (the service asked for patience) had the same number.
BEGIN_ATTEMPT = text(
    "INSERT INTO attempt (delivery_id, number, started_at, outcome) "
    "VALUES (:delivery_id, :number, :started_at, '') "
    "ON CONFLICT (delivery_id, number) DO UPDATE SET started_at = excluded.started_at, ended_at = NULL, "
    "outcome = '', detail = NULL, receipt = NULL"
)

_EVIDENCE = "INSERT INTO attempt (delivery_id, number, started_at, ended_at, outcome, detail, receipt) "
_BEGUN = (
    "ON CONFLICT (delivery_id, number) DO UPDATE SET ended_at = excluded.ended_at, "
    "outcome = excluded.outcome, detail = excluded.detail, receipt = excluded.receipt"
)
#: One row of evidence for one try.
UPSERT_ATTEMPT = text(
    f"{_EVIDENCE} VALUES (:delivery_id, :number, :started_at, :ended_at, :outcome, :detail, :receipt) {_BEGUN}"
)
#: Many tries in PostgreSQL's words.
_ROWS = (
    "SELECT * FROM json_to_recordset(%s::json) AS evidence (delivery_id bigint, number int, "
    "started_at float8, ended_at float8, outcome text, detail text, receipt text) "
)


def upsert_attempts(connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """Evidence of many tries. PostgreSQL gets one text: a thousand statements cost it and its driver five times
    as much."""
    if connection.dialect.name == "sqlite":
        run_quickly(connection, UPSERT_ATTEMPT.text, rows)
    else:
        connection.exec_driver_sql(_EVIDENCE + _ROWS + _BEGUN, (json.dumps(rows, ensure_ascii=False),))
