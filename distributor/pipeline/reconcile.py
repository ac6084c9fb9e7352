"""Did it go out? Asked of the service, for `unknown` deliveries only. Finding it settles it; not finding it decides
nothing: that is left to a person, because a message that is not there yet may still appear."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from distributor.core.contracts import Channel
from distributor.core.message import Accepted, Message
from distributor.core.sending import UnknownDelivery
from distributor.core.text_clean import make_storable

log = logging.getLogger(__name__)

#: How long after the loss of the answer a service is asked: timelines lag behind (facts/reliability.md 3.3).
ASK_AFTER = (timedelta(seconds=20), timedelta(seconds=60), timedelta(minutes=5))
#: What is older than this was asked about often enough; a person decides.
GIVE_UP_AFTER = timedelta(hours=1)


class Ledger(Protocol):
    """What reconciling asks of the ledger."""

    def list_unknown(self, channel_name: str, since: datetime) -> Sequence[UnknownDelivery]: ...
    def prove_sent(self, delivery_id: int, receipt: str, evidence: str, now: datetime) -> bool: ...


@dataclass
class Reconciler:
    """Asks a channel's service about its unknown deliveries, each at most three times in one run of the program."""

    channel: Channel
    ledger: Ledger
    asked: dict[int, int] = field(default_factory=dict)

    def ask_due(self, now: datetime) -> int:
        """Ask about what is due; returns how many were found."""
        found = 0
        for one in self.ledger.list_unknown(self.channel.name, now - GIVE_UP_AFTER):
            times = self.asked.get(one.delivery_id, 0)
            if times < len(ASK_AFTER) and now - one.since >= ASK_AFTER[times]:
                self.asked[one.delivery_id] = times + 1
                found += self._ask(one, now)
        return found

    def _ask(self, one: UnknownDelivery, now: datetime) -> bool:
        message = Message(one.delivery_id, one.edition, one.recipient, {}, one.attempts)
        told = {"delivery": one.delivery_id, "edition": one.edition.id, "channel": self.channel.name}
        try:
            outcome = self.channel.reconcile(message)
        except Exception:  # asking is a courtesy; the delivery stays unknown
            log.exception("the channel could not be asked about delivery %d", one.delivery_id, extra=told)
            return False
        if not isinstance(outcome, Accepted):
            return False
        log.info("delivery %d did go out: %s", one.delivery_id, outcome.detail, extra=told)
        receipt, detail = make_storable(outcome.receipt), make_storable(outcome.detail)
        return self.ledger.prove_sent(one.delivery_id, receipt, detail, now)
