"""A reader's life in any order: whoever left, bounced or asked not to be written to is in no audience, whatever
is imported after that."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from distributor.core.delivery import settle
from distributor.core.errors import RecipientGone
from distributor.core.message import Accepted, Outcome, ServiceEvent
from distributor.core.sending import Batch, Claimed, Settled
from distributor.core.subscriber import NewSubscriber
from distributor.storage import Storage
from tests.storage.scene import add_edition

START = datetime.fromisoformat("2026-11-23T07:30:00+00:00")
LISTS = ("daily", "weekly")
PEOPLE = tuple(f"reader{number}@example.org" for number in range(4))

people = st.sampled_from(PEOPLE)
lists = st.sampled_from(LISTS)
outcomes: st.SearchStrategy[Outcome] = st.sampled_from((Accepted("id"), RecipientGone("gone")))


@dataclass
class Reader:
    """What must be true of one address."""

    is_known: bool = False
    is_reachable: bool = True
    #: List -> "member" or "left".
    lists: dict[str, str] = field(default_factory=dict)
    #: Lists that are barred; "" bars all.
    barred: set[str] = field(default_factory=set)

    def may_get(self, list_name: str) -> bool:
        is_barred = bool(self.barred & {"", list_name})
        return self.is_reachable and not is_barred and self.lists.get(list_name) == "member"


class ReaderMachine(RuleBasedStateMachine):
    """Subclasses say which database."""

    def open_storage(self) -> Storage:
        raise NotImplementedError

    @initialize()
    def open(self) -> None:
        self.storage = self.open_storage()
        self.now = START
        self.readers = {address: Reader() for address in PEOPLE}
        self.editions = 0
        #: (list, delivery, address) that were accepted.
        self.sent: list[tuple[str, int, str]] = []

    def tick(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    # -- coming and going ------------------------------------------------------------------------------------

    @rule(who=st.lists(people, min_size=1, max_size=5), list_name=lists)
    def import_people(self, who: list[str], list_name: str) -> None:
        rows = [NewSubscriber(one, one) for one in who]
        for _ in self.storage.recipients.add_subscribers(rows, list_name, self.tick()):
            pass
        for one in who:
            reader = self.readers[one]
            reader.is_known = True
            if not reader.barred & {"", list_name}:
                reader.lists.setdefault(list_name, "member")

    @rule(who=people, list_name=lists)
    def leave(self, who: str, list_name: str) -> None:
        reader = self.readers[who]
        if reader.is_known:
            was_member = reader.lists.get(list_name) == "member"
            done = self.storage.recipients.unsubscribe(self._id(who), list_name, "unsubscribed", self.tick())
            assert done == was_member
            self._take_off(reader, list_name)

    def _take_off(self, reader: Reader, list_name: str) -> None:
        reader.barred.add(list_name)
        if list_name in reader.lists:
            reader.lists[list_name] = "left"

    @rule(who=people, list_name=st.sampled_from(("", *LISTS)))
    def suppress(self, who: str, list_name: str) -> None:
        self.storage.recipients.suppress([who], list_name, "asked", self.tick())
        self.readers[who].barred.add(list_name)

    @rule(who=people, list_name=st.sampled_from(("", *LISTS)))
    def unsuppress(self, who: str, list_name: str) -> None:
        count = self.storage.recipients.unsuppress([who], list_name, self.now)
        assert count == (list_name in self.readers[who].barred)
        self.readers[who].barred.discard(list_name)

    # -- what is sent and what comes back --------------------------------------------------------------------

    @rule(data=st.data(), list_name=lists)
    def send_an_edition(self, data: st.DataObject, list_name: str) -> None:
        """Frozen now, claimed after somebody more has gone: each time nobody but who may be written to."""
        self.editions += 1
        edition = add_edition(
            self.storage, self.tick(), channel=list_name, list_name=list_name, number=self.editions
        )
        audience = self._audience(edition)
        assert audience == {one for one, reader in self.readers.items() if reader.may_get(list_name)}
        if data.draw(st.booleans()):
            self.suppress(data.draw(people), list_name)
        batch = self.storage.ledger.claim(list_name, limit=10, paces=(), fence="a", lease=900.0, now=self.tick())
        claimed = {one.address: one for one in batch.claimed} if isinstance(batch, Batch) else {}
        assert set(claimed) == {one for one in audience if self.readers[one].may_get(list_name)}
        for address, one in sorted(claimed.items()):
            self._settle(list_name, address, one, data.draw(outcomes))

    def _settle(self, list_name: str, address: str, one: Claimed, outcome: Outcome) -> None:
        now = self.tick()
        what = settle(outcome, one.attempts + 1, 3, one.delivery_id)
        self.storage.ledger.settle(
            list_name, "a", [Settled(one.delivery_id, one.attempts + 1, now, now, what)], now
        )
        if what.state == "sent":
            self.sent.append((list_name, one.delivery_id, address))
        else:
            self.readers[address].is_reachable = False

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), kind=st.sampled_from(["delivered", "bounced", "complained", "unsubscribed"]))
    def report(self, data: st.DataObject, kind: str) -> None:
        """What a service tells later, more than once, and about whom it likes."""
        list_name, delivery_id, address = data.draw(st.sampled_from(self.sent))
        named = data.draw(st.sampled_from([address, address, *PEOPLE]))
        event = ServiceEvent(kind, f"{kind}-{delivery_id}-{named}", START.timestamp(), "id", named, delivery_id)
        before = self._state(delivery_id)
        self.storage.events.add(list_name, [event, event], self.tick())
        assert self._state(delivery_id) == before
        if named != address:
            return
        if kind == "bounced":
            self.readers[address].is_reachable = False
        elif kind != "delivered" and not self._was_reported(delivery_id, kind):
            self._take_off(self.readers[address], list_name)
        self.reported.add((delivery_id, kind))

    @property
    def reported(self) -> set[tuple[int, str]]:
        found: set[tuple[int, str]] = self.__dict__.setdefault("_reported", set())
        return found

    def _was_reported(self, delivery_id: int, kind: str) -> bool:
        return (delivery_id, kind) in self.reported

    # -- what must always be true ----------------------------------------------------------------------------

    @invariant()
    def the_database_agrees(self) -> None:
        look = self.storage.database.look
        people = {row[0]: row[1] for row in look("SELECT address_key, status FROM subscriber")}
        members = {
            (row[0], row[1]): row[2]
            for row in look(
                "SELECT s.address_key, m.list, m.state FROM list_member m "
                "JOIN subscriber s ON s.id = m.subscriber_id"
            )
        }
        barred = {(row[0], row[1]) for row in look("SELECT address_key, list FROM suppression")}
        known = {one: reader for one, reader in self.readers.items() if reader.is_known}
        assert people == {one: "active" if r.is_reachable else "unreachable" for one, r in known.items()}
        assert members == {(one, name): state for one, r in known.items() for name, state in r.lists.items()}
        assert barred == {(one, name) for one, r in self.readers.items() for name in r.barred}

    def _id(self, who: str) -> int:
        return int(self.storage.database.look(f"SELECT id FROM subscriber WHERE address_key = '{who}'")[0][0])

    def _audience(self, edition: int) -> set[str]:
        sentence = "SELECT s.address_key FROM delivery d JOIN subscriber s ON s.id = d.recipient_id"
        return {row[0] for row in self.storage.database.look(f"{sentence} WHERE d.edition_id = {edition}")}

    def _state(self, delivery_id: int) -> Any:
        return self.storage.database.look(f"SELECT state, attempts FROM delivery WHERE id = {delivery_id}")
