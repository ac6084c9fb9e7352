"""Everything that can happen to deliveries, in any order, against a dictionary that knows what must come of it.

Holders may be stale: a ticket is what a lane in some process still believes it may do, whatever the database says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from distributor.core.breaker import add_endings, find_trouble
from distributor.core.delivery import MOVES, TERMINAL, State, settle
from distributor.core.errors import Busy, ChannelClosed, MessageRefused, Outage, RecipientGone, Unknown
from distributor.core.message import Accepted, NotStarted, Outcome
from distributor.core.sending import Evidence, Settled, Wait
from distributor.storage import Storage
from distributor.storage.doubts import presume_overdue
from tests.storage.scene import add_edition, add_readers

LEASE = 900.0
MARGIN = 180.0
TRIES = 3
READERS = 3
FENCES = ("a", "b")
#: One voice, a list whose mails go side by side, a list whose messages go one by one.
LISTS = {"tg": "", "letter": "readers", "chats": "readers"}
BULK = "letter"
START = datetime.fromisoformat("2026-11-23T07:30:00+00:00")

BEFORE_START: tuple[Outcome, ...] = (
    NotStarted(),
    Outage("refused"),
    Busy("later", 30.0),
    RecipientGone("gone"),
    ChannelClosed("closed"),
)
AFTER_START: tuple[Outcome, ...] = (
    Accepted("id"),
    Unknown("reset"),
    MessageRefused("no"),
    Busy("later", 30.0),
    Outage("421"),
    NotStarted(),
    ChannelClosed("the key was revoked"),
)


@dataclass
class Copy:
    """What must be true of one delivery. `exposures`: tries after which somebody may see it."""

    id: int
    edition: int
    channel: str
    reader: int
    state: State = "queued"
    attempts: int = 0
    fence: str = ""
    lease_until: datetime = START
    not_before: datetime = START
    is_late: bool = False
    exposures: int = 0
    resends: int = 0


@dataclass
class Ticket:
    """What a holder believes: that it may send this delivery as this try."""

    fence: str
    copy: Copy
    number: int
    lease_until: datetime
    is_started: bool = False
    is_accepted: bool = False


@dataclass
class Issue:
    """An edition. `late_after` None: never late."""

    id: int
    channel: str
    due_at: datetime
    late_after: datetime | None
    copies: list[Copy] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return all(copy.state in TERMINAL for copy in self.copies)

    def is_late(self, now: datetime) -> bool:
        return self.late_after is not None and self.late_after < now


class Row(NamedTuple):
    """A delivery as the database has it."""

    id: int
    edition_id: int
    recipient_id: int
    state: State
    attempts: int
    fence: str | None
    may_duplicate: bool | None


_ROWS = f"SELECT {', '.join(Row._fields)} FROM delivery ORDER BY id"
_SUMMED = ("sent", "failed", "skipped", "presumed")
_EDITIONS = f"SELECT id, audience, state, {', '.join(_SUMMED)} FROM edition ORDER BY id"


class LedgerMachine(RuleBasedStateMachine):
    """Subclasses say which database. `moves` are those that some delivery made, over all runs of a class."""

    storage: Storage
    moves: ClassVar[set[tuple[State, State]]]

    def open_storage(self) -> Storage:
        raise NotImplementedError

    @initialize()
    def open(self) -> None:
        self.storage = self.open_storage()
        self.now = START
        self.issues: dict[int, Issue] = {}
        self.copies: dict[int, Copy] = {}
        self.tickets: list[Ticket] = []
        self.paused: set[str] = set()
        #: Channel -> how its last messages ended: what the breaker remembers.
        self.recent: dict[str, str] = {}
        self.barred: set[int] = set()
        self.decided: set[int] = set()
        self.before: dict[int, State] = {}
        self.reached: dict[str, tuple[int, int]] = {}
        add_readers(self.storage, self.now, READERS)

    def teardown(self) -> None:
        if hasattr(self, "storage"):
            assert self.storage.reports.find_mismatches() == []
            self.give_back()

    def give_back(self) -> None:
        self.storage.close()

    # -- what comes in ---------------------------------------------------------------------------------------

    def has(self, *states: State) -> bool:
        return any(copy.state in states for copy in self.copies.values())

    @precondition(lambda self: len(self.issues) < 4)
    @rule(channel=st.sampled_from(sorted(LISTS)), minutes=st.sampled_from([5, 60, 600]))
    def plan_an_edition(self, channel: str, minutes: int) -> None:
        lateness = timedelta(minutes=minutes)
        number = len(self.issues) + 1
        found = add_edition(
            self.storage, self.now, channel=channel, list_name=LISTS[channel], number=number, lateness=lateness
        )
        issue = Issue(found, channel, self.now, self.now + lateness)
        for row in self.rows():
            if row.edition_id == found:
                issue.copies.append(Copy(row.id, found, channel, row.recipient_id))
        readers = {copy.reader for copy in issue.copies}
        assert readers == ({0} if not LISTS[channel] else set(range(1, READERS + 1)) - self.barred)
        self.issues[found] = issue
        self.copies |= {copy.id: copy for copy in issue.copies}

    @precondition(lambda self: self.has("queued"))
    @rule(minutes=st.sampled_from([0.5, 2, 90]))
    def let_time_pass(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)

    # -- a lane at work --------------------------------------------------------------------------------------

    @precondition(lambda self: any(map(self.find_ready, LISTS)))
    @rule(data=st.data(), fence=st.sampled_from(FENCES), limit=st.integers(1, 3), is_started=st.booleans())
    def claim_what_is_ready(self, data: st.DataObject, fence: str, limit: int, is_started: bool) -> None:
        channel = data.draw(st.sampled_from([name for name in sorted(LISTS) if self.find_ready(name)]))
        before = len(self.tickets)
        self.claim(channel, fence, limit)
        for ticket in self.tickets[before:] if is_started else ():
            self.start(ticket)

    @precondition(lambda self: any(map(self.find_ready, LISTS)))
    @rule(data=st.data(), fence=st.sampled_from(FENCES))
    def send_what_is_ready(self, data: st.DataObject, fence: str) -> None:
        """A batch from its claim to its answers, without anything between."""
        channel = data.draw(st.sampled_from([name for name in sorted(LISTS) if self.find_ready(name)]))
        before = len(self.tickets)
        self.claim(channel, fence, 3)
        for ticket in self.tickets[before:]:
            self.start(ticket)
            self.tell(data, ticket, 1)

    @precondition(lambda self: not all(map(self.find_ready, LISTS)))
    @rule(data=st.data())
    def claim_where_nothing_is_ready(self, data: st.DataObject) -> None:
        channel = data.draw(st.sampled_from([name for name in sorted(LISTS) if not self.find_ready(name)]))
        self.claim(channel, "a", 3)

    def claim(self, channel: str, fence: str, limit: int) -> None:
        batch = self.storage.ledger.claim(
            channel, limit=limit if channel == BULK else 1, paces=(), fence=fence, lease=LEASE, now=self.now
        )
        ready = self.find_ready(channel)
        if isinstance(batch, Wait):
            assert not ready, "there was work"
            return
        expected = self.put_in_order(channel, ready)[: limit if channel == BULK else 1]
        self.reached[channel] = (expected[-1].edition, expected[-1].id)
        for copy in expected:
            if copy.reader in self.barred and copy.reader:
                copy.state = "skipped"
                continue
            copy.state, copy.fence, copy.lease_until = "claimed", fence, self.now + timedelta(seconds=LEASE)
            self.tickets.append(Ticket(fence, copy, copy.attempts + 1, copy.lease_until))
        claimed = [one.delivery_id for one in batch.claimed]
        assert claimed == sorted(copy.id for copy in expected if copy.state == "claimed")

    def put_in_order(self, channel: str, ready: list[Copy]) -> list[Copy]:
        """Behind the last one that was claimed first; what came back meanwhile after them."""
        number, last = self.reached.get(channel, (0, 0))
        return sorted(ready, key=lambda copy: (copy.edition == number and copy.id <= last, copy.id))

    def find_ready(self, channel: str) -> list[Copy]:
        """What may go now: of the edition that was due first."""
        if channel in self.paused:
            return []
        for issue in sorted(self.issues.values(), key=lambda one: (one.due_at, one.id)):
            ready = [c for c in issue.copies if c.state == "queued" and c.not_before <= self.now]
            if issue.channel == channel and ready and not issue.is_late(self.now):
                return sorted(ready, key=lambda copy: copy.id)
        return []

    @precondition(lambda self: any(not ticket.is_started for ticket in self.tickets))
    @rule(data=st.data())
    def start_a_claimed_one(self, data: st.DataObject) -> None:
        self.start(data.draw(st.sampled_from([one for one in self.tickets if not one.is_started])))

    @precondition(lambda self: any(not one.is_started and self.is_stale(one) for one in self.tickets))
    @rule(data=st.data())
    def start_too_late(self, data: st.DataObject) -> None:
        stale = [one for one in self.tickets if not one.is_started and self.is_stale(one)]
        self.start(data.draw(st.sampled_from(stale)))

    def start(self, ticket: Ticket) -> None:
        self.no_delivery_made_a_forbidden_move()
        copy = ticket.copy
        if copy.channel == BULK:
            # A line in the send journal; the lane looks at the clock and the pause, not at the database.
            in_time = self.now <= ticket.lease_until - timedelta(seconds=MARGIN)
            if in_time and copy.channel not in self.paused:
                ticket.is_started = True
                copy.exposures += 1
            return
        may = copy.state == "claimed" and copy.fence == ticket.fence and copy.channel not in self.paused
        is_gone = copy.reader in self.barred and copy.state == "claimed" and copy.channel not in self.paused
        begun = self.storage.ledger.start([copy.id], ticket.fence, self.now)
        if is_gone:
            # Whoever holds it: nobody may write to this reader.
            copy.state, copy.fence, may = "skipped", "", False
        assert begun == ([copy.id] if may else [])
        if may:
            # A stale ticket of the same holder speaks of the same right.
            ticket.number = copy.attempts + 1
            copy.state, copy.attempts = "sending", ticket.number
            ticket.is_started = True
            copy.exposures += 1

    def is_stale(self, ticket: Ticket) -> bool:
        is_theirs = ticket.copy.fence == ticket.fence and ticket.copy.state in ("claimed", "sending")
        return not is_theirs or ticket.number != ticket.copy.attempts + (ticket.copy.state == "claimed")

    @precondition(lambda self: self.tickets)
    @rule(data=st.data(), is_told_twice=st.booleans())
    def answer(self, data: st.DataObject, is_told_twice: bool) -> None:
        self.tell(data, data.draw(st.sampled_from(self.tickets)), 1 + is_told_twice)

    @precondition(lambda self: any(map(self.is_stale, self.tickets)))
    @rule(data=st.data())
    def answer_too_late(self, data: st.DataObject) -> None:
        self.tell(data, data.draw(st.sampled_from([one for one in self.tickets if self.is_stale(one)])), 1)

    def tell(self, data: st.DataObject, ticket: Ticket, times: int) -> None:
        outcome = data.draw(st.sampled_from(AFTER_START if ticket.is_started else BEFORE_START))
        self.conclude(ticket, Accepted("id") if ticket.is_accepted else outcome, times)

    def conclude(self, ticket: Ticket, outcome: Outcome, times: int = 1) -> None:
        copy = ticket.copy
        what = settle(outcome, ticket.number, TRIES, copy.id)
        one = Settled(copy.id, ticket.number, self.now, self.now, what)
        for _ in range(times):
            self.storage.ledger.settle(copy.channel, ticket.fence, [one], self.now)
        self.tickets.remove(ticket)
        if ticket.is_started and what.state not in ("sent", "unknown"):
            copy.exposures -= 1
        if what.closes_channel:
            self.paused.add(copy.channel)
        self.apply(ticket, what)

    def apply(self, ticket: Ticket, what: Any) -> None:
        copy = ticket.copy
        is_claimed = copy.state == "claimed" and copy.attempts == ticket.number - 1
        is_sending = copy.state == "sending" and copy.attempts == ticket.number
        is_late = copy.state == "unknown" and copy.attempts == ticket.number and what.state == "sent"
        if copy.fence != ticket.fence or not (is_claimed or is_sending or is_late):
            return
        self.note_ending(copy.channel, what.ending)
        is_counted = what.is_attempt or what.state == "unknown"
        copy.state, copy.attempts = what.state, ticket.number if is_counted else ticket.number - 1
        copy.fence = copy.fence if what.state in ("sent", "unknown") else ""
        copy.not_before = self.now + timedelta(seconds=what.wait)
        if what.recipient_gone and copy.reader:
            self.barred.add(copy.reader)

    @precondition(lambda self: any(t.is_started and t.copy.channel == BULK for t in self.tickets))
    @rule(data=st.data())
    def accept_and_tell_only_the_journal(self, data: st.DataObject) -> None:
        bulk = [one for one in self.tickets if one.is_started and one.copy.channel == BULK]
        data.draw(st.sampled_from(bulk)).is_accepted = True

    # -- what goes wrong -------------------------------------------------------------------------------------

    @precondition(lambda self: self.tickets)
    @rule(fence=st.sampled_from(FENCES))
    def kill_and_recover(self, fence: str) -> None:
        mine = [ticket for ticket in self.tickets if ticket.fence == fence]
        bulk = [ticket for ticket in mine if ticket.is_started and ticket.copy.channel == BULK]
        proof = {one.copy.id: "sent id" if one.is_accepted else "started" for one in bulk}
        alive = [one for one in FENCES if one != fence]
        for _ in range(2):
            self.storage.recovery.recover(Evidence(proof, frozenset({fence})), alive, self.now)
        self.tickets = [ticket for ticket in self.tickets if ticket.fence != fence]
        for copy in self.copies.values():
            if copy.fence != fence or copy.state not in ("claimed", "sending"):
                continue
            word = proof.get(copy.id, "")
            is_lost = copy.state == "sending" or word == "started"
            after: State = "sent" if word.startswith("sent") else "unknown" if is_lost else "queued"
            copy.attempts += copy.state == "claimed" and after != "queued"
            copy.state = after
            copy.fence = "" if after == "queued" else copy.fence

    @precondition(lambda self: self.has("claimed", "sending"))
    @rule()
    def let_leases_run_out(self) -> None:
        self.now += timedelta(seconds=LEASE + 1)
        self.storage.recovery.expire_leases(self.now)
        for copy in self.copies.values():
            if copy.state not in ("claimed", "sending") or copy.lease_until >= self.now:
                continue
            if copy.state == "claimed" and not LISTS[copy.channel]:
                copy.state, copy.fence = "queued", ""
            else:
                copy.attempts += copy.state == "claimed"
                copy.state = "unknown"

    @precondition(lambda self: any(issue.is_late(self.now) for issue in self.issues.values()))
    @rule()
    def hold_what_is_late(self) -> None:
        self.storage.recovery.hold_late(self.now)
        for issue in self.issues.values():
            for copy in issue.copies:
                if issue.is_late(self.now) and copy.state == "queued":
                    copy.state, copy.is_late = "held", True

    # -- what people decide ----------------------------------------------------------------------------------

    @precondition(lambda self: not self.paused)
    @rule(channel=st.sampled_from(sorted(LISTS)))
    def pause(self, channel: str) -> None:
        self.storage.decisions.pause(channel, "wrong headline", "anna", self.now)
        self.paused.add(channel)

    @precondition(lambda self: self.paused)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        self.open_again(data.draw(st.sampled_from(sorted(self.paused))))

    def note_ending(self, channel: str, ending: str) -> None:
        recent = self.recent.get(channel, "")
        if find_trouble(recent, ending, is_list=bool(LISTS[channel])):
            self.paused.add(channel)
        self.recent[channel] = add_endings(recent, ending)

    def open_again(self, channel: str) -> None:
        self.storage.decisions.resume(channel, "anna", self.now)
        self.paused.discard(channel)
        self.recent.pop(channel, None)
        for copy in self.copies.values():
            if copy.channel == channel and copy.state == "held" and not copy.is_late:
                copy.state, copy.not_before = "queued", self.now

    @precondition(lambda self: len(self.barred) < 2)
    @rule(reader=st.integers(1, READERS), everywhere=st.booleans())
    def suppress(self, reader: int, everywhere: bool) -> None:
        address = f"reader{reader - 1}@example.org"
        self.storage.recipients.suppress([address], "" if everywhere else "readers", "complained", self.now)
        self.barred.add(reader)

    @precondition(lambda self: any(copy.state == "unknown" for copy in self.copies.values()))
    @rule(data=st.data(), decision=st.sampled_from(["sent", "resend", "leave"]))
    def decide_about_an_unknown(self, data: st.DataObject, decision: str) -> None:
        self.decide(
            data.draw(st.sampled_from([one for one in self.copies.values() if one.state == "unknown"])), decision
        )

    def decide(self, copy: Copy, decision: str) -> None:
        assert self.storage.decisions.resolve(copy.id, decision, "anna", self.now)
        copy.fence, copy.not_before = "", self.now
        if decision == "resend":
            copy.state = "queued"
            copy.resends += 1
            self.decided.add(copy.id)
        else:
            copy.state = "sent" if decision == "sent" else "presumed"

    @precondition(lambda self: self.has("unknown"))
    @rule()
    def let_the_time_to_decide_pass(self) -> None:
        self.now += timedelta(hours=30)
        presume_overdue(self.storage.database, self.now)
        for copy in self.copies.values():
            if copy.state == "unknown":
                copy.state = "presumed"

    @precondition(lambda self: self.has("unknown", "presumed"))
    @rule(data=st.data())
    def find_it_on_the_service(self, data: st.DataObject) -> None:
        self.find(data.draw(st.sampled_from(list(self.copies.values()))))

    def find(self, copy: Copy) -> None:
        was_open = copy.state in ("unknown", "presumed")
        assert self.storage.recovery.prove_sent(copy.id, "id", "found on the timeline", self.now) == was_open
        if was_open:
            copy.state = "sent"

    @precondition(lambda self: self.has("queued", "held"))
    @rule(data=st.data(), is_kept=st.booleans())
    def release_or_give_up(self, data: st.DataObject, is_kept: bool) -> None:
        self.decide_about(data.draw(st.sampled_from(list(self.issues.values()))), is_kept)

    def decide_about(self, issue: Issue, is_kept: bool) -> None:
        touched = [c for c in issue.copies if c.state == "held" or (c.state == "queued" and not is_kept)]
        if is_kept:
            done = self.storage.decisions.release(issue.id, None, "anna", self.now)
            issue.late_after = None if touched else issue.late_after
        else:
            done = self.storage.decisions.give_up(issue.id, "old news", "anna", self.now)
        assert done == len(touched)
        for copy in touched:
            copy.state = "queued" if is_kept else "skipped"
            copy.is_late, copy.not_before = False, self.now

    # -- what must always be true ----------------------------------------------------------------------------

    def rows(self) -> list[Row]:
        """Straight from the driver: this is looked at several times in each step."""
        return [Row(*row) for row in self.storage.database.look(_ROWS)]

    @invariant()
    def every_delivery_is_where_it_must_be(self) -> None:
        rows = self.rows()
        found = {row.id: (row.state, row.attempts) for row in rows}
        assert found == {copy.id: (copy.state, copy.attempts) for copy in self.copies.values()}
        for row in rows:
            copy = self.copies[row.id]
            if row.state in ("claimed", "sending", "unknown"):
                assert row.fence == copy.fence
            assert bool(row.may_duplicate) == (copy.resends > 0)

    @invariant()
    def no_delivery_made_a_forbidden_move(self) -> None:
        for row in self.rows():
            was = self.before.get(row.id, "queued")
            reach = MOVES[was] | ({"skipped"} if was == "queued" else set())
            assert row.state == was or row.state in reach, f"{was} -> {row.state}"
            self.moves.add((was, row.state))
            if was == "unknown" and row.state == "queued":
                assert row.id in self.decided
            self.before[row.id] = row.state
        self.decided.clear()

    @invariant()
    def nobody_can_see_a_message_twice_unless_a_person_took_that_chance(self) -> None:
        for copy in self.copies.values():
            assert 0 <= copy.exposures <= 1 + copy.resends, copy

    @invariant()
    def sums_agree_and_an_edition_is_complete_when_all_have_ended(self) -> None:
        for number, audience, state, *sums in self.storage.database.look(_EDITIONS):
            issue = self.issues[number]
            assert audience == len(issue.copies)
            assert (state == "complete") == issue.is_complete
            if state == "complete":
                counted = [sum(c.state == name for c in issue.copies) for name in _SUMMED]
                assert sums == counted
