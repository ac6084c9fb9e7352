"""The life of one delivery: its states, what each outcome does to it, and when it is tried again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from distributor.core import breaker, errors
from distributor.core.message import Accepted, NotStarted, Outcome
from distributor.core.text_clean import make_storable

State = Literal["queued", "claimed", "sending", "sent", "failed", "skipped", "held", "unknown", "presumed"]

#: Where a delivery may go from each state. Everything else is a bug and the ledger refuses it.
MOVES: dict[State, frozenset[State]] = {
    "queued": frozenset({"claimed", "held", "skipped"}),
    "claimed": frozenset({"sending", "queued", "skipped", "held", "sent", "failed", "unknown"}),
    "sending": frozenset({"sent", "queued", "failed", "held", "unknown"}),
    "held": frozenset({"queued", "skipped"}),
    "unknown": frozenset({"sent", "queued", "presumed"}),
    "presumed": frozenset({"sent"}),
    "sent": frozenset(),
    "failed": frozenset(),
    "skipped": frozenset(),
}

#: An edition is complete when every delivery is in one of these.
TERMINAL: frozenset[State] = frozenset({"sent", "failed", "skipped", "presumed"})

# Beginnings of the reasons why deliveries are held. `resume` lets go only what the channel's own closing holds.
CLOSED = "channel closed: "
LATE = "late"
REVIEW = "review"
STORY = "story: "
BYTES = "bytes: "


#: Seconds after which a service that asked for patience is asked again, whatever it said.
LONGEST_PATIENCE = 86_400.0


@dataclass(slots=True)
class Settlement:
    """What an outcome does to a delivery. Not frozen, because that takes three times as long for each reader.

    `wait`: seconds from now; for `queued` until the next try, for `unknown` until nobody can decide any more.
    """

    state: State
    reason: str = ""
    detail: str = ""
    receipt: str = ""
    wait: float = 0.0
    closes_channel: bool = False
    recipient_gone: bool = False
    #: False when the try is not counted: nothing was tried, or the service only asked for patience.
    is_attempt: bool = True
    #: The letter that the circuit breaker remembers (core/breaker); "" where it does not care.
    ending: str = ""


def settle(outcome: Outcome, attempt: int, attempts: int, seed: int) -> Settlement:
    """The one consequence of each outcome.

    `attempt` is the number of this try from 1, `attempts` how many outages a delivery may have for life,
    `seed` (the delivery id) spreads retries without a random generator, so a run can be repeated exactly.
    """
    # A service may answer with characters that no database takes; then its answer would count as lost.
    if isinstance(outcome, Accepted):
        detail, receipt = make_storable(outcome.detail), make_storable(outcome.receipt)
        return Settlement("sent", detail=detail, receipt=receipt, ending=breaker.ACCEPTED)
    if isinstance(outcome, NotStarted):
        return Settlement("queued", is_attempt=False)
    said, detail = make_storable(str(outcome)), make_storable(outcome.detail)
    match outcome:
        case errors.Busy():
            wait = min(max(outcome.retry_after, 0.1), LONGEST_PATIENCE)
            return Settlement("queued", said, detail, wait=wait, is_attempt=False)
        case errors.Outage():
            if attempt >= attempts:
                return Settlement("failed", f"{said} (gave up after {attempt} tries)", detail)
            return Settlement("queued", said, detail, wait=wait_before_retry(attempt, seed))
        case errors.MessageRefused():
            return Settlement("failed", said, detail, ending=breaker.REFUSED)
        case errors.RecipientGone():
            return Settlement("failed", said, detail, recipient_gone=True, ending=breaker.GONE)
        case errors.ChannelClosed():
            # Nothing went out, so nothing is lost: it waits for the person who reopens the channel.
            return Settlement("held", f"{CLOSED}{said}", detail, closes_channel=True)
        case _:
            return Settlement("unknown", said, detail)


def wait_before_retry(attempt: int, seed: int) -> float:
    """Seconds before try `attempt + 1`: 15, 60, 240, ... up to an hour, spread by +-20 %."""
    base: float = min(15.0 * 4.0 ** min(attempt - 1, 4), 3600.0)
    digest = hashlib.blake2b(f"{seed}:{attempt}".encode(), digest_size=2).digest()
    return base * (0.8 + 0.4 * int.from_bytes(digest, "big") / 65535)
