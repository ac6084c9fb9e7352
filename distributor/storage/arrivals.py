"""What a poll found, written down: new stories, revisions, other names of known ones."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, or_, select, update

from distributor.core.identity import Verdict
from distributor.core.post import Post, post_to_json
from distributor.core.source_state import QuietPoll
from distributor.storage.inserting import insert_new
from distributor.storage.notices import add_notice
from distributor.storage.tables import post, post_key, revision, schedule, source

_ARRIVALS_KEPT = 30
#: "arriving" as a number.
_ARRIVING = 0x61727276


def store_verdicts(
    connection: Connection,
    name: str,
    found: Sequence[tuple[Verdict, Post]],
    last_ok_at: datetime | None,
    now: datetime,
) -> Counter[str]:
    """Write down what a poll found, each with its filled-in post, in this order; returns how many of each kind.

    The kind "elsewhere" is a story that another source brought first: it becomes one more name of that post.
    """
    kinds: Counter[str] = Counter()
    fresh = []
    for verdict, filled in found:
        if verdict.post_id is not None:
            _add_keys(connection, _key_rows(name, verdict.keys, verdict.post_id))
            _apply_known(connection, verdict, verdict.post_id, filled, now)
        elif verdict.kind != "same":
            fresh.append((verdict, filled))
            continue
        kinds[verdict.kind] += 1
    kinds.update(_store_fresh(connection, name, fresh, last_ok_at, now))
    return kinds


def _store_fresh(
    connection: Connection,
    name: str,
    fresh: Sequence[tuple[Verdict, Post]],
    last_ok_at: datetime | None,
    now: datetime,
) -> Iterator[str]:
    """The kind of each. A few statements for all of them: a burst of thousands must not keep the sends waiting."""
    if fresh and connection.dialect.name == "postgresql":
        # One at a time, as on SQLite: two sources, or two machines, may bring the same story in one moment.
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ARRIVING})")
    twins = _find_elsewhere(connection, name, [key for verdict, _ in fresh for key in verdict.keys])
    keys, own = [], []
    for verdict, filled in fresh:
        twin = min((twins[key] for key in verdict.keys if key in twins), default=None)
        if twin is None:
            own.append((verdict, filled, _post_row(name, verdict, filled, last_ok_at, now)))
        else:
            keys += _key_rows(name, verdict.keys, twin)
        yield verdict.kind if twin is None else "elsewhere"
    seen_at = read_seen_at(connection, now) if own else now
    for _, _, row in own:
        row["first_seen_at"] = seen_at
    revisions = []
    for (verdict, _, row), post_id in zip(own, _insert_posts(connection, [row for _, _, row in own]), strict=True):
        keys += _key_rows(name, verdict.keys, post_id)
        revisions.append(_revision_row(post_id, 1, row["content"], verdict.content_hash, now))
    _add_keys(connection, keys)
    if revisions:
        connection.execute(insert(revision), revisions)


def read_seen_at(connection: Connection, now: datetime) -> datetime:
    """When a story that comes now counts as seen: after every schedule there is began, also where one began under a
    clock that was ahead. What was seen before its schedule began is never told."""
    began = connection.execute(select(func.max(schedule.c.started_at))).scalar()
    return now if began is None else max(now, began)


def _post_row(
    name: str, verdict: Verdict, filled: Post, last_ok_at: datetime | None, now: datetime
) -> dict[str, Any]:
    return {
        "source": name,
        "status": {"new": "live", "held": "held", "baseline": "baseline", "old": "baseline"}[verdict.kind],
        "reason": verdict.reason,
        "not_before": verdict.not_before,
        "headline": filled.headline,
        "content": post_to_json(filled),
        "content_hash": verdict.content_hash,
        "revision": 1,
        # Waiting for its hour, or until it has settled, makes no story late, and no late story news.
        "ripe_at": _ripe_at(filled.published_at, last_ok_at, now) + ((verdict.not_before or now) - now),
        "changed_at": now,
        "published_at": filled.published_at,
    }


def _insert_posts(connection: Connection, rows: Sequence[dict[str, Any]]) -> Sequence[int]:
    """Their ids, in the same order and ascending."""
    if not rows:
        return ()
    statement = insert(post).returning(post.c.id, sort_by_parameter_order=True)
    return connection.execute(statement, rows).scalars().all()


def _ripe_at(published_at: datetime | None, last_ok_at: datetime | None, now: datetime) -> datetime:
    """The earliest moment the story could have gone out had no poll been missed."""
    if published_at is None or last_ok_at is None:
        return now
    return min(max(published_at, last_ok_at), now)


def _apply_known(connection: Connection, verdict: Verdict, post_id: int, filled: Post, now: datetime) -> None:
    if verdict.kind == "changed" or (verdict.kind == "released" and verdict.is_changed):
        _revise(connection, verdict, post_id, filled, now)
    values: dict[str, Any] = {}
    if verdict.kind == "released":
        seen_at, ripe_at = read_seen_at(connection, now), verdict.not_before or now
        values |= {"status": "live", "reason": "", "ripe_at": ripe_at, "first_seen_at": seen_at, "changed_at": now}
    if verdict.not_before is not None:
        values["not_before"] = verdict.not_before
    if values:
        connection.execute(update(post).where(post.c.id == post_id).values(values))


def _revise(connection: Connection, verdict: Verdict, post_id: int, filled: Post, now: datetime) -> None:
    """The next revision. One with a reason holds a live story; history and what was dropped stay what they are."""
    row = connection.execute(select(post.c.revision, post.c.status).where(post.c.id == post_id)).one()
    content, number = post_to_json(filled), row.revision + 1
    connection.execute(insert(revision).values(_revision_row(post_id, number, content, verdict.content_hash, now)))
    is_held = row.status == "live" and bool(verdict.reason)
    held = {"status": "held", "reason": verdict.reason} if is_held else {}
    connection.execute(
        update(post)
        .where(post.c.id == post_id)
        .values(
            content=content,
            content_hash=verdict.content_hash,
            headline=filled.headline,
            revision=number,
            changed_at=now,
            published_at=filled.published_at,
            **held,
        )
    )


def _revision_row(post_id: int, number: int, content: str, content_hash: str, now: datetime) -> dict[str, Any]:
    return {"post_id": post_id, "number": number, "seen_at": now, "content": content, "content_hash": content_hash}


def _find_elsewhere(connection: Connection, name: str, keys: Sequence[str]) -> dict[str, int]:
    """Key -> the oldest post that has it: of another source, by link, or of this one, where somebody else stored
    the same story since we looked."""
    wanted = sorted(set(keys))
    found: dict[str, int] = {}
    for start in range(0, len(wanted), 500):
        rows = connection.execute(
            select(post_key.c.key, func.min(post_key.c.post_id))
            .where(
                post_key.c.key.in_(wanted[start : start + 500]),
                or_(post_key.c.source == name, post_key.c.key.startswith("link:")),
            )
            .group_by(post_key.c.key)
        )
        found.update({row[0]: int(row[1]) for row in rows})
    return found


def _key_rows(name: str, keys: Sequence[str], post_id: int) -> list[dict[str, Any]]:
    return [{"source": name, "key": key, "post_id": post_id} for key in dict.fromkeys(keys)]


def _add_keys(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert_new(connection, post_key), rows)


def touch_source(connection: Connection, name: str) -> None:
    connection.execute(
        insert_new(connection, source).values(name=name, state="{}", failures=0, error="", arrivals="[]")
    )


def note_ok(
    connection: Connection, name: str, state: str, next_poll_at: datetime | None, now: datetime, new: int = 0
) -> None:
    values: dict[str, Any] = {
        "state": state,
        "next_poll_at": next_poll_at,
        "last_poll_at": now,
        "last_ok_at": now,
        "failures": 0,
        "error": "",
    }
    if new:
        before = json.loads(connection.execute(select(source.c.arrivals).where(source.c.name == name)).scalar_one())
        values["arrivals"] = json.dumps([*before, new][-_ARRIVALS_KEPT:])
    connection.execute(update(source).where(source.c.name == name).values(values))


def describe_quiet(poll: QuietPoll) -> dict[str, object]:
    """The values of `NOTE_QUIET`."""
    return {
        "name": poll.name,
        "state": poll.state,
        "next_poll_at": poll.next_poll_at and poll.next_poll_at.timestamp(),
        "at": poll.at.timestamp(),
    }


NOTE_QUIET = (
    "INSERT INTO source (name, state, next_poll_at, last_poll_at, last_ok_at, failures, error, arrivals) "
    "VALUES (:name, :state, :next_poll_at, :at, :at, 0, '', '[]') ON CONFLICT (name) DO UPDATE SET "
    "state = excluded.state, next_poll_at = excluded.next_poll_at, last_poll_at = excluded.last_poll_at, "
    "last_ok_at = excluded.last_ok_at, failures = 0, error = ''"
)


def tell_held(connection: Connection, name: str, verdicts: Sequence[Verdict], now: datetime) -> None:
    reasons: dict[str, int] = {}
    for verdict in verdicts:
        if verdict.kind == "held":
            reasons[verdict.reason] = reasons.get(verdict.reason, 0) + 1
    for reason, count in sorted(reasons.items()):
        stories = "1 story is" if count == 1 else f"{count} stories are"
        sentence = f"{name}: {stories} held ({reason}); see: distributor posts --held"
        add_notice(connection, "warning", "held posts", sentence, now)
