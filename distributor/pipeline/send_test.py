"""One test message to one allow-listed place. Takes no list, no edition, no ledger: it can reach nobody else."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from distributor.core.contracts import Channel, Wire
from distributor.core.errors import Unsupported
from distributor.core.message import Content, Edition, Message, Outcome, Recipient

MARK = "[Test] "


@dataclass
class _AlwaysGo(Wire):
    """A wire without a ledger: a test is tried once and its answer shown."""

    outcomes: dict[int, Outcome] = field(default_factory=dict)

    def start(self, indexes: Sequence[int]) -> bool:
        return True

    def settle(self, index: int, outcome: Outcome) -> None:
        self.outcomes[index] = outcome


def send_test(
    channel: Channel, content: Content, address: str, allowed: Collection[str], slots: Mapping[str, str], token: str
) -> Outcome:
    """Send this content to one address. Raises Unsupported unless the channel's `allow` names it exactly.

    A subject is marked as a test; a channel without a subject sends the words as they are.
    """
    if address not in allowed:
        known = ", ".join(sorted(allowed)) or "none"
        raise Unsupported(
            f"{address!r} is not allow-listed for {channel.name}; add it to the channel's `allow` (now: {known})"
        )
    payload = dict(content.payload)
    if isinstance(payload.get("subject"), str):
        payload["subject"] = MARK + payload["subject"]
    edition = Edition(0, channel.name, "test", "each", token, replace(content, payload=payload))
    message = Message(0, edition, Recipient(0, address, ""), slots)
    return channel.send([message], _AlwaysGo())[0]
