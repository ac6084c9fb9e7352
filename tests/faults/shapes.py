"""The table: what can go wrong on the wire, and what may be believed of the message afterwards.

Classes (facts/reliability.md 3.2): `sent` (B), `not sent` (A: it may be tried again), `refused` and `closed` (a
plain no of the service), `unknown` (C: everything else). Whatever the table says, a test also holds: nothing that
the public saw is ever anything but `sent` or `unknown`.

A shape is played before the service has processed the request, or after. One with a side missing cannot happen
there: a whole true yes comes only after, the service's own no only before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from distributor.core.errors import Busy, ChannelClosed, MessageRefused, Outage, RecipientGone
from distributor.core.message import Accepted, NotStarted, Outcome

BEFORE, AFTER = "before", "after"
BOTH = (BEFORE, AFTER)

SENT, NOT_SENT, REFUSED, CLOSED, UNKNOWN = "sent", "not sent", "refused", "closed", "unknown"

#: When the shape acts: instead of listening, before anything is read, inside TLS' handshake, or once the message
#: has come (HTTP: the request; SMTP: the verb named by the shape).
Moment = Literal["listen", "connect", "handshake", "message"]


@dataclass(frozen=True)
class Shape:
    """One thing that goes wrong. `expect`: the classes it may land in, for all services or by service.

    `waits`: the client's patience has to run out. `warm`: a message went well on the connection before.
    `knows`: the public sees exactly what the outcome says, because the answer was whole and true.
    """

    name: str
    play: Callable[[Any], None]
    expect: str | Mapping[str, str]
    sides: tuple[str, ...] = BOTH
    moment: Moment = "message"
    waits: bool = False
    warm: bool = False
    stage: str = ""
    login: str = ""

    def allows(self, service: str) -> set[str]:
        """The classes this shape may land in; none: the service has no such shape."""
        words = self.expect if isinstance(self.expect, str) else self.expect.get(service, self.expect.get("", ""))
        return {word for word in words.split("|") if word}


def classify(outcome: Outcome) -> str:
    """The class of an outcome, by its consequence."""
    match outcome:
        case Accepted():
            return SENT
        case Busy() | Outage():
            return NOT_SENT
        case MessageRefused() | RecipientGone():
            return REFUSED
        case ChannelClosed():
            return CLOSED
        case NotStarted():
            return "not started"
        case _:
            return UNKNOWN
