"""Six pieces of a day, each with what comes before it, the calls that may fail, and what a loop does after that."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from tests.faults.town import Crash, Town


@dataclass(frozen=True)
class Scenario:
    """`before` leads up to it unharmed, `act` is broken. `in_flight`: messages that may end as unknown whatever
    happens: those between their first byte and their settlement. `doubtful`: unknown by the scenario itself."""

    name: str
    before: Callable[[Town], object]
    act: Callable[[Town], object]
    in_flight: int = 0
    doubtful: int = 0


def publish(town: Town) -> None:
    town.publish(1, 2)


def publish_and_poll(town: Town) -> None:
    publish(town)
    town.poll()


def freeze_one(town: Town) -> None:
    town.publish(1)
    town.poll()
    town.plan()


def crash_in_both(town: Town) -> None:
    """A process dies with one message on each channel on the wire; another one begins."""
    freeze_one(town)
    for name, answers in (("tg", ["crash"]), ("letter", ["", "", "", "crash"])):
        town.lane(name).channel.answers.extend(answers)  # type: ignore[attr-defined]
        with suppress(Crash):
            town.send(name)
    town.start_process()


def doubt_and_pause(town: Town) -> None:
    """A message is unknown, and the other channel is paused by a person."""
    freeze_one(town)
    town.lane("tg").channel.answers.append("lost")  # type: ignore[attr-defined]
    town.send("tg")
    town.app.storage.decisions.pause("letter", "proofreading", "an editor", town.read_clock())


def decide(town: Town) -> None:
    """A person says that the message is there, and lets the channel go on."""
    decisions, now = town.app.storage.decisions, town.read_clock()
    for row in town.app.storage.reports.list_deliveries(limit=100):
        if row.state == "unknown":
            decisions.resolve(row.id, "sent", "an editor", now)
    decisions.resume("letter", "an editor", now)


SCENARIOS = (
    Scenario("poll with news", publish, Town.poll),
    Scenario("plan and freeze", publish_and_poll, Town.plan),
    Scenario("send to a chat", freeze_one, lambda town: town.send("tg"), in_flight=1),
    Scenario("send to thirty readers", freeze_one, lambda town: town.send("letter"), in_flight=1),
    Scenario("recover after a crash", crash_in_both, lambda town: town.app.recover(), doubtful=2),
    Scenario("decide and resume", doubt_and_pause, decide),
)
