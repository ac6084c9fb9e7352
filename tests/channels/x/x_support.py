from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from distributor.core.contracts import Site, Wire
from distributor.core.message import Content, Edition, Message, Outcome, Recipient

SITE = Site(name="The Daily Example", public_url="https://go.example.org")
LINK = "https://go.example.org/l/4fTz9QmK2p"


@dataclass
class RecordingWire(Wire):
    """The pipeline's side, which remembers the order of events."""

    says_yes: bool = True
    events: list[str] = field(default_factory=list)
    settled: dict[int, Outcome] = field(default_factory=dict)
    on_start: Callable[[], None] = lambda: None

    def start(self, indexes: Sequence[int]) -> bool:
        self.on_start()
        self.events.append(f"start {list(indexes)}")
        return self.says_yes

    def settle(self, index: int, outcome: Outcome) -> None:
        self.events.append(f"settle {index}")
        self.settled[index] = outcome


def make_message(text: str = f"Rain by noon\n\n{LINK}", attempt: int = 1) -> Message:
    edition = Edition(1, "x", "now-x", "each", "0123456789abcdef", Content({"text": text}))
    return Message(7, edition, Recipient(0, "x"), attempt=attempt)


class OneAnswer:
    """Reads one request up to `until`, answers with fixed bytes, hangs up."""

    def __init__(self, answer: bytes, until: bytes = b"}") -> None:
        self.answer = answer
        self.until = until
        self.request = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(20)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> OneAnswer:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._listener.close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _serve(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(20)
            while self.until not in self.request:
                data = connection.recv(65_536)
                if not data:
                    return
                self.request += data
            connection.sendall(self.answer)
