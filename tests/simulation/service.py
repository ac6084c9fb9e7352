"""A service on the other end, in memory: it processes a message or does not, and answers, stays silent, or dies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from distributor.core.contracts import Channel, Wire
from distributor.core.errors import Busy, ChannelClosed, MessageRefused, Outage, RecipientGone, Unknown
from distributor.core.message import Accepted, Content, Limits, Message, NotStarted, Outcome
from distributor.core.points import reach
from tests.simulation.public import Public
from tests.simulation.world import World

#: What goes wrong with one message, and how often among what goes wrong. The first half was not processed.
TROUBLES = {
    "outage": 6,
    "busy": 6,
    "refused": 2,
    "gone": 2,
    "closed": 1,
    "took back": 2,
    "lost request": 6,
    "died asking": 2,
    "lost answer": 8,
    "answered late": 4,
    "died reading": 2,
}


@dataclass(frozen=True)
class Place:
    """One channel of the simulated desk."""

    name: str
    list_name: str = ""
    limits: Limits = field(default_factory=Limits)
    trouble: float = 0.25


class SimulatedChannel(Channel):
    """Keeps the contract of channels; what really happened, only the public knows."""

    kind = "simulated"
    parts: Mapping[str, Sequence[str]] = {"each": ("words",), "digest": ("words",)}

    def __init__(self, world: World, public: Public, place: Place) -> None:
        self._world, self._public, self._place = world, public, place
        self.name, self.address = place.name, f"@{place.name}"
        self.list_name, self.limits = place.list_name, place.limits
        #: Answered, and not in the send journal yet: a kill leaves them unknown, as if the answer were on its way.
        self._unrecorded: set[int] = set()

    def compose(self, texts: Mapping[str, str], form: str) -> Content:
        return Content(dict(texts))

    def send(self, messages: Sequence[Message], wire: Wire) -> list[Outcome]:
        self._public.check_claim(list(messages))
        outcomes: list[Outcome] = [NotStarted() for _ in messages]
        left = list(range(len(messages)))
        while left:
            width = 1 if not self.list_name else self._world.random.randint(1, 3)
            window, left = left[:width], left[width:]
            self._world.meanwhile(self.name)
            if not self._start(messages, window, wire):
                for index in (*window, *left):
                    wire.settle(index, outcomes[index])
                break
            self._world.random.shuffle(window)
            for index in window:
                outcomes[index] = self._ask(messages[index])
                self._settle(wire, index, outcomes[index], messages[index].delivery_id)
            if self._world.happens(0.5):
                wire.flush()
                self.forget_recorded()
        if self._world.happens(0.004):
            return outcomes[:-1]
        return outcomes

    def _start(self, messages: Sequence[Message], window: Sequence[int], wire: Wire) -> bool:
        ids = {messages[index].delivery_id for index in window}
        self._public.in_flight |= ids
        # Where the database went away meanwhile they stay in flight: the record may have been made.
        if not wire.start(window):
            self._public.in_flight -= ids
            return False
        self.forget_recorded()
        for index in window:
            self._public.check_start(messages[index])
        return True

    def _settle(self, wire: Wire, index: int, outcome: Outcome, delivery_id: int) -> None:
        self._world.say(f"    {self.name}: delivery {delivery_id} {type(outcome).__name__}")
        wire.settle(index, outcome)
        # Of the others the send journal knows only that they were started.
        if self.list_name and not isinstance(outcome, Unknown | NotStarted):
            self._unrecorded.add(delivery_id)

    def forget_recorded(self) -> None:
        """The start of the next ones, a flush and the end of a send put the answers before them on record."""
        self._public.in_flight -= self._unrecorded
        self._unrecorded.clear()

    def _ask(self, message: Message) -> Outcome:
        """One request. What may have been processed is never answered as if it had not."""
        trouble = self._choose_trouble()
        reach("simulation.asked")
        self._world.pass_seconds(0.02, 1.5)
        refusal = self._refuse(trouble, message)
        if refusal is not None:
            return refusal
        receipt = self._public.see(message)
        reach("simulation.processed")
        if trouble == "died reading":
            raise RuntimeError("simulated: a bug in the channel after the service had acted")
        if trouble == "lost answer":
            self._world.pass_seconds(1, 30)
            return Unknown("the connection was reset")
        return Accepted(receipt)

    def _choose_trouble(self) -> str:
        if not self._world.happens(self._place.trouble):
            return ""
        return self._world.random.choices(list(TROUBLES), list(TROUBLES.values()))[0]

    def _refuse(self, trouble: str, message: Message) -> Outcome | None:
        """The outcome of a message that the service did not act on; None: it acts."""
        if trouble == "died asking":
            raise RuntimeError("simulated: a bug in the channel before anything was sent")
        if trouble == "answered late":
            self._public.late.append(message)
        refusals: dict[str, Outcome] = {
            "outage": Outage("connection refused"),
            "busy": Busy("too many requests", self._world.random.choice((0.0, 0.5, 30.0, 300.0))),
            "refused": MessageRefused("bad words"),
            "gone": RecipientGone("no such mailbox") if self.list_name else MessageRefused("no such chat"),
            "closed": ChannelClosed("the key was revoked"),
            "took back": NotStarted(),
            "lost request": Unknown("timed out"),
            "answered late": Unknown("timed out"),
        }
        return refusals.get(trouble)

    def reconcile(self, message: Message) -> Outcome | None:
        if self._world.happens(0.2):
            raise RuntimeError("simulated: the timeline cannot be read")
        self._world.turn_clock(timedelta(seconds=0.2))
        receipt = self._public.receipts.get(message.delivery_id)
        return Accepted(receipt, "found on the timeline") if receipt else None
