"""The two ends of a frozen edition: its audience and links when it begins, its sums when it is complete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, literal, select, text, update

from distributor.core.minting import MintedLink
from distributor.storage.database import Database
from distributor.storage.inserting import insert_new
from distributor.storage.notices import add_notice
from distributor.storage.tables import (
    delivery,
    edition,
    edition_post,
    link,
    list_member,
    post,
    subscriber,
    suppression,
)

#: Beginning of the reason of an edition whose deliveries are not as many as its audience.
MISMATCH = "does not add up"
#: How a delivery ends. Each is counted on the index by itself: one pass over all four would sort the whole edition.
_ENDS = ("sent", "failed", "skipped", "presumed")
_SUMS = ", ".join(
    f"(SELECT count(*) FROM delivery d WHERE d.edition_id = e.id AND d.state = '{end}') AS {end}"  # noqa: S608
    for end in _ENDS
)

_OPEN_CHANNELS = "SELECT DISTINCT channel FROM edition WHERE state = 'frozen'"


def has_open_edition(database: Database, channel_name: str) -> bool:
    """Whether the channel has an edition that is not complete. Every lane asks each second, so it is asked of the
    driver: with nothing open there is nothing to claim and nothing unknown."""
    return any(row[0] == channel_name for row in database.look(_OPEN_CHANNELS))


def complete_editions(connection: Connection, now: datetime, edition_id: int | None = None) -> list[int]:
    """Close every frozen edition whose deliveries are all terminal, with its sums; returns their ids.

    The sums are counted from the rows and compared with the audience in the same statement: an edition whose
    sums disagree is not closed, says so, and raises one alarm. It is counted again only when it is meant itself.
    """
    only = "AND e.id = :edition" if edition_id is not None else f"AND e.reason NOT LIKE '{MISMATCH}%'"
    rows = connection.execute(
        text(
            f"""
            SELECT e.id, e.audience, {_SUMS}
            FROM edition e
            WHERE e.state = 'frozen' {only}
              AND NOT EXISTS (SELECT 1 FROM delivery o WHERE o.edition_id = e.id
                              AND o.state IN ('queued', 'claimed', 'sending', 'held', 'unknown'))
            """  # noqa: S608 - the only inserted texts are constants
        ),
        {"edition": edition_id} if edition_id is not None else {},
    ).all()
    closed = []
    for row in rows:
        sums = {name: int(getattr(row, name)) for name in _ENDS}
        if sum(sums.values()) != (row.audience or 0):
            _alarm_mismatch(connection, row.id, row.audience or 0, sum(sums.values()), now)
            continue
        values = {"state": "complete", "completed_at": now, "reason": "", **sums}
        connection.execute(
            update(edition).where(edition.c.id == row.id, edition.c.state == "frozen").values(values)
        )
        closed.append(int(row.id))
    return closed


def _alarm_mismatch(connection: Connection, edition_id: int, planned: int, counted: int, now: datetime) -> None:
    reason = f"{MISMATCH}: {planned} planned, {counted} counted"
    told = connection.execute(
        update(edition)
        .where(edition.c.id == edition_id, edition.c.state == "frozen", edition.c.reason != reason)
        .values(reason=reason)
        .returning(edition.c.id)
    ).scalar()
    if told is not None:
        add_notice(
            connection, "alarm", "accounting", f"edition {edition_id} {reason}; see: distributor db check", now
        )


def lock_planned(connection: Connection, edition_id: int) -> Any:
    """The edition while nobody else can word or change it, None when it is planned no more."""
    wanted = select(edition).where(edition.c.id == edition_id, edition.c.state == "planned")
    return connection.execute(wanted.with_for_update()).one_or_none()


def has_stories(connection: Connection, edition_id: int, post_ids: Iterable[int]) -> bool:
    """Whether all of these are still stories of the edition: one may have been left out since it was read."""
    rows = connection.execute(select(edition_post.c.post_id).where(edition_post.c.edition_id == edition_id))
    return set(post_ids) <= set(rows.scalars())


def note_revisions(connection: Connection, edition_id: int, revisions: Mapping[int, int]) -> None:
    """Story -> the revision that was worded."""
    for post_id, number in revisions.items():
        which = (edition_post.c.edition_id == edition_id, edition_post.c.post_id == post_id)
        connection.execute(update(edition_post).where(*which).values(revision=number))


def leave_out(connection: Connection, edition_id: int, post_ids: Sequence[int], now: datetime) -> bool:
    """Take withdrawn stories out of a planned edition, free to be told later; False when it is planned no more."""
    row = lock_planned(connection, edition_id)
    if row is None:
        return False
    places = (edition_post.c.edition_id == edition_id, edition_post.c.role == "item")
    items = select(post.c.id, post.c.headline, post.c.status, post.c.reason).join(
        edition_post, edition_post.c.post_id == post.c.id
    )
    found = connection.execute(items.where(*places).order_by(edition_post.c.position)).all()
    out = [story for story in found if story.id in post_ids]
    left = [story.headline for story in found if story.id not in post_ids]
    connection.execute(delete(edition_post).where(*places, edition_post.c.post_id.in_(list(post_ids))))
    if left and row.title in {story.headline for story in out}:
        connection.execute(update(edition).where(edition.c.id == edition_id).values(title=left[0]))
    for story in out:
        why = f"{story.status} ({story.reason})" if story.reason else story.status
        sentence = f"edition {edition_id} for {row.channel} goes without {story.headline[:120]!r}, which is {why}"
        add_notice(connection, "warning", "withdrawn story", sentence, now)
    return True


def add_deliveries(connection: Connection, edition_id: int, list_name: str, now: datetime) -> int:
    fixed = {"edition_id": edition_id, "state": "queued", "attempts": 0, "changed_at": now}
    # After a restore the edition may know some readers already: those who have had it.
    known = connection.execute(select(delivery.c.id).where(delivery.c.edition_id == edition_id).limit(1)).scalar()
    add = insert(delivery) if known is None else insert_new(connection, delivery)
    if not list_name:
        connection.execute(add.values(recipient_id=0, **fixed))
        return 1
    stamp = now.timestamp()
    members = (
        select(
            literal(edition_id),
            list_member.c.subscriber_id,
            literal("queued"),
            literal(0),
            literal(stamp),
        )
        .join(subscriber, subscriber.c.id == list_member.c.subscriber_id)
        .outerjoin(
            suppression,
            (suppression.c.address_key == subscriber.c.address_key) & suppression.c.list.in_(("", list_name)),
        )
        .where(
            list_member.c.list == list_name,
            list_member.c.state == "member",
            subscriber.c.status == "active",
            suppression.c.address_key.is_(None),
        )
        .order_by(list_member.c.subscriber_id)
    )
    names = ["edition_id", "recipient_id", "state", "attempts", "changed_at"]
    connection.execute(add.from_select(names, members))
    counted = select(func.count()).select_from(delivery).where(delivery.c.edition_id == edition_id)
    return int(connection.execute(counted).scalar_one())


def add_links(
    connection: Connection, links: Sequence[MintedLink], schedule_name: str, channel_name: str, now: datetime
) -> None:
    rows = [
        {
            "slug": one.slug,
            "key": one.key,
            "target": one.target,
            "post_id": one.post_id,
            "edition_id": one.edition_id,
            "schedule": schedule_name,
            "channel": channel_name,
            "slot": one.slot,
            "created_at": now,
        }
        for one in links
    ]
    if rows:
        connection.execute(insert_new(connection, link), rows)
