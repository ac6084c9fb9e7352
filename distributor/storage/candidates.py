"""What a schedule may tell: live posts that it has not told, in the order they changed."""

from __future__ import annotations

from sqlalchemy import bindparam, func, or_, select

from distributor.storage.tables import edition_post, post

_TOLD = select(edition_post.c.post_id).where(
    edition_post.c.schedule == bindparam("schedule"), edition_post.c.post_id == post.c.id
)
#: Asked each second by every schedule that does not wait for a time, so it is built only once.
CANDIDATES = (
    select(post)
    .where(
        post.c.changed_at >= bindparam("since"),
        or_(post.c.changed_at > bindparam("since"), post.c.id > bindparam("after_id")),
        post.c.status == "live",
        post.c.first_seen_at >= bindparam("started_at"),
        or_(post.c.not_before.is_(None), post.c.not_before <= bindparam("now")),
        ~_TOLD.exists(),
    )
    .order_by(post.c.changed_at, post.c.id)
    .limit(bindparam("most"))
)

#: When the next of those that wait for their own hour may be told.
NEXT_HOUR = select(func.min(post.c.not_before)).where(
    post.c.changed_at >= bindparam("since"), post.c.status == "live", post.c.not_before > bindparam("now")
)
