"""What a poll found, written down: new stories, revisions, other names of known ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from distributor.core.identity import Verdict
from distributor.core.post import Post, post_to_json
from distributor.storage.inserting import insert_new
from distributor.storage.notices import add_notice
from distributor.storage.tables import post, post_key, revision, source

_ARRIVALS_KEPT = 30


def apply_verdict(
    connection: Connection, name: str, verdict: Verdict, filled: Post, last_ok_at: datetime | None, now: datetime
) -> str:
    if verdict.post_id is not None:
        _add_keys(connection, name, verdict.keys, verdict.post_id)
        owner = connection.execute(select(post.c.source).where(post.c.id == verdict.post_id)).scalar()
        if owner != name:
            return "elsewhere"  # the source that brought a story first words it; two would overwrite each other
        return _apply_known(connection, verdict, verdict.post_id, filled, now)
    if verdict.kind == "same":
        return "same"
    twin = _find_elsewhere(connection, name, verdict.keys)
    if twin is not None:
        _add_keys(connection, name, verdict.keys, twin)
        return "elsewhere"
    _insert_post(connection, name, verdict, filled, last_ok_at, now)
    return verdict.kind


def _insert_post(
    connection: Connection, name: str, verdict: Verdict, filled: Post, last_ok_at: datetime | None, now: datetime
) -> None:
    status = {"new": "live", "held": "held", "baseline": "baseline", "old": "baseline"}.get(verdict.kind, "held")
    content = post_to_json(filled)
    post_id = connection.execute(
        insert(post)
        .values(
            source=name,
            status=status,
            reason=verdict.reason,
            not_before=verdict.not_before,
            headline=filled.headline,
            content=content,
            content_hash=verdict.content_hash,
            revision=1,
            first_seen_at=now,
            ripe_at=verdict.not_before or _ripe_at(filled.published_at, last_ok_at, now),
            changed_at=now,
            published_at=filled.published_at,
        )
        .returning(post.c.id)
    ).scalar_one()
    _add_keys(connection, name, verdict.keys, post_id)
    _add_revision(connection, post_id, 1, content, verdict.content_hash, now)


def _ripe_at(published_at: datetime | None, last_ok_at: datetime | None, now: datetime) -> datetime:
    """The earliest moment the story could have gone out had no poll been missed."""
    if published_at is None or last_ok_at is None:
        return now
    return min(max(published_at, last_ok_at), now)


def _apply_known(connection: Connection, verdict: Verdict, post_id: int, filled: Post, now: datetime) -> str:
    values: dict[str, Any] = {}
    if verdict.kind == "changed" or (verdict.kind == "released" and verdict.is_changed):
        number = connection.execute(select(post.c.revision).where(post.c.id == post_id)).scalar_one() + 1
        content = post_to_json(filled)
        _add_revision(connection, post_id, number, content, verdict.content_hash, now)
        values = {
            "content": content,
            "content_hash": verdict.content_hash,
            "headline": filled.headline,
            "revision": number,
            "changed_at": now,
            "published_at": filled.published_at,
        }
    if verdict.kind == "changed" and verdict.reason:
        values |= {"status": "held", "reason": verdict.reason}
    if verdict.kind == "released":
        ripe_at = verdict.not_before or now
        values |= {"status": "live", "reason": "", "ripe_at": ripe_at, "first_seen_at": now, "changed_at": now}
    if verdict.not_before is not None:
        values["not_before"] = verdict.not_before
    if values:
        connection.execute(update(post).where(post.c.id == post_id).values(values))
    return verdict.kind


def _add_revision(
    connection: Connection, post_id: int, number: int, content: str, content_hash: str, now: datetime
) -> None:
    row = {"post_id": post_id, "number": number, "seen_at": now, "content": content, "content_hash": content_hash}
    connection.execute(insert(revision).values(row))


def _find_elsewhere(connection: Connection, name: str, keys: Sequence[str]) -> int | None:
    links = [key for key in keys if key.startswith("link:")]
    if not links:
        return None
    query = select(post_key.c.post_id).where(post_key.c.key.in_(links), post_key.c.source != name)
    found = connection.execute(query.order_by(post_key.c.post_id).limit(1)).scalar()
    return None if found is None else int(found)


def _add_keys(connection: Connection, name: str, keys: Sequence[str], post_id: int) -> None:
    rows = [{"source": name, "key": key, "post_id": post_id} for key in dict.fromkeys(keys)]
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


def tell_held(connection: Connection, name: str, verdicts: Sequence[Verdict], now: datetime) -> None:
    reasons: dict[str, int] = {}
    for verdict in verdicts:
        if verdict.kind == "held":
            reasons[verdict.reason] = reasons.get(verdict.reason, 0) + 1
    for reason, count in sorted(reasons.items()):
        stories = "1 story is" if count == 1 else f"{count} stories are"
        sentence = f"{name}: {stories} held ({reason}); see: distributor posts --held"
        add_notice(connection, "warning", "held posts", sentence, now)
