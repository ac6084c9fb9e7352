"""The tables. Times are UTC instants stored as seconds since the epoch, so both databases order them alike."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMES)


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime in Python, a double in the database."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: datetime | float | None, dialect: Any) -> float | None:
        if value is None or isinstance(value, int | float):
            return value
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone reached the database: {value!r}")
        return value.timestamp()

    def process_result_value(self, value: float | None, dialect: Any) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value, UTC)


Id = BigInteger().with_variant(Integer(), "sqlite")

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

source = Table(
    "source",
    metadata,
    Column("name", Text, primary_key=True),
    Column("state", Text, nullable=False, default="{}"),
    Column("next_poll_at", Instant),
    Column("last_poll_at", Instant),
    Column("last_ok_at", Instant),
    Column("failures", Integer, nullable=False, default=0),
    Column("error", Text, nullable=False, default=""),
    #: How many new posts the last polls brought, newest last, as JSON: what a burst is measured against.
    Column("arrivals", Text, nullable=False, default="[]"),
)

post = Table(
    "post",
    metadata,
    Column("id", Id, primary_key=True),
    Column("source", Text, nullable=False),
    #: live | waiting (until not_before) | held (reason) | baseline | dropped
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("not_before", Instant),
    Column("headline", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("revision", Integer, nullable=False, default=1),
    Column("first_seen_at", Instant, nullable=False),
    #: The earliest moment it could have gone out had we been watching without a gap.
    Column("ripe_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("published_at", Instant),
    Index("ix_post_status_ripe_at", "status", "ripe_at"),
    Index("ix_post_changed_at", "changed_at"),
    Index("ix_post_source_published_at", "source", "published_at"),
)

post_key = Table(
    "post_key",
    metadata,
    Column("source", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("post_id", Id, ForeignKey("post.id"), nullable=False),
    Index("ix_post_key_key", "key"),
    Index("ix_post_key_post_id", "post_id"),
)

revision = Table(
    "revision",
    metadata,
    Column("post_id", Id, ForeignKey("post.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("seen_at", Instant, nullable=False),
    Column("content", Text, nullable=False),
    Column("content_hash", Text, nullable=False),
)

schedule = Table(
    "schedule",
    metadata,
    Column("name", Text, primary_key=True),
    #: Posts seen before this moment are history to the schedule and never sent by it.
    Column("started_at", Instant, nullable=False),
    Column("planned_until", Instant, nullable=False),
)

occurrence = Table(
    "occurrence",
    metadata,
    Column("key", Text, primary_key=True),
    Column("schedule", Text, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("planned_at", Instant, nullable=False),
    #: edition | empty | late | superseded
    Column("outcome", Text, nullable=False),
    Column("note", Text, nullable=False, default=""),
    Index("ix_occurrence_schedule_due_at", "schedule", "due_at"),
)

edition = Table(
    "edition",
    metadata,
    Column("id", Id, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("schedule", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("form", Text, nullable=False),
    #: The list whose members are the audience; "" for one voice. Fixed with the audience.
    Column("list", Text, nullable=False, default=""),
    #: planned | frozen | complete | parked (template, reason) | held (reason) | dropped
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("token", Text, nullable=False, unique=True),
    Column("title", Text, nullable=False, default=""),
    Column("due_at", Instant, nullable=False),
    Column("late_after", Instant),
    Column("created_at", Instant, nullable=False),
    Column("frozen_at", Instant),
    Column("completed_at", Instant),
    Column("content", Text),
    Column("content_hash", Text),
    Column("warnings", Text, nullable=False, default="[]"),
    #: The accounting identity, stored when the edition completes: audience = sent + failed + skipped + presumed.
    Column("audience", Integer),
    Column("sent", Integer),
    Column("failed", Integer),
    Column("skipped", Integer),
    Column("presumed", Integer),
    Index("ix_edition_channel_state", "channel", "state"),
    Index("ix_edition_state_due_at", "state", "due_at"),
)

edition_post = Table(
    "edition_post",
    metadata,
    # One story once per schedule, whatever the occurrence.
    Column("schedule", Text, primary_key=True),
    Column("post_id", Id, ForeignKey("post.id"), primary_key=True),
    Column("edition_id", Id, ForeignKey("edition.id"), nullable=False),
    Column("position", Integer, nullable=False),
    #: item | overflow (only counted in "more on the site")
    Column("role", Text, nullable=False),
    Column("revision", Integer),
    Index("ix_edition_post_edition_id", "edition_id"),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Id, primary_key=True),
    Column("edition_id", Id, ForeignKey("edition.id"), nullable=False),
    #: A subscriber, or 0 on a channel with one voice.
    Column("recipient_id", Id, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("reason", Text),
    Column("fence", Text),
    Column("lease_until", Instant),
    Column("not_before", Instant),
    Column("may_duplicate", Boolean),
    Column("decided_by", Text),
    Column("changed_at", Instant, nullable=False),
    UniqueConstraint("edition_id", "recipient_id"),
    #: With the id, so that the next queued ones of an edition are read in order and nothing is sorted.
    Index("ix_delivery_edition_id_state_id", "edition_id", "state", "id"),
)

attempt = Table(
    "attempt",
    metadata,
    Column("delivery_id", Id, ForeignKey("delivery.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    #: sent | queued | held | failed | unknown; empty while it is on the wire
    Column("outcome", Text, nullable=False, default=""),
    Column("detail", Text),
    Column("receipt", Text),
)

#: Evidence of many first answers at once: a yes to each of a batch's readers, in one row (storage/receipts.py).
receipt_page = Table(
    "receipt_page",
    metadata,
    Column("edition_id", Id, ForeignKey("edition.id"), primary_key=True),
    #: The lowest and the highest delivery on the page.
    Column("first_id", Id, primary_key=True),
    Column("last_id", Id, nullable=False),
    #: Which try of each of them it was.
    Column("number", Integer, nullable=False),
    #: When the first of them was started.
    Column("started_at", Instant, nullable=False),
    Column("data", Text, nullable=False),
)

subscriber = Table(
    "subscriber",
    metadata,
    Column("id", Id, primary_key=True),
    Column("address", Text, nullable=False),
    Column("address_key", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, default=""),
    #: active | unreachable
    Column("status", Text, nullable=False, default="active"),
    Column("reason", Text, nullable=False, default=""),
    Column("created_at", Instant, nullable=False),
    Column("consent", Text, nullable=False, default=""),
)

list_member = Table(
    "list_member",
    metadata,
    Column("list", Text, primary_key=True),
    Column("subscriber_id", Id, ForeignKey("subscriber.id"), primary_key=True),
    #: member | left
    Column("state", Text, nullable=False, default="member"),
    Column("since", Instant, nullable=False),
    Index("ix_list_member_subscriber_id", "subscriber_id"),
)

suppression = Table(
    "suppression",
    metadata,
    Column("address_key", Text, primary_key=True),
    #: "" suppresses every list.
    Column("list", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

link = Table(
    "link",
    metadata,
    Column("id", Id, primary_key=True),
    Column("slug", Text, nullable=False, unique=True),
    Column("key", Text, nullable=False, unique=True),
    Column("target", Text, nullable=False),
    Column("post_id", Id, ForeignKey("post.id")),
    Column("edition_id", Id, ForeignKey("edition.id")),
    Column("schedule", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("slot", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("ix_link_post_id", "post_id"),
    Index("ix_link_edition_id", "edition_id"),
)

click = Table(
    "click",
    metadata,
    Column("id", Id, primary_key=True),
    Column("link_id", Id, ForeignKey("link.id"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("klass", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("ruleset", Integer, nullable=False),
    Column("visitor", Text, nullable=False, default=""),
    Column("agent", Text, nullable=False, default=""),
    Column("referrer", Text, nullable=False, default=""),
    Index("ix_click_link_id_at", "link_id", "at"),
)

click_hour = Table(
    "click_hour",
    metadata,
    Column("link_id", Id, ForeignKey("link.id"), primary_key=True),
    Column("hour", BigInteger, primary_key=True),
    Column("klass", Text, primary_key=True),
    Column("count", Integer, nullable=False),
)

journal = Table(
    "journal",
    metadata,
    Column("name", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
)

service_event = Table(
    "service_event",
    metadata,
    Column("id", Id, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("channel", Text, nullable=False),
    Column("delivery_id", Id, ForeignKey("delivery.id")),
    Column("kind", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("detail", Text, nullable=False, default=""),
    Index("ix_service_event_delivery_id", "delivery_id"),
)

pace = Table(
    "pace",
    metadata,
    Column("key", Text, primary_key=True),
    #: When the last messages went, oldest first, as JSON seconds.
    Column("stamps", Text, nullable=False, default="[]"),
    Column("rest_until", Instant),
)

channel = Table(
    "channel",
    metadata,
    Column("name", Text, primary_key=True),
    Column("is_paused", Boolean, nullable=False, default=False),
    Column("reason", Text, nullable=False, default=""),
    Column("since", Instant),
    Column("by", Text, nullable=False, default=""),
    Column("last_ok_at", Instant),
    Column("last_error", Text, nullable=False, default=""),
    Column("last_error_at", Instant),
    #: How the last messages ended, newest last, one letter each (core/breaker): what opens the circuit breaker.
    Column("recent", Text, nullable=False, default="", server_default=""),
)

#: Who may speak on a channel with one voice, across machines: one holder at a time, in order.
lane = Table(
    "lane",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("fence", Text, nullable=False),
    Column("lease_until", Instant, nullable=False),
)

#: The processes that run on this database. Times are the database's own clock.
worker = Table(
    "worker",
    metadata,
    Column("fence", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("process", Integer, nullable=False),
    Column("roles", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("beat_at", Instant, nullable=False),
)

#: What is wrong now and whom we told, so that one trouble is told once and its end too.
alert = Table(
    "alert",
    metadata,
    Column("key", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("since", Instant, nullable=False),
    Column("told_at", Instant),
)

notice = Table(
    "notice",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", Instant, nullable=False),
    #: info | warning | alarm | audit
    Column("level", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Index("ix_notice_at", "at"),
)
