"""The last look before a byte leaves: are these the frozen words, and may their stories still be told?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from distributor.core.delivery import BYTES, STORY
from distributor.core.message import hash_content
from distributor.storage.among import is_among
from distributor.storage.notices import add_notice
from distributor.storage.tables import delivery, edition_post, post

#: What a story may have become between wording and sending.
#: Built once: it is asked for each batch.
_FIRST_WITHDRAWN = (
    select(post.c.headline, post.c.status, post.c.reason)
    .join(edition_post, edition_post.c.post_id == post.c.id)
    .where(edition_post.c.edition_id == bindparam("edition"), edition_post.c.role == "item")
    .where(post.c.status.in_(("held", "dropped")))
    .order_by(edition_post.c.position)
    .limit(1)
)


def hold_changed_bytes(connection: Connection, whole: Any, now: datetime) -> bool:
    """Hold an edition whose content is not what was frozen; whether it was so. No release lets that out."""
    if hash_content(whole.content or "") == whole.content_hash:
        return False
    reason = f"{BYTES}its words are not those that were frozen"
    held = update(delivery).where(delivery.c.edition_id == whole.id, delivery.c.state == "queued")
    connection.execute(held.values(state="held", reason=reason, not_before=None, changed_at=now))
    text = (
        f"edition {whole.id} for {whole.channel} is held: its words changed in the database after they were frozen"
    )
    add_notice(connection, "alarm", "changed bytes", text, now)
    return True


def hold_withdrawn(connection: Connection, whole: Any, now: datetime, ids: Sequence[int] = ()) -> bool:
    """Hold what waits of an edition (or claimed `ids` of it) when one of its stories was held or dropped meanwhile.

    What a person released or resent since is let go. Whether anything was held.
    """
    story = connection.execute(_FIRST_WITHDRAWN, {"edition": whole.id}).one_or_none()
    if story is None:
        return False
    state = "claimed" if ids else "queued"
    which = is_among(connection, delivery.c.id, ids) if ids else delivery.c.edition_id == whole.id
    why = f"{story.status} ({story.reason})" if story.reason else story.status
    reason = f"{STORY}{story.headline[:120]!r} was {why} meanwhile"
    held = connection.execute(
        update(delivery)
        .where(which, delivery.c.state == state, delivery.c.decided_by.is_(None))
        .values(state="held", reason=reason, fence=None, lease_until=None, not_before=None, changed_at=now)
        .returning(delivery.c.id)
    ).all()
    if held:
        text = f"edition {whole.id} for {whole.channel} is held: {reason.removeprefix(STORY)}"
        add_notice(connection, "alarm", "withdrawn story", text, now)
    return bool(held)
