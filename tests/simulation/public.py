"""The public: what each service really did, whoever says otherwise. Broken promises to readers are seen here."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from distributor.core.message import Message
from distributor.storage.database import Database
from tests.simulation.newsroom import Newsroom
from tests.simulation.world import World

_STORY = re.compile(r"Story (\d+) ")
#: What was claimed in time may go out until nothing more is started under its lease.
IN_FLIGHT = timedelta(seconds=730)
#: Seconds a pause may stay unseen by a batch (storage/pauses); the clock moves on with each look.
PAUSE_SEEN = 0.3


@dataclass(frozen=True)
class Sighting:
    """One message as somebody saw it."""

    delivery_id: int
    edition_id: int
    channel: str
    schedule: str
    address: str
    receipt: str
    at: datetime


@dataclass
class Public:
    """Everyone who sees messages. `resends` are decisions of a person to take the chance of a second one."""

    world: World
    newsroom: Newsroom
    database: Database
    seen: list[Sighting] = field(default_factory=list)
    times_seen: Counter[int] = field(default_factory=Counter)
    resends: Counter[int] = field(default_factory=Counter)
    #: Deliveries that a person said are out.
    vouched: set[int] = field(default_factory=set)
    #: Started, with no answer on record yet.
    in_flight: set[int] = field(default_factory=set)
    receipts: dict[int, str] = field(default_factory=dict)
    released_posts: set[int] = field(default_factory=set)
    late: list[Message] = field(default_factory=list)
    _bytes: dict[int, Any] = field(default_factory=dict)
    _told: dict[tuple[str, str, int], int] = field(default_factory=dict)
    _editions: dict[int, Any] = field(default_factory=dict)
    #: Edition -> who it was frozen for.
    audiences: dict[int, set[int]] = field(default_factory=dict)

    # -- right before and when a message starts --------------------------------------------------------------

    def check_claim(self, messages: list[Message]) -> None:
        """At this moment, right after the claim's commit, nobody of the batch may be barred (I4)."""
        barred = self.find_barred(messages[0].edition.id) if messages[0].recipient.id else set()
        for message in messages:
            self.world.require(
                message.recipient.id not in barred, f"delivery {message.delivery_id} is claimed for a barred reader"
            )

    def find_barred(self, edition_id: int) -> set[int]:
        return {row[0] for row in self.database.look(_BARRED.format(edition=int(edition_id)))}

    def check_start(self, message: Message) -> None:
        """When the first byte may go: on time, not paused (I3)."""
        edition = self._edition(message.edition.id)
        now = self.world.now
        say = f"delivery {message.delivery_id} of edition {message.edition.id}"
        self.world.require(edition["due_at"] <= self.world.latest.timestamp(), f"{say} starts before its time")
        late_after = self._late_after(message.edition.id)
        is_late = late_after is not None and now.timestamp() > late_after + IN_FLIGHT.total_seconds()
        self.world.require(not is_late, f"{say} starts after its max_lateness")
        paused = self.database.look(f"SELECT since FROM channel WHERE is_paused AND name = '{edition['channel']}'")
        seen_within = PAUSE_SEEN if message.recipient.id else 0.0
        is_paused = bool(paused) and abs(now.timestamp() - paused[0][0]) > seen_within
        self.world.require(not is_paused, f"{say} starts on a paused channel")

    # -- when it is public -----------------------------------------------------------------------------------

    def see(self, message: Message) -> str:
        """The service does what it was asked; returns its receipt."""
        one = message.delivery_id
        self.times_seen[one] += 1
        receipt = f"r{one}-{self.times_seen[one]}"
        self.receipts[one] = receipt
        edition = message.edition
        address = message.recipient.address
        self.seen.append(
            Sighting(one, edition.id, edition.channel, edition.schedule, address, receipt, self.world.now)
        )
        self.world.say(f"    public: sees delivery {one} of edition {edition.id} on {edition.channel} {address}")
        self._check_once(message)
        self._check_bytes(message)
        self._check_audience(message)
        for number in read_stories(message):
            self._check_story(message, number)
        return receipt

    def _check_once(self, message: Message) -> None:
        one = message.delivery_id
        times, allowed = self.times_seen[one], 1 + self.resends[one]
        self.world.require(times <= allowed, f"delivery {one} is visible {times} times, allowed are {allowed}")
        if times > 1:
            flagged = self.database.look(f"SELECT may_duplicate FROM delivery WHERE id = {int(one)}")[0][0]
            self.world.require(bool(flagged), f"delivery {one} is visible twice and not marked may_duplicate")

    def _check_bytes(self, message: Message) -> None:
        """Every try says the same (I5)."""
        edition = message.edition
        said = (edition.content.hash, edition.token, message.recipient, dict(message.slots))
        before = self._bytes.setdefault(message.delivery_id, said)
        self.world.require(before == said, f"delivery {message.delivery_id} says something else than at first")
        frozen = self._edition(edition.id)["content_hash"]
        self.world.require(frozen == edition.content.hash, f"edition {edition.id} is not what was frozen")

    def _check_audience(self, message: Message) -> None:
        known = self.audiences.get(message.edition.id, set())
        self.world.require(
            message.recipient.id in known, f"delivery {message.delivery_id} goes to somebody outside its audience"
        )

    def _check_story(self, message: Message, number: int) -> None:
        """One story once per schedule and reader; never history, never before its own hour, never a draft."""
        key = (message.edition.schedule, message.recipient.address, number)
        first = self._told.setdefault(key, message.edition.id)
        say = f"story {number} on {message.edition.schedule}"
        self.world.require(
            first == message.edition.id, f"{say} is told by editions {first} and {message.edition.id}"
        )
        story = self.newsroom.stories[number]
        self.world.require(not story.is_history, f"{say} is history and is told")
        early = story.published_at is not None and story.published_at > self.world.latest
        self.world.require(not early, f"{say} is told before its hour {story.published_at}")
        is_kept_back = not story.was_ever_clean and number not in self.released_posts
        self.world.require(not is_kept_back, f"{say} is a draft that nobody released and is told")

    # -- what it asks of the database ------------------------------------------------------------------------

    def _edition(self, edition_id: int) -> dict[str, Any]:
        if edition_id not in self._editions:
            row = self.database.look(
                f"SELECT due_at, content_hash, channel FROM edition WHERE id = {int(edition_id)}"
            )[0]
            self._editions[edition_id] = dict(zip(("due_at", "content_hash", "channel"), row, strict=True))
        found: dict[str, Any] = self._editions[edition_id]
        return found

    def _late_after(self, edition_id: int) -> float | None:
        found: float | None = self.database.look(f"SELECT late_after FROM edition WHERE id = {int(edition_id)}")[0][
            0
        ]
        return found


def read_stories(message: Message) -> list[int]:
    return [int(found) for found in _STORY.findall(message.edition.content.payload["words"])]


_BARRED = """
SELECT s.id FROM subscriber s
JOIN edition e ON e.id = {edition}
LEFT JOIN list_member m ON m.subscriber_id = s.id AND m.list = e.list
WHERE s.status <> 'active' OR m.state IS NULL OR m.state <> 'member' OR EXISTS (
  SELECT 1 FROM suppression x WHERE x.address_key = s.address_key AND x.list IN ('', e.list))
"""
