"""Editions: planned once, frozen once, complete when the sums agree."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, update

from distributor.core.message import Content
from distributor.core.minting import MintedLink
from distributor.core.planning import HELD, NOT_AS_READ, EditionPlan, OccurrenceNote, PlannedEdition
from distributor.core.waking import Wakeup
from distributor.storage.database import Database
from distributor.storage.freezing import (
    add_deliveries,
    add_links,
    complete_editions,
    has_stories,
    leave_out,
    lock_planned,
    note_revisions,
)
from distributor.storage.held_audience import hold_for_audience
from distributor.storage.inserting import insert_new
from distributor.storage.planned_rows import read_planned
from distributor.storage.tables import (
    edition,
    edition_post,
    occurrence,
    post,
    schedule,
)

#: Planning further ahead than this was done under a wrong clock. What is nearer is left as it is, so that nothing
#: is due twice where a clock is set back by hours; a schedule that is due at once looks back further than this.
_WRONG_CLOCK = timedelta(days=1)
_A_MOMENT = timedelta(milliseconds=1)


class Editions:
    """What goes out, from plan to freeze. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- schedules -------------------------------------------------------------------------------------------

    def load_schedules(self) -> dict[str, tuple[datetime, datetime]]:
        """Name -> (started_at, planned_until) of every schedule that was ever planned."""
        with self._database.read() as connection:
            return _schedule_rows(connection)

    def start_schedules(self, names: Iterable[str], now: datetime) -> dict[str, tuple[datetime, datetime]]:
        """Remember schedules seen for the first time; returns name -> (started_at, planned_until) for all.

        A schedule begins after every story there is, also after those seen under a clock that was ahead. What was
        planned by a clock that was days ahead is brought back: until then nothing would be due.
        """
        wanted = set(names)
        known = self.load_schedules()
        is_ahead = any(until > now + _WRONG_CLOCK for _, until in known.values())
        if wanted <= known.keys() and not is_ahead:
            return known
        with self._database.write("editions.start_schedules") as connection:
            seen_at = connection.execute(select(func.max(post.c.first_seen_at))).scalar()
            begin = now if seen_at is None else max(now, seen_at + _A_MOMENT)
            for name in sorted(wanted - known.keys()):
                row = {"name": name, "started_at": begin, "planned_until": now}
                connection.execute(insert_new(connection, schedule).values(row))
            ahead = schedule.c.planned_until > now + _WRONG_CLOCK
            connection.execute(update(schedule).where(ahead).values(planned_until=now))
            return _schedule_rows(connection)

    def note_planned(self, name: str, until: datetime, notes: Sequence[OccurrenceNote], now: datetime) -> None:
        """Write what became of occurrences that made no edition, and how far planning has come."""
        with self._database.write("editions.note_planned") as connection:
            for note in notes:
                connection.execute(insert_new(connection, occurrence).values(_occurrence_row(name, note, now)))
            _move_planned_until(connection, name, until)

    # -- planning --------------------------------------------------------------------------------------------

    def add_edition(self, plan: EditionPlan, now: datetime) -> int | None:
        """Write one planned edition with its posts; None when it is there already or its posts are all taken.

        The unique keys of edition, occurrence and (schedule, post) make planning twice plan once, on any
        number of machines.
        """
        with self._database.write("editions.add_edition") as connection:
            found = connection.execute(
                insert_new(connection, edition).values(_edition_row(plan, now)).returning(edition.c.id)
            ).scalar()
            if found is None:
                return None
            taken = _claim_posts(connection, plan, int(found))
            if plan.post_ids and not taken:
                connection.execute(edition_post.delete().where(edition_post.c.edition_id == found))
                connection.execute(edition.delete().where(edition.c.id == found))
                return None
            if plan.note is not None:
                row = _occurrence_row(plan.schedule, plan.note, now)
                connection.execute(insert_new(connection, occurrence).values(row))
            return int(found)

    def list_planned(self, limit: int = 100) -> list[PlannedEdition]:
        """Editions that wait for their words, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(edition)
                .where(edition.c.state == "planned")
                .order_by(edition.c.due_at, edition.c.id)
                .limit(limit)
            ).all()
            return [read_planned(connection, row) for row in rows]

    def load_planned(self, edition_id: int) -> PlannedEdition | None:
        with self._database.read() as connection:
            row = connection.execute(select(edition).where(edition.c.id == edition_id)).one_or_none()
            return None if row is None else read_planned(connection, row)

    # -- freezing --------------------------------------------------------------------------------------------

    def freeze(
        self,
        edition_id: int,
        content: Content,
        *,
        list_name: str,
        revisions: dict[int, int],
        links: Sequence[MintedLink],
        now: datetime,
    ) -> int:
        """Fix content, links and audience in one transaction; returns the audience, NOT_AS_READ when it was frozen
        before or a story of `revisions` is no longer in it, HELD when it is held for its audience.

        `list_name` "" means one voice with one recipient. The audience is one INSERT .. SELECT that leaves out
        who is suppressed, unreachable or gone from the list.
        """
        with self._database.write("editions.freeze") as connection:
            planned = lock_planned(connection, edition_id)
            if planned is None or not has_stories(connection, edition_id, revisions):
                return NOT_AS_READ
            audience = add_deliveries(connection, edition_id, list_name, now)
            if list_name and hold_for_audience(connection, planned, audience, now):
                return HELD
            won = connection.execute(
                update(edition)
                .where(edition.c.id == edition_id, edition.c.state == "planned")
                .values(
                    state="frozen",
                    frozen_at=now,
                    audience=audience,
                    list=list_name,
                    content=content.to_json(),
                    content_hash=content.hash,
                    warnings=json.dumps(list(content.warnings)),
                )
                .returning(edition.c.schedule, edition.c.channel, edition.c.form)
            ).one()
            add_links(connection, links, won.schedule, won.channel, now)
            note_revisions(connection, edition_id, revisions)
            if audience == 0:
                complete_editions(connection, now, edition_id)
                return 0
            self._database.announce(connection, _wake_for(won, edition_id, audience))
            return audience

    def leave_out(self, edition_id: int, post_ids: Sequence[int], now: datetime) -> bool:
        """Go without these stories, which were withdrawn; False when the edition is planned no more."""
        with self._database.write("editions.leave_out") as connection:
            return leave_out(connection, edition_id, post_ids, now)

    def park(self, edition_id: int, state: str, reason: str) -> None:
        """Set a planned edition aside (`parked` by a template, `held` by a rule); the others go on."""
        with self._database.write("editions.park") as connection:
            connection.execute(
                update(edition)
                .where(edition.c.id == edition_id, edition.c.state == "planned")
                .values(state=state, reason=reason)
            )

    def unpark(self, edition_id: int, late_after: datetime | None) -> bool:
        """Let a parked or held edition be worded again."""
        with self._database.write("editions.unpark") as connection:
            return bool(
                connection.execute(
                    update(edition)
                    .where(edition.c.id == edition_id, edition.c.state.in_(("parked", "held")))
                    .values(state="planned", reason="", late_after=late_after)
                    .returning(edition.c.id)
                ).scalar()
            )

    def drop(self, edition_id: int, reason: str, now: datetime) -> bool:
        """Give up an edition that is not frozen; its posts stay taken and never come again on this schedule."""
        with self._database.write("editions.drop") as connection:
            return bool(
                connection.execute(
                    update(edition)
                    .where(edition.c.id == edition_id, edition.c.state.in_(("planned", "parked", "held")))
                    .values(state="dropped", reason=reason, completed_at=now)
                    .returning(edition.c.id)
                ).scalar()
            )

    def find_hold(self, edition_id: int) -> str:
        """Why an edition is held; "" when it is not."""
        held = (edition.c.id == edition_id, edition.c.state == "held")
        with self._database.read() as connection:
            return str(connection.execute(select(edition.c.reason).where(*held)).scalar() or "")

    def find_list(self, edition_id: int) -> str:
        """The list an edition went to; "" for one voice or no such edition."""
        with self._database.read() as connection:
            found = connection.execute(select(edition.c.list).where(edition.c.id == edition_id)).scalar()
        return str(found or "")

    def find_by_token(self, token: str) -> tuple[str, Content] | None:
        """(channel, content) of a frozen edition, for the page behind "view in browser"."""
        with self._database.read() as connection:
            row = connection.execute(
                select(edition.c.channel, edition.c.content).where(
                    edition.c.token == token, edition.c.content.is_not(None)
                )
            ).one_or_none()
        return None if row is None else (row.channel, Content.from_json(row.content))


def _wake_for(won: Any, edition_id: int, audience: int) -> Wakeup:
    return Wakeup(won.channel, edition_id, audience, is_urgent=won.form != "digest")


def _claim_posts(connection: Connection, plan: EditionPlan, edition_id: int) -> int:
    """How many of the plan's own stories nobody else has told on this schedule."""
    taken = 0
    roles = [(post_id, "item") for post_id in plan.post_ids] + [(p, "overflow") for p in plan.overflow_ids]
    for position, (post_id, role) in enumerate(roles):
        row = {
            "schedule": plan.schedule,
            "post_id": post_id,
            "edition_id": edition_id,
            "position": position,
            "role": role,
        }
        statement = insert_new(connection, edition_post).values(row).returning(edition_post.c.post_id)
        is_free = connection.execute(statement).scalar() is not None
        taken += is_free and role == "item"
    return taken


def _edition_row(plan: EditionPlan, now: datetime) -> dict[str, Any]:
    return {
        "key": plan.key,
        "schedule": plan.schedule,
        "channel": plan.channel,
        "form": plan.form,
        "state": "held" if plan.hold_reason else "planned",
        "reason": plan.hold_reason,
        "token": secrets.token_hex(8),
        "title": plan.title,
        "due_at": plan.due_at,
        "late_after": plan.late_after,
        "created_at": now,
        "warnings": "[]",
    }


def _occurrence_row(name: str, note: OccurrenceNote, now: datetime) -> dict[str, Any]:
    return {
        "key": note.key,
        "schedule": name,
        "due_at": note.due_at,
        "planned_at": now,
        "outcome": note.outcome,
        "note": note.text,
    }


def _schedule_rows(connection: Connection) -> dict[str, tuple[datetime, datetime]]:
    rows = connection.execute(select(schedule)).all()
    return {row.name: (row.started_at, row.planned_until) for row in rows}


def _move_planned_until(connection: Connection, name: str, until: datetime) -> None:
    connection.execute(
        update(schedule)
        .where(schedule.c.name == name, schedule.c.planned_until < until)
        .values(planned_until=until)
    )
