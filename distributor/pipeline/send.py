"""Out: claim, put on record, call the channel, settle. The only place that turns an answer into a state."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from distributor.core.breaker import ACCEPTED, add_endings, find_trouble
from distributor.core.contracts import Channel
from distributor.core.delivery import LONGEST_PATIENCE, settle
from distributor.core.errors import Busy, Outage, StorageError, Unknown
from distributor.core.message import Accepted, Edition, Message, NotStarted, Outcome, Pace, Recipient
from distributor.core.sending import Batch, Settled, Wait
from distributor.pipeline.reconcile import Ledger as UnknownLedger
from distributor.pipeline.send_counts import count_outcomes

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]

#: Seconds a list rests when nobody of a batch got through: it may have been those readers' own servers.
LONGEST_LIST_REST = 60.0
#: Seconds for which readers of a batch that is going out may leave unseen.
LEAVING_SEEN_WITHIN = 0.5


class Ledger(Protocol):
    """What sending asks of the ledger."""

    def claim(
        self,
        name: str,
        *,
        limit: int,
        paces: Sequence[Pace],
        fence: str,
        lease: float,
        now: datetime,
    ) -> Batch | Wait: ...
    def start(self, delivery_ids: Sequence[int], fence: str, now: datetime) -> list[int]: ...
    def find_gone(self, delivery_ids: Sequence[int]) -> set[int]: ...
    def settle(self, channel_name: str, fence: str, settled: Sequence[Settled], now: datetime) -> None: ...
    def rest_channel(self, name: str, until: datetime) -> None: ...


class Journal(Protocol):
    """What bulk sending asks of the send journal."""

    def note_started(self, delivery_ids: Sequence[int]) -> None: ...
    def note_accepted(self, delivery_id: int, receipt: str) -> None: ...
    def note_refused(self, delivery_ids: Sequence[int]) -> None: ...
    def forget(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Lane:
    """One channel and what sending on it needs. One thread owns a lane."""

    channel: Channel
    ledger: Ledger
    journal: Journal
    fence: str
    clock: Clock
    #: The personal slots of a recipient in an edition.
    slots: Callable[[Edition, Recipient], Mapping[str, str]]
    #: False as soon as nothing new may start (stopping, paused).
    may_start: Callable[[], bool]
    #: Sleeps between tries to reach the database again; returns early when stopping.
    pause: Callable[[float], None]
    #: Where unknown deliveries are looked up, to ask the service about them; None: nobody asks.
    unknowns: UnknownLedger | None = None
    lease: float = 900.0
    #: Seconds before the end of the lease from which nothing new is started, so that no holder outlives it.
    margin: float = 180.0

    def close(self) -> None:
        """Give back the channel's connections and the journal's file."""
        self.channel.close()
        self.journal.close()


def send_next(lane: Lane) -> float | None:
    """Send the next batch of the lane. Returns seconds until it is worth asking again: 0 when something was
    sent, None when only a wake-up can bring work."""
    channel = lane.channel
    if not lane.may_start():
        return None
    batch = lane.ledger.claim(
        channel.name,
        limit=channel.limits.batch,
        paces=channel.limits.paces,
        fence=lane.fence,
        lease=lane.lease,
        now=lane.clock(),
    )
    if isinstance(batch, Wait):
        return batch.seconds
    if batch.claimed:
        _send_batch(lane, batch)
    return 0.0


def _send_batch(lane: Lane, batch: Batch) -> None:
    messages = [_message(lane, batch.edition, item) for item in batch.claimed]
    is_bulk = lane.channel.limits.batch > 1
    wire = _Wire(lane, messages, is_bulk)
    begun = time.monotonic()
    outcomes = _call(lane, messages, wire)
    count_outcomes(lane.channel.name, outcomes, time.monotonic() - begun)
    now = lane.clock()
    settled = [wire.judge(index, outcome, now) for index, outcome in enumerate(outcomes)]
    _settle(lane, settled)
    _log_trouble(lane, batch.edition, settled)
    if is_bulk:
        lane.journal.forget()
    _rest(lane, outcomes, settled, is_bulk)


def _log_trouble(lane: Lane, edition: Edition, settled: Sequence[Settled]) -> None:
    """One line for each delivery that needs a look, without the reader's address."""
    for item in settled:
        what = item.settlement
        if what.state in ("unknown", "failed", "held"):
            told = {"delivery": item.delivery_id, "edition": edition.id, "channel": lane.channel.name}
            log.warning("delivery %d is %s: %s", item.delivery_id, what.state, what.reason, extra=told)


def _message(lane: Lane, edition: Edition, item: Any) -> Message:
    recipient = Recipient(item.recipient_id, item.address or lane.channel.address, item.name)
    return Message(item.delivery_id, edition, recipient, lane.slots(edition, recipient), item.attempts + 1)


def _call(lane: Lane, messages: Sequence[Message], wire: _Wire) -> list[Outcome]:
    """The channel's outcomes; a bug in a channel costs certainty about what was started, never a message."""
    try:
        outcomes = lane.channel.send(messages, wire)
        if len(outcomes) == len(messages):
            return outcomes
        log.error("channel returned %d outcomes for %d messages", len(outcomes), len(messages))
    except Exception as error:  # a channel's bug: what was started is unknown, the rest is untouched
        log.exception("channel %s failed", lane.channel.name)
        return [wire.outcomes.get(i) or _lost(wire, i, type(error).__name__) for i in range(len(messages))]
    return [wire.outcomes.get(i) or _lost(wire, i, "wrong number of outcomes") for i in range(len(messages))]


def _lost(wire: _Wire, index: int, why: str) -> Outcome:
    return Unknown(f"the channel broke off: {why}") if index in wire.started else NotStarted()


def _settle(lane: Lane, settled: Sequence[Settled]) -> None:
    """Tell the ledger, again and again while the database is away: what is known must not become unknown."""
    deadline = lane.clock() + timedelta(seconds=lane.lease)
    wait = 0.2
    while True:
        try:
            return lane.ledger.settle(lane.channel.name, lane.fence, settled, lane.clock())
        except StorageError as error:
            if lane.clock() >= deadline:
                raise
            log.warning("cannot settle %d deliveries yet: %s", len(settled), error)
            lane.pause(wait)
            wait = min(wait * 2, 10.0)


def _rest(lane: Lane, outcomes: Sequence[Outcome], settled: Sequence[Settled], is_bulk: bool) -> None:
    """A service that asked for patience, or that is away, is left alone by the whole channel for that time."""
    now = lane.clock()
    latest = (now + timedelta(seconds=LONGEST_PATIENCE)).timestamp()
    stamps = [o.rest_until for o in outcomes if isinstance(o, Accepted) and o.rest_until is not None]
    until = [datetime.fromtimestamp(min(stamp, latest), now.tzinfo) for stamp in stamps]
    if is_bulk:
        waits = [s.settlement.wait for o, s in zip(outcomes, settled, strict=True) if isinstance(o, Busy | Outage)]
        if waits and len(waits) == len(outcomes):
            until.append(now + timedelta(seconds=min(*waits, LONGEST_LIST_REST)))
    else:
        waits = [o.retry_after for o in outcomes if isinstance(o, Busy)]
        until += [now + timedelta(seconds=min(wait, LONGEST_PATIENCE)) for wait in waits]
    if until and max(until) > now:
        lane.ledger.rest_channel(lane.channel.name, max(until))


class _Wire:
    """Asks before a message starts, keeps who was started when and what came back."""

    def __init__(self, lane: Lane, messages: Sequence[Message], is_bulk: bool) -> None:
        self._lane = lane
        self._messages = messages
        self._is_bulk = is_bulk
        self._lock = threading.Lock()
        #: The claim has just looked at who left.
        self._looked_at = lane.clock()
        self._last_start = self._looked_at + timedelta(seconds=lane.lease - lane.margin)
        self._gone: frozenset[int] = frozenset()
        self._recent = ""
        self._is_broken = False
        self.started: dict[int, datetime] = {}
        self.outcomes: dict[int, Outcome] = {}

    def judge(self, index: int, outcome: Outcome, now: datetime) -> Settled:
        """What the ledger is to be told of one message."""
        message = self._messages[index]
        what = settle(outcome, message.attempt, self._lane.channel.limits.attempts, message.delivery_id)
        if isinstance(outcome, NotStarted) and index in self.started:
            what = replace(what, detail="stopped after an explicit no to its first form")
        if what.state == "unknown":
            what = replace(what, wait=self._lane.channel.limits.decide_within)
        return Settled(message.delivery_id, message.attempt, self.started.get(index, now), now, what)

    def start(self, indexes: Sequence[int]) -> bool:
        """False when stopping, paused, near the end of the lease, when so much was refused that the breaker will
        open, when a reader left meanwhile, or when it cannot be put on record."""
        now = self._lane.clock()
        if self._is_broken or not self._lane.may_start() or now > self._last_start:
            return False
        fresh = [i for i in indexes if i not in self.started]
        if self._is_bulk and not self._find_gone(now).isdisjoint(self._messages[i].delivery_id for i in fresh):
            return False
        if fresh and not self._record([self._messages[i].delivery_id for i in fresh], now):
            return False
        with self._lock:
            self.started.update(dict.fromkeys(fresh, now))
        return True

    def _find_gone(self, now: datetime) -> frozenset[int]:
        """Deliveries of the batch whose reader left since it was claimed, asked at most each half second."""
        with self._lock:
            if abs(now - self._looked_at) <= timedelta(seconds=LEAVING_SEEN_WITHIN):
                return self._gone
            waiting = [m.delivery_id for i, m in enumerate(self._messages) if i not in self.started]
            try:
                self._gone = frozenset(self._lane.ledger.find_gone(waiting)) if waiting else frozenset()
                self._looked_at = now
            except StorageError:
                return frozenset(waiting)  # who cannot ask does not send
            return self._gone

    def _record(self, delivery_ids: list[int], now: datetime) -> bool:
        """One voice: `sending` is committed in the database. Bulk: the send journal takes a line."""
        if not self._is_bulk:
            return len(self._lane.ledger.start(delivery_ids, self._lane.fence, now)) == len(delivery_ids)
        try:
            self._lane.journal.note_started(delivery_ids)
        except OSError as error:
            log.error("nothing more is sent on %s: %s", self._lane.channel.name, error)
            return False
        return True

    def _watch(self, index: int, outcome: Outcome) -> None:
        """A batch may be a thousand mails: what would open the breaker stops it before its end."""
        if not self._is_bulk:
            return
        ending = settle(outcome, 1, 1, self._messages[index].delivery_id).ending
        if ending != ACCEPTED and find_trouble(self._recent, ending, is_list=True):
            self._is_broken = True
        self._recent = add_endings(self._recent, ending)

    def settle(self, index: int, outcome: Outcome) -> None:
        with self._lock:
            self.outcomes[index] = outcome
            self._watch(index, outcome)
        if not self._is_bulk:
            return
        delivery_id = self._messages[index].delivery_id
        if isinstance(outcome, Accepted):
            self._lane.journal.note_accepted(delivery_id, outcome.receipt)
        elif index in self.started and not isinstance(outcome, Unknown):
            # Also what was put on record and then held back: its channel says that not one byte went.
            self._lane.journal.note_refused([delivery_id])
