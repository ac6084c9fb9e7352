"""Editions that a restored database never knew, or knew only as a plan, made again from the send record.

They get the numbers they had: links, letters and reports of services name them. Their words are lost; who has not
had them gets words made anew, when a person releases the edition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select, text, update

from distributor.storage.among import is_among
from distributor.storage.inserting import insert_new
from distributor.storage.kept import KeptEdition
from distributor.storage.tables import (
    delivery,
    edition,
    edition_post,
    link,
    metadata,
    occurrence,
    post,
    post_key,
    revision,
    subscriber,
)

_MANY = 1000


def recreate_edition(
    connection: Connection,
    edition_id: int | None,
    one: KeptEdition,
    posts: Mapping[int, dict[str, Any]],
    now: datetime,
) -> Counter[str]:
    """`edition_id` is None for an edition that is not there at all. Returns deliveries by state.

    It is complete when the record accounts for everybody, else held until a person has looked.
    """
    assert one.facts is not None
    facts = one.facts["edition"]
    ids = {old: _place_post(connection, posts[old]) for old in _post_ids(one) if old in posts}
    if edition_id is None:
        edition_id = _place_edition(connection, facts, ids, now)
    _place_parts(connection, edition_id, one.facts, ids)
    _place_deliveries(connection, edition_id, one, now)
    counts = Counter(state for state, _, _ in one.ended.values())
    # Another node's record may have told of others before.
    asked = (
        select(delivery.c.state, func.count()).where(delivery.c.edition_id == edition_id).group_by(delivery.c.state)
    )
    counts |= Counter({row[0]: int(row[1]) for row in connection.execute(asked)})
    connection.execute(update(edition).where(edition.c.id == edition_id).values(_state(facts, counts, now)))
    return counts


def _state(facts: Mapping[str, Any], counts: Counter[str], now: datetime) -> dict[str, Any]:
    audience = int(facts["audience"] or 0)
    gone = counts["sent"] + counts["failed"]
    if gone >= audience and not counts["unknown"]:
        sums = {"audience": gone, "sent": counts["sent"], "failed": counts["failed"], "skipped": 0, "presumed": 0}
        return {"state": "complete", "completed_at": now, "list": facts["list"], **sums}
    sentence = f"restored: {counts['sent']} of {audience} went out before, {counts['unknown']} are unknown"
    return {"state": "held", "reason": sentence, "list": facts["list"]}


def _post_ids(one: KeptEdition) -> list[int]:
    assert one.facts is not None
    return [int(row["post_id"]) for row in one.facts["posts"]]


def _place_post(connection: Connection, told: Mapping[str, Any]) -> int:
    """The story's number in this database: known by one of its names, else stored as it was told."""
    for source, key in told["keys"]:
        asked = select(post_key.c.post_id).where(post_key.c.source == source, post_key.c.key == key)
        found = connection.execute(asked).scalar()
        if found is not None:
            return int(found)
    values = {key: told[key] for key in told if key in post.c and key != "id"}
    number = int(
        connection.execute(
            insert(post).values(**_free(connection, post, told["id"]), **values).returning(post.c.id)
        ).scalar_one()
    )
    names = [{"source": source, "key": key, "post_id": number} for source, key in told["keys"]]
    if names:
        connection.execute(insert_new(connection, post_key), names)
    first = {"post_id": number, "number": told["revision"], "seen_at": told["first_seen_at"]}
    content = {"content": told["content"], "content_hash": told["content_hash"]}
    connection.execute(insert(revision).values(**first, **content))
    return number


def _free(connection: Connection, table: Table, number: int) -> dict[str, int]:
    """The old number, if nobody else has it."""
    taken = connection.execute(select(table.c.id).where(table.c.id == number)).scalar()
    return {"id": number} if taken is None else {}


def _place_edition(connection: Connection, facts: Mapping[str, Any], ids: Mapping[int, int], now: datetime) -> int:
    values = {key: facts[key] for key in facts if key in edition.c and key != "id"}
    head, _, old = str(facts["key"]).rpartition(":post:")
    if head and old.isdigit():
        values["key"] = f"{head}:post:{ids.get(int(old), int(old))}"
    else:
        due = {"schedule": facts["schedule"], "due_at": facts["due_at"], "planned_at": now}
        row = {"key": facts["key"], "outcome": "edition", "note": "by the send record", **due}
        connection.execute(insert_new(connection, occurrence).values(row))
    values |= {"state": "held", "content": None, "content_hash": None, "warnings": "[]"}
    statement = insert(edition).values(**_free(connection, edition, facts["id"]), **values)
    return int(connection.execute(statement.returning(edition.c.id)).scalar_one())


def _place_parts(connection: Connection, edition_id: int, facts: Mapping[str, Any], ids: Mapping[int, int]) -> None:
    """Which stories it told, and where its links lead: those in letters that are out must go on leading there."""
    told = [
        {**row, "post_id": ids[row["post_id"]], "edition_id": edition_id}
        for row in facts["posts"]
        if row["post_id"] in ids
    ]
    links = [{**row, "post_id": ids.get(row["post_id"]), "edition_id": edition_id} for row in facts["links"]]
    for table, rows in ((edition_post, told), (link, links)):
        if rows:
            connection.execute(insert_new(connection, table), rows)


def _place_deliveries(connection: Connection, edition_id: int, one: KeptEdition, now: datetime) -> None:
    for some in _slices(one.ended):
        known = _known_readers(connection, some)
        numbers = [one.ids.get(recipient, 0) for recipient in some]
        taken = set(
            connection.execute(select(delivery.c.id).where(is_among(connection, delivery.c.id, numbers))).scalars()
        )
        rows = [_delivery(edition_id, recipient, one, taken, now) for recipient in some if recipient in known]
        for group in ([row for row in rows if "id" in row], [row for row in rows if "id" not in row]):
            if group:
                connection.execute(insert_new(connection, delivery), group)


def _known_readers(connection: Connection, recipients: list[int]) -> set[int]:
    """Readers who joined after the copy was made are gone with it; 0 stands for a channel with one voice."""
    rows = connection.execute(select(subscriber.c.id).where(is_among(connection, subscriber.c.id, recipients)))
    return {0, *rows.scalars()}


def _delivery(edition_id: int, recipient: int, one: KeptEdition, taken: set[int], now: datetime) -> dict[str, Any]:
    state = one.ended[recipient][0]
    number = one.ids.get(recipient)
    return {
        **({"id": number} if number and number not in taken else {}),
        "edition_id": edition_id,
        "recipient_id": recipient,
        "state": state,
        "attempts": 1,
        "reason": "no answer is on record" if state == "unknown" else None,
        "decided_by": "send record",
        "changed_at": now,
    }


def _slices(numbers: Iterable[int]) -> Iterable[list[int]]:
    every = list(numbers)
    return (every[start : start + _MANY] for start in range(0, len(every), _MANY))


def reset_counts(connection: Connection) -> None:
    """PostgreSQL counts on from where it was, not from the highest number there is."""
    if connection.dialect.name != "postgresql":
        return
    for table in metadata.sorted_tables:
        if "id" in table.c:
            highest = int(connection.execute(select(func.max(table.c.id))).scalar() or 0)
            asked = text(f"SELECT pg_get_serial_sequence('{table.name}', 'id')")
            counter = connection.execute(asked).scalar()
            if counter and highest:
                now_at = f"(SELECT last_value FROM {counter})"  # noqa: S608 - a name the server itself has given
                moved = text(f"SELECT setval('{counter}', greatest(:highest, {now_at}))")
                connection.execute(moved, {"highest": highest})
