"""Out: claim, put on record, call the channel, settle. The only place that turns an answer into a state."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from distributor.core.delivery import LONGEST_PATIENCE, settle
from distributor.core.errors import Busy, Outage, StorageError, Unknown
from distributor.core.message import Accepted, Edition, NotStarted, Outcome
from distributor.core.sending import Settled, Wait
from distributor.pipeline.send_ahead import Ahead
from distributor.pipeline.send_counts import count_outcomes
from distributor.pipeline.send_lane import Journal, Lane, Ledger, Taken
from distributor.pipeline.send_wire import LaneWire, Part

__all__ = ["Journal", "Lane", "Ledger", "send_next"]

log = logging.getLogger(__name__)

#: Seconds a list rests when nobody of a batch got through: it may have been those readers' own servers.
LONGEST_LIST_REST = 60.0


def send_next(lane: Lane) -> float | None:
    """Send the next batch of the lane, and for a list those behind it as long as the channel takes them in one go.

    Returns seconds until it is worth asking again: 0 when something was sent, None when only a wake-up can bring
    work.
    """
    if not lane.may_start():
        return None
    taken = lane.claim()
    if isinstance(taken, Wait):
        return taken.seconds
    ahead: Taken | None = taken if taken.messages else None
    while ahead is not None:
        ahead = _Call(lane, ahead).run()
    return 0.0


class _Call:
    """One call of a channel, with the batches that it takes along."""

    def __init__(self, lane: Lane, taken: Taken) -> None:
        self._lane = lane
        self._is_bulk = lane.channel.limits.batch > 1
        self._edition = taken.edition
        self._ahead = Ahead(lane)
        self._wire = LaneWire(lane, taken, self._ahead, self._close_part)
        self._messages = taken.messages
        self._counted = time.monotonic()

    def run(self) -> Taken | None:
        """What was claimed ahead and not taken along, to be sent next."""
        outcomes = self._send()
        left = self._ahead.finish()
        is_well = False
        try:
            self._ahead.raise_failed()
            self._close(outcomes)
            is_well = not self._wire.is_over and self._lane.may_start()
        finally:
            if left is not None and not is_well:
                self._give_back(left)
        return left if is_well else None

    def _close(self, outcomes: Sequence[Outcome]) -> None:
        for part in self._wire.parts:
            part.outcomes = dict(enumerate(outcomes[part.first : part.first + len(part.messages)], part.first))
            self._close_part(part)
        if self._is_bulk:
            self._lane.journal.forget()

    def _send(self) -> Sequence[Outcome]:
        """The channel's outcomes; a bug in a channel costs certainty about what was started, never a message."""
        lane, wire = self._lane, self._wire
        try:
            outcomes = lane.channel.send(self._messages, wire)
            if len(outcomes) == wire.count:
                return outcomes
            why = "wrong number of outcomes"
            log.error("channel returned %d outcomes for %d messages", len(outcomes), wire.count)
        except Exception as error:  # a channel's bug: what was started is unknown, the rest is untouched
            why = type(error).__name__
            log.exception("channel %s failed", lane.channel.name)
        finally:
            wire.flush()
        found: list[Outcome] = [NotStarted()] * wire.count
        for part in wire.parts:
            for index in range(part.first, part.first + len(part.messages)):
                found[index] = part.outcomes.get(index) or _lost(part, index, why)
        return found

    def _close_part(self, part: Part) -> None:
        """Every message of this batch has its outcome: count, settle, tell, rest."""
        lane = self._lane
        outcomes = [part.outcomes[index] for index in range(part.first, part.first + len(part.messages))]
        begun, self._counted = self._counted, time.monotonic()
        count_outcomes(lane.channel.name, outcomes, self._counted - begun)
        now = lane.clock()
        settled = [_judge(lane, part, at, outcome, now) for at, outcome in enumerate(outcomes)]
        _settle(lane, settled)
        _log_trouble(lane, self._edition, settled)
        if _rest(lane, outcomes, settled, self._is_bulk):
            self._wire.is_over = True

    def _give_back(self, left: Taken) -> None:
        now = self._lane.clock()
        part = Part(0, left.messages, now)
        _settle(self._lane, [_judge(self._lane, part, at, NotStarted(), now) for at in range(len(left.messages))])


def _lost(part: Part, index: int, why: str) -> Outcome:
    return Unknown(f"the channel broke off: {why}") if index in part.started else NotStarted()


def _judge(lane: Lane, part: Part, at: int, outcome: Outcome, now: datetime) -> Settled:
    """What the ledger is to be told of one message."""
    message, index = part.messages[at], part.first + at
    what = settle(outcome, message.attempt, lane.channel.limits.attempts, message.delivery_id)
    if isinstance(outcome, NotStarted) and index in part.started:
        what = replace(what, detail="stopped after an explicit no to its first form")
    if what.state == "unknown":
        what = replace(what, wait=lane.channel.limits.decide_within)
    return Settled(message.delivery_id, message.attempt, part.started.get(index, now), now, what)


def _log_trouble(lane: Lane, edition: Edition, settled: Sequence[Settled]) -> None:
    """One line for each delivery that needs a look, without the reader's address."""
    for item in settled:
        what = item.settlement
        if what.state in ("unknown", "failed", "held"):
            told = {"delivery": item.delivery_id, "edition": edition.id, "channel": lane.channel.name}
            log.warning("delivery %d is %s: %s", item.delivery_id, what.state, what.reason, extra=told)


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


def _rest(lane: Lane, outcomes: Sequence[Outcome], settled: Sequence[Settled], is_bulk: bool) -> bool:
    """A service that asked for patience, or that is away, is left alone by the whole channel for that time.

    Returns whether it is.
    """
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
    if not until or max(until) <= now:
        return False
    lane.ledger.rest_channel(lane.channel.name, max(until))
    return True
