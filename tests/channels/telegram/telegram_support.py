from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from distributor.core.contracts import Site, Wire
from distributor.core.message import Content, Edition, Message, Outcome, Recipient

SITE = Site(name="The Daily Example", public_url="https://go.example.org")
LINK = "https://go.example.org/l/4fTz9QmK2p"
DATA = Path(__file__).parents[4] / "shared" / "data" / "telegram"

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the Bot API's own tables are not beside this checkout")

PAYLOAD: dict[str, Any] = {
    "text": "Rain by noon\n\nTake an umbrella.",
    "entities": [{"type": "bold", "offset": 0, "length": 12}],
    "photo": "",
    "caption": False,
    "buttons": [[{"text": "Read", "url": LINK}]],
    "preview_url": "https://news.example.org/weather/rain-by-noon",
    "silent": False,
}


@dataclass
class RecordingWire(Wire):
    """The pipeline's side: says yes `allowed` times."""

    allowed: int = 99
    starts: int = 0
    settled: dict[int, Outcome] = field(default_factory=dict)

    def start(self, indexes: Sequence[int]) -> bool:
        self.starts += 1
        return self.starts <= self.allowed

    def settle(self, index: int, outcome: Outcome) -> None:
        self.settled[index] = outcome


def make_message(chat: str = "@daily", **changes: Any) -> Message:
    edition = Edition(1, "tg", "now-tg", "each", "0123456789abcdef", Content({**PAYLOAD, **changes}))
    return Message(7, edition, Recipient(0, chat))
