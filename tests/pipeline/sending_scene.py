"""A ledger, a service's sandbox on its real port, and a lane between them whose clock a test turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from distributor.channels import Surroundings, load, open_channel, settings_model
from distributor.core.contracts import Channel, Site, Wire
from distributor.core.errors import StorageError
from distributor.core.message import Accepted, Content, Limits, Message, Outcome, Pace
from distributor.core.planning import EditionPlan
from distributor.core.sandbox import Sighting
from distributor.core.tokens import sign_unsubscribe
from distributor.pipeline.send import Journal, Lane, Ledger, send_next
from distributor.storage import Storage
from distributor.storage.pauses import PauseWatch
from distributor.storage.send_journal import SendJournal
from tests.storage.scene import add_post, add_readers, states

SITE = Site("The Daily Example", "https://go.example.org")
LINK = "https://go.example.org/l/4fTz9QmK2pA"
#: Name -> kind and which of its sandboxes.
SERVICES = {"telegram": ("telegram", 0), "x": ("x", 0), "smtp": ("email", 0), "sendgrid": ("email", 1)}
BULK = ("smtp", "sendgrid")


def make_text(part: str, words: str) -> str:
    """What a simple template for this part renders to."""
    if "subject" in part:
        return words
    if part.endswith(".mjml"):
        body = f"<mj-text>{words} <a href='{LINK}'>Read</a></mj-text>"
        return f"<mjml><mj-body><mj-section><mj-column>{body}</mj-column></mj-section></mj-body></mjml>"
    return f'<p>{words} <a href="{LINK}">Read</a></p>' if part.endswith(".html") else f"{words}\n\n{LINK}"


_WORDED: dict[tuple[str, str], Content] = {}


def word(channel: Channel, words: str) -> Content:
    key = (channel.kind, words)
    if key not in _WORDED:
        texts = {name: channel.compile_template(name, make_text(name, words)) for name in channel.parts["each"]}
        _WORDED[key] = channel.compose(texts, "each")
    return _WORDED[key]


@dataclass
class Rig:
    """One channel named `main`. `now` is the lane's clock; `pauses` are the waits it asked for."""

    storage: Storage
    sandbox: Any
    channel: Channel
    folder: Path
    now: datetime
    fence: str = "me"
    is_stopping: bool = False
    pauses: list[float] = field(default_factory=list)
    on_pause: Callable[[], None] = lambda: None
    ledger: Ledger | None = None
    journal: Journal | None = None
    _lane: Lane | None = None

    @property
    def lane(self) -> Lane:
        if self._lane is None:
            watch = PauseWatch(self.storage.decisions, "main", self.read_clock)
            self._lane = Lane(
                channel=self.channel,
                ledger=self.ledger or self.storage.ledger,
                journal=self.journal or SendJournal(self.folder, self.fence, "main"),
                fence=self.fence,
                clock=self.read_clock,
                slots=self.make_slots,
                may_start=lambda: not self.is_stopping and not watch.is_paused(),
                pause=self.pause,
            )
        return self._lane

    def read_clock(self) -> datetime:
        """A moment later each time, so that pauses are looked at for each message."""
        self.now += timedelta(seconds=0.3)
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += timedelta(seconds=seconds)
        self.on_pause()

    def make_slots(self, edition: Any, recipient: Any) -> Mapping[str, str]:
        if not self.channel.list_name:
            return {}
        token = sign_unsubscribe(self.storage.secret, recipient.id, edition.id)
        address = f"https://go.example.org/u/{token}"
        return {"name": recipient.name, "address": recipient.address, "unsubscribe_url": address}

    def add(self, number: int = 1) -> int:
        """A frozen edition whose words name it; returns its id."""
        post_id = add_post(self.storage, self.now, number)
        late = self.now + timedelta(hours=2)
        title = f"Story number {number}"
        plan = EditionPlan(f"k{number}", "now", "main", "each", title, self.now, late, (post_id,))
        edition_id = self.storage.editions.add_edition(plan, self.now)
        assert edition_id is not None
        self.storage.editions.freeze(
            edition_id,
            word(self.channel, title),
            list_name=self.channel.list_name,
            revisions={},
            links=(),
            now=self.now,
        )
        return edition_id

    def send(self) -> float | None:
        return send_next(self.lane)

    def send_all(self, after: timedelta = timedelta()) -> None:
        """After some time: until there is nothing to do at this moment."""
        self.now += after
        while self.send() == 0:
            pass

    def restart(self) -> None:
        """Another process takes over: it knows what the database and the journals say."""
        if self._lane is not None:
            self._lane.channel.close()
        self.fence += "'"
        self._lane = None

    @property
    def states(self) -> dict[str, int]:
        return states(self.storage)

    @property
    def seen(self) -> list[Sighting]:
        found: list[Sighting] = self.sandbox.seen
        return found


@contextmanager
def open_rig(
    service: str, storage: Storage, now: datetime, folder: Path, readers: int = 1, **settings: Any
) -> Iterator[Rig]:
    kind, number = SERVICES[service]
    with ExitStack() as stack:
        sandbox = stack.enter_context(load(kind, "sandbox").SANDBOXES[number]())
        entry = {"name": "main", "timeout": 20.0, **sandbox.settings(), **settings}
        channel = open_channel(settings_model(kind)(**entry), Surroundings(SITE, agent="distributor/test"))
        stack.callback(channel.close)
        if channel.list_name:
            add_readers(storage, now, readers)
        yield Rig(storage, sandbox, channel, folder / "var", now)


class TinyChannel(Channel):
    """A channel that does what a test says, message by message. `limits.batch` makes it a bulk one."""

    kind, name, address = "tiny", "main", "@tiny"
    parts: Mapping[str, Sequence[str]] = {"each": ("each.txt",)}

    def __init__(
        self, act: Callable[[int, Message, Wire], Outcome], batch: int = 1, paces: tuple[Pace, ...] = ()
    ) -> None:
        self._act = act
        self.limits = Limits(batch=batch, paces=paces)
        self.list_name = "readers" if batch > 1 else ""
        self.sent: list[int] = []

    def compose(self, texts: Mapping[str, str], form: str) -> Content:
        return Content(dict(texts))

    def send(self, messages: Sequence[Message], wire: Wire) -> list[Outcome]:
        return [self._act(index, message, wire) for index, message in enumerate(messages)]


def accept(index: int, message: Message, wire: Wire) -> Outcome:
    """What a channel without faults does."""
    from distributor.core.message import NotStarted

    outcome: Outcome = Accepted(f"id-{message.delivery_id}") if wire.start([index]) else NotStarted()
    wire.settle(index, outcome)
    return outcome


def make_tiny(
    storage: Storage,
    now: datetime,
    folder: Path,
    act: Callable[[int, Message, Wire], Outcome] = accept,
    batch: int = 1,
    readers: int = 1,
    **more: Any,
) -> Rig:
    channel = TinyChannel(act, batch, more.pop("paces", ()))
    if batch > 1:
        add_readers(storage, now, readers)
    return Rig(storage, None, channel, folder / "var", now, **more)


@dataclass
class AwayLedger:
    """The ledger of a database that cannot be reached for a while: `away` settlements fail first."""

    inner: Any
    away: int

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def settle(self, *arguments: Any) -> None:
        if self.away:
            self.away -= 1
            raise StorageError("the database is locked by another program")
        self.inner.settle(*arguments)


def shift(rig: Rig, **changes: Any) -> Rig:
    return replace(rig, _lane=None, **changes)
