"""The pipeline's side of a send: who may start, who was started when, what came back, what is on record."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from distributor.core.breaker import ACCEPTED, WINDOW, add_endings, find_trouble
from distributor.core.contracts import Wire
from distributor.core.delivery import settle
from distributor.core.errors import ChannelClosed, StorageError, Unknown
from distributor.core.message import Accepted, Message, Outcome
from distributor.core.sending import Wait
from distributor.pipeline.send_ahead import Ahead
from distributor.pipeline.send_lane import Lane, Taken

log = logging.getLogger(__name__)

#: For so long readers of a batch that is going out may leave unseen.
LEAVING_SEEN_WITHIN = timedelta(seconds=0.5)
#: Batches in one call of a channel. Then all of it is settled, and the send journal is emptied.
MOST_BATCHES = 10


@dataclass
class Part:
    """One claimed batch within a call of a channel: which messages it is, and what became of them."""

    first: int
    messages: Sequence[Message]
    #: From when on nothing of it is started, so that no holder outlives its lease.
    last_start: datetime
    started: dict[int, datetime] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    def list_waiting(self) -> list[int]:
        """Deliveries of which nothing was started."""
        return [one.delivery_id for at, one in enumerate(self.messages, self.first) if at not in self.started]


class LaneWire(Wire):
    """Asks before a message starts, keeps who was started when and what came back, hands out what is claimed ahead.

    Answers wait in memory until the next message starts or the channel says that it waits (`flush`), and are then
    one write to the send journal together with those who start. A connection carries one message at a time and asks
    for the next one behind the answer. So at each moment the journal lacks the answers of at most as many messages
    as there are connections, and those count as messages whose answer a kill kept from us.
    """

    def __init__(self, lane: Lane, taken: Taken, ahead: Ahead, close_part: Callable[[Part], None]) -> None:
        """`close_part` takes each batch that is through while another one is under way, in `ahead`'s thread."""
        self._lane = lane
        self._edition = taken.edition
        self._ahead = ahead
        self._close_part = close_part
        self._is_bulk = lane.channel.limits.batch > 1
        self._lock = threading.RLock()
        self._accepted: list[tuple[int, str]] = []
        self._refused: list[int] = []
        #: The claim has just looked at who left.
        self._looked_at = taken.at
        self._gone: frozenset[int] = frozenset()
        self._recent = ""
        #: How many were accepted since `_recent` was written.
        self._in_a_row = 0
        self._batches = 0
        #: Nothing more may start: too much was refused, or the service wants its rest.
        self.is_over = False
        #: The batches that are not through yet, oldest first, and the number of messages in all of the call.
        self.parts: list[Part] = []
        self.count = 0
        self._append(taken)

    def _append(self, taken: Taken) -> Sequence[Message]:
        patience = timedelta(seconds=self._lane.lease - self._lane.margin)
        with self._lock:
            self.parts.append(Part(self.count, taken.messages, taken.at + patience))
            self._looked_at = min(self._looked_at, taken.at)
            for part in self.parts[:-1]:
                self._end_part(part)
        self.count += len(taken.messages)
        self._batches += 1
        return taken.messages

    def more(self) -> Sequence[Message] | None:
        """The batch that was claimed ahead, of the same edition; nothing where the last one was not a full one."""
        is_last = not self.parts or len(self.parts[-1].messages) < self._lane.channel.limits.batch
        if is_last or not self._is_bulk or self._batches >= MOST_BATCHES or not self._may_go_on():
            return ()
        found = self._ahead.look()
        if found is None:
            return None
        if isinstance(found, Wait) or found.edition != self._edition:
            return ()
        self._ahead.take()
        return self._append(found) if found.messages else None

    def _may_go_on(self) -> bool:
        return not self.is_over and self._lane.may_start()

    def start(self, indexes: Sequence[int]) -> bool:
        """False when stopping, paused, near the end of the lease, when so much was refused that the breaker will
        open, when a reader left meanwhile, or when it cannot be put on record."""
        now = self._lane.clock()
        if not self._may_go_on() or now > self.parts[0].last_start:
            return False
        ids: list[int] = []
        fresh: list[tuple[Part, int]] = []
        for index in indexes:
            part = self._find_part(index)
            if index not in part.started:
                fresh.append((part, index))
                ids.append(part.messages[index - part.first].delivery_id)
        if self._is_bulk and not self._find_gone(now).isdisjoint(ids):
            return False
        if ids and not self._record(ids, now):
            return False
        for part, index in fresh:
            part.started[index] = now
        return True

    def _find_part(self, index: int) -> Part:
        part = self.parts[-1]
        return part if part.first <= index else next(p for p in reversed(self.parts) if p.first <= index)

    def _find_gone(self, now: datetime) -> frozenset[int]:
        """Deliveries in hand whose reader left since they were claimed, asked at most each half second."""
        with self._lock:
            if abs(now - self._looked_at) <= LEAVING_SEEN_WITHIN:
                return self._gone
            waiting = [one for part in self.parts for one in part.list_waiting()]
            try:
                self._gone = frozenset(self._lane.ledger.find_gone(waiting)) if waiting else frozenset()
                self._looked_at = now
            except StorageError:
                return frozenset(waiting)  # who cannot ask does not send
            return self._gone

    def _record(self, delivery_ids: list[int], now: datetime) -> bool:
        """One voice: `sending` is committed in the database. Bulk: the send journal has a line."""
        if not self._is_bulk:
            return len(self._lane.ledger.start(delivery_ids, self._lane.fence, now)) == len(delivery_ids)
        try:
            self._note(delivery_ids)
        except OSError as error:
            log.error("nothing more is sent on %s: %s", self._lane.channel.name, error)
            return False
        return True

    def _note(self, started: Sequence[int]) -> None:
        """Under the lock: the line of who starts on a connection may not come before that of the answer there."""
        with self._lock:
            accepted, self._accepted = self._accepted, []
            refused, self._refused = self._refused, []
            if accepted or refused or started:
                self._lane.journal.note(accepted, refused, started)

    def flush(self) -> None:
        self._note(())

    def settle(self, index: int, outcome: Outcome) -> None:
        with self._lock:
            part = self._find_part(index)
            part.outcomes[index] = outcome
            if self._is_bulk:
                self._keep(part, index, outcome)
                if len(part.outcomes) == len(part.messages):
                    self._end_part(part)

    def _keep(self, part: Part, index: int, outcome: Outcome) -> None:
        """What the journal is to be told."""
        delivery_id = part.messages[index - part.first].delivery_id
        if isinstance(outcome, Accepted):
            self._accepted.append((delivery_id, outcome.receipt))
            self._in_a_row += 1
            return
        if index in part.started and not isinstance(outcome, Unknown):
            # Also what was put on record and then held back: its channel says that not one byte went.
            self._refused.append(delivery_id)
        self._watch(outcome)

    def _watch(self, outcome: Outcome) -> None:
        """A call may be thousands of mails: what would open the breaker stops it before its end."""
        self._recent = add_endings(self._recent, ACCEPTED * min(self._in_a_row, WINDOW))
        self._in_a_row = 0
        ending = settle(outcome, 1, 1, 0).ending
        if isinstance(outcome, ChannelClosed) or find_trouble(self._recent, ending, is_list=True):
            self.is_over = True
        self._recent = add_endings(self._recent, ending)

    def _end_part(self, part: Part) -> None:
        """Settled behind the channel's back while it goes on; the last one is settled when it is through."""
        if len(part.outcomes) == len(part.messages) and self._ahead.is_used and part is not self.parts[-1]:
            self.parts.remove(part)
            self._ahead.settle(lambda: self._close_part(part))
