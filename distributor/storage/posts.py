"""Sources, their posts and what each poll found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import case, func, select, update

from distributor.core.identity import Known, SourceStats, Verdict
from distributor.core.last_look import PAGE, RELEASED
from distributor.core.post import Post
from distributor.core.reporting import SourceRow
from distributor.core.source_state import QuietPoll
from distributor.storage.arrivals import (
    NOTE_QUIET,
    describe_quiet,
    note_ok,
    read_seen_at,
    store_verdicts,
    tell_held,
    touch_source,
)
from distributor.storage.candidates import CANDIDATES, NEXT_HOUR
from distributor.storage.database import Database
from distributor.storage.notices import add_notice
from distributor.storage.post_rows import PostRow, read_post_row, with_sources
from distributor.storage.tables import post, post_key, source


@dataclass(frozen=True)
class PollCount:
    """What one poll changed, in posts."""

    new: int = 0
    changed: int = 0
    held: int = 0
    history: int = 0
    elsewhere: int = 0


#: A story that was released with its page gone is not asked for again: that stays on record with it.
_NO_REASON = case((post.c.reason.startswith(PAGE), RELEASED), else_="")


class Posts:
    """Stories and where they come from. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- sources ---------------------------------------------------------------------------------------------

    def load_sources(self) -> dict[str, SourceRow]:
        """Every source that was polled at least once."""
        with self._database.read() as connection:
            return {row.name: _source_row(row) for row in connection.execute(select(source))}

    def load_states(self) -> dict[str, str]:
        """The state of every source that was polled at least once. Asked each second, so it is one cheap look."""
        return dict(self._database.look("SELECT name, state FROM source"))

    def load_state(self, name: str) -> str:
        """The state of one source, "" when it was never polled."""
        with self._database.read() as connection:
            found = connection.execute(select(source.c.state).where(source.c.name == name)).scalar()
        return str(found or "")

    def source_stats(self, name: str) -> SourceStats:
        """What is usual for a source, for the blast brake."""
        with self._database.read() as connection:
            row = connection.execute(select(source).where(source.c.name == name)).one_or_none()
            newest = connection.execute(select(func.max(post.c.published_at)).where(post.c.source == name)).scalar()
            key = connection.execute(select(post_key.c.key).where(post_key.c.source == name).limit(1)).scalar()
        arrivals = [n for n in json.loads(row.arrivals) if n] if row else []
        state = json.loads(row.state) if row else {}
        first = state.get("first_polled_at") if isinstance(state, dict) else None
        return SourceStats(
            is_first_poll=key is None,
            first_polled_at=datetime.fromisoformat(first) if first else None,
            median_new_per_poll=float(median(arrivals)) if arrivals else 0.0,
            newest_published_at=newest,
        )

    def note_failure(self, name: str, state: str, error: str, next_poll_at: datetime | None, now: datetime) -> None:
        """A poll that could not be read: shown, and tried again at `next_poll_at`."""
        with self._database.write("posts.note_failure") as connection:
            touch_source(connection, name)
            connection.execute(
                update(source)
                .where(source.c.name == name)
                .values(
                    state=state,
                    error=error[:1000],
                    failures=source.c.failures + 1,
                    next_poll_at=next_poll_at,
                    last_poll_at=now,
                )
            )

    def note_quiet(self, polls: Sequence[QuietPoll]) -> None:
        """Polls that found nothing new: one small write for all of them."""
        if polls:
            self._database.note(NOTE_QUIET, [describe_quiet(one) for one in polls])

    def find_known(self, name: str, keys: Sequence[str]) -> dict[str, Known]:
        """Key -> stored post, for the keys of this source that are known."""
        found: dict[str, Known] = {}
        wanted = sorted(set(keys))
        with self._database.read() as connection:
            for start in range(0, len(wanted), 500):
                rows = connection.execute(
                    select(
                        post_key.c.key,
                        post.c.id,
                        post.c.content_hash,
                        post.c.status,
                        post.c.reason,
                        post.c.published_at,
                        post.c.source,
                        post.c.first_seen_at,
                    )
                    .join(post, post.c.id == post_key.c.post_id)
                    .where(post_key.c.source == name, post_key.c.key.in_(wanted[start : start + 500]))
                ).all()
                for row in rows:
                    held = row.reason if row.status == "held" else ""
                    is_elsewhere = row.source != name
                    known = Known(row.id, row.content_hash, held, row.published_at, is_elsewhere, row.first_seen_at)
                    found[row.key] = known
        return found

    def apply_poll(
        self,
        name: str,
        state: str,
        verdicts: Sequence[Verdict],
        enriched: Mapping[int, Post],
        next_poll_at: datetime | None,
        now: datetime,
    ) -> PollCount:
        """Write what a poll found, all or nothing. `enriched` maps a verdict's index to its filled-in post."""
        # Feeds list the newest first; stories are kept, and go out, in the order they were published.
        order = sorted(range(len(verdicts)), key=lambda i: (verdicts[i].post.published_at or now, -i))
        found = [(verdicts[i], enriched.get(i, verdicts[i].post)) for i in order]
        with self._database.write("posts.apply_poll") as connection:
            touch_source(connection, name)
            before = connection.execute(select(source.c.last_ok_at).where(source.c.name == name)).scalar()
            kinds = store_verdicts(connection, name, found, before, now)
            note_ok(connection, name, state, next_poll_at, now, kinds["new"] + kinds["held"])
            tell_held(connection, name, verdicts, now)
        history = kinds["baseline"] + kinds["old"]
        return PollCount(kinds["new"], kinds["changed"], kinds["held"], history, kinds["elsewhere"])

    # -- posts -----------------------------------------------------------------------------------------------

    def find_next_hour(self, since: datetime, now: datetime) -> datetime | None:
        """When the next story's own hour comes, of those that changed after `since`; None: none waits for one."""
        with self._database.read() as connection:
            found: datetime | None = connection.execute(NEXT_HOUR, {"since": since, "now": now}).scalar()
        return found

    def list_candidates(
        self,
        schedule: str,
        *,
        started_at: datetime,
        changed_since: datetime,
        after_id: int,
        now: datetime,
        limit: int = 1000,
    ) -> list[PostRow]:
        """Live posts first seen after `started_at` that this schedule has not told, in the order they changed.

        A page of those that changed after `changed_since`, or at that moment with an id greater than `after_id`.
        """
        values = {
            "schedule": schedule,
            "since": changed_since,
            "after_id": after_id,
            "started_at": started_at,
            "now": now,
            "most": limit,
        }
        with self._database.read() as connection:
            return with_sources(connection, connection.execute(CANDIDATES, values).all())

    def load_posts(self, ids: Sequence[int]) -> dict[int, PostRow]:
        """The posts of these ids as they are now."""
        with self._database.read() as connection:
            rows = connection.execute(select(post).where(post.c.id.in_(list(ids)))).all()
            return {row.id: row for row in with_sources(connection, rows)}

    def list_recent(self, limit: int = 50, status: str = "") -> list[PostRow]:
        """The newest posts first; only those of one status when it is given."""
        query = select(post).order_by(post.c.first_seen_at.desc(), post.c.id.desc()).limit(limit)
        if status:
            query = query.where(post.c.status == status)
        with self._database.read() as connection:
            return with_sources(connection, connection.execute(query).all())

    def list_section(self, section: str, before: datetime, leave_out: Sequence[int], limit: int) -> list[PostRow]:
        """Stories of a section from the last 30 days for "more from this section", newest first; history too."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(post)
                .where(
                    post.c.status.in_(("live", "baseline")),
                    post.c.id.not_in(list(leave_out)),
                    post.c.ripe_at <= before,
                    post.c.ripe_at > before - timedelta(days=30),
                )
                .order_by(post.c.ripe_at.desc(), post.c.id.desc())
                .limit(100)
            ).all()
        found = [read_post_row(row, ()) for row in rows]
        return [row for row in found if row.post.section == section][:limit]

    def release(self, ids: Sequence[int], by: str, now: datetime) -> int:
        """Let held posts go: they are planned as if they had just been published."""
        with self._database.write("posts.release") as connection:
            times = {"ripe_at": now, "first_seen_at": read_seen_at(connection, now), "changed_at": now}
            rows = connection.execute(
                update(post)
                .where(post.c.id.in_(list(ids)), post.c.status == "held")
                .values(status="live", reason=_NO_REASON, not_before=None, **times)
                .returning(post.c.id)
            ).all()
            add_notice(connection, "audit", "posts released", f"{by} released {len(rows)} held posts", now)
            return len(rows)

    def hold_gone(self, gone: Mapping[int, str], now: datetime) -> None:
        """Hold live stories whose pages are gone: story -> why."""
        with self._database.write("posts.hold_gone") as connection:
            for post_id, reason in gone.items():
                which = (post.c.id == post_id, post.c.status == "live")
                held = update(post).where(*which).values(status="held", reason=reason)
                row = connection.execute(held.returning(post.c.headline, post.c.source)).one_or_none()
                if row is not None:
                    text = (
                        f"{row.source}: {row.headline[:120]!r} is held: {reason.removeprefix(PAGE)}; to tell it "
                        f"all the same: distributor posts release {post_id}"
                    )
                    add_notice(connection, "warning", "vanished page", text, now)

    def drop(self, ids: Sequence[int], by: str, now: datetime) -> int:
        """Never send these held posts."""
        with self._database.write("posts.drop") as connection:
            rows = connection.execute(
                update(post)
                .where(post.c.id.in_(list(ids)), post.c.status == "held")
                .values(status="dropped")
                .returning(post.c.id)
            ).all()
            add_notice(connection, "audit", "posts dropped", f"{by} dropped {len(rows)} held posts", now)
            return len(rows)

    def list_held_ids(self, source_name: str = "") -> list[int]:
        with self._database.read() as connection:
            query = select(post.c.id).where(post.c.status == "held").order_by(post.c.id)
            if source_name:
                query = query.where(post.c.source == source_name)
            return [row.id for row in connection.execute(query)]


def _source_row(row: Any) -> SourceRow:
    return SourceRow(
        row.name, row.state, row.next_poll_at, row.last_ok_at, row.last_poll_at, row.failures, row.error
    )
