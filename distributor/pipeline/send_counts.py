"""What sending counts for who watches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from distributor.core.errors import Busy, ChannelClosed, MessageRefused, Outage, RecipientGone
from distributor.core.message import Accepted, NotStarted, Outcome
from distributor.core.tally import count


def count_outcomes(channel: str, outcomes: Sequence[Outcome], seconds: float) -> None:
    """One call of a channel: how its messages ended, and how long it took; what was not begun is not counted."""
    results = Counter(map(classify, outcomes))
    results.pop("", None)
    for result, number in results.items():
        count("attempts", channel, result, by=number)
    if results:
        count("send_calls", channel)
        count("send_seconds", channel, by=seconds)


def classify(outcome: Outcome) -> str:
    """sent | busy (asked for patience) | not sent | refused | unknown; "" for what was not begun."""
    match outcome:
        case Accepted():
            return "sent"
        case NotStarted():
            return ""
        case Busy():
            return "busy"
        case Outage():
            return "not sent"
        case MessageRefused() | RecipientGone() | ChannelClosed():
            return "refused"
        case _:
            return "unknown"
