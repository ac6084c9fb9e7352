"""An edition that would go to many more readers than the one before it waits for a person."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, delete, or_, select, update

from distributor.core.planning import say_jump
from distributor.storage.notices import add_notice
from distributor.storage.tables import delivery, edition


def hold_for_audience(connection: Connection, planned: Any, audience: int, now: datetime) -> bool:
    """Hold a planned edition whose deliveries were just written when they are many more than the last one had.

    Its deliveries are taken back and its audience is kept: what a person lets go may be so large, and no larger.
    The first edition of a schedule on a channel goes, and so does one that has begun: a restored one.
    """
    before = _find_last(connection, planned)
    reason = "" if before is None else say_jump(audience, before, planned.audience or 0)
    if not reason or _has_begun(connection, planned.id):
        return False
    connection.execute(delete(delivery).where(delivery.c.edition_id == planned.id))
    values = {"state": "held", "reason": reason, "audience": audience}
    connection.execute(update(edition).where(edition.c.id == planned.id).values(values))
    remedy = f"distributor editions release {planned.id}"
    sentence = f"edition {planned.id} for {planned.channel} is held, {reason}; {remedy}"
    add_notice(connection, "alarm", "audience", sentence, now)
    return True


def _find_last(connection: Connection, planned: Any) -> int | None:
    """Readers of the last edition that went out on the same schedule and channel."""
    is_out = or_(
        edition.c.state == "frozen",
        and_(edition.c.state == "complete", edition.c.sent + edition.c.presumed > 0),
    )
    same = and_(edition.c.channel == planned.channel, edition.c.schedule == planned.schedule)
    others = select(edition.c.audience).where(same, edition.c.id != planned.id, is_out)
    return connection.execute(others.order_by(edition.c.id.desc()).limit(1)).scalar()


def _has_begun(connection: Connection, edition_id: int) -> bool:
    others = select(delivery.c.id).where(delivery.c.edition_id == edition_id, delivery.c.state != "queued")
    return connection.execute(others.limit(1)).scalar() is not None
