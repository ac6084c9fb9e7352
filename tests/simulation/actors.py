"""Who does something in a step: the site, the program's threads, services, editors, readers, time and bad luck."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from distributor.core.deciding import ResumeMode
from distributor.core.errors import StorageError
from distributor.core.message import Message, ServiceEvent
from distributor.core.subscriber import NewSubscriber
from distributor.pipeline.send import send_next
from distributor.storage import Storage
from distributor.storage.backup import backup_sqlite
from tests.simulation.clicks import Clicks
from tests.simulation.house import LIST, House, Process, list_names
from tests.simulation.newsroom import NAME, Newsroom
from tests.simulation.oracle import Oracle
from tests.simulation.public import Public
from tests.simulation.service import SimulatedChannel
from tests.simulation.world import World

READERS = tuple(f"reader{number}@example.org" for number in range(7))
#: Step -> how often. What is not named in `ALONGSIDE` is never done by another thread while a lane waits.
STEPS = {
    "lane": 40,
    "tick": 6,
    "read_news": 8,
    "pass_time": 5,
    "edit_story": 3,
    "housekeep": 4,
    "reconcile": 3,
    "report_events": 5,
    "decide": 9,
    "pause_or_resume": 6,
    "change_reader": 8,
    "click": 2,
    "count_clicks": 1.5,
    "jump": 2,
    "pull_the_plug": 6,
    "lose_the_database": 4,
    "restart": 0.7,
    "back_up": 0.2,
}
NEAR_SENDING = ("ledger.", "send_", "simulation.", "decisions.", "recovery.")
ALONGSIDE = {
    "lane": 4,
    "tick": 4,
    "poll": 3,
    "housekeep": 3,
    "pause_or_resume": 2,
    "change_reader": 5,
    "decide": 3,
    "report_events": 2,
    "jump": 1,
    "count_clicks": 1,
}
JUMPS = tuple(
    timedelta(seconds=seconds) for seconds in (1, -1, 1, -1, 3600, -3600, 60, 900, 1200, 4000, 30 * 86400)
)

RESUME_MODES: tuple[ResumeMode, ...] = ("all", "all", "drop", "newest", "spread", "review")


@dataclass
class Actors:
    """Everyone. `process` is the program as it runs now."""

    world: World
    house: House
    process: Process
    clicks: Clicks
    oracle: Oracle
    #: Asked for by a step: the process ends in order and another one begins.
    wants_restart: bool = False
    _is_alongside: bool = False
    events: list[ServiceEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world.meanwhile = self.act_alongside

    @property
    def public(self) -> Public:
        return self.house.public

    @property
    def newsroom(self) -> Newsroom:
        return self.house.newsroom

    @property
    def storage(self) -> Storage:
        return self.process.app.storage

    # -- steps -----------------------------------------------------------------------------------------------

    def act(self) -> None:
        self.take(self._choose(STEPS))

    def act_alongside(self, busy_lane: str) -> None:
        """What another thread does while one waits; `busy_lane` is the lane that waits."""
        if self._is_alongside or not self.world.happens(0.15):
            return
        self._is_alongside = True
        try:
            self.take(self._choose(ALONGSIDE), busy_lane)
        finally:
            self._is_alongside = False

    def take(self, name: str, busy_lane: str = "") -> None:
        """One step; whoever meets a database that is away tries again another time, as in the product."""
        try:
            if name == "lane":
                self.run_lane(busy_lane)
            else:
                getattr(self, name)()
        except StorageError as error:
            self.world.say(f"{name}: {error}")

    def _choose(self, steps: dict[str, Any]) -> str:
        return self.world.random.choices(list(steps), list(steps.values()))[0]

    # -- the site --------------------------------------------------------------------------------------------

    def publish(self) -> None:
        random = self.world.random
        count = random.choices((1, 2, 9), (70, 25, 1))[0]
        ahead = timedelta(minutes=random.choice((20, 120))) if random.random() < 0.1 else timedelta()
        numbers = self.newsroom.publish(count, ahead, is_draft=random.random() < 0.08)
        self.world.say(f"publish: stories {numbers}")

    def read_news(self) -> None:
        """A newsroom's few minutes: something is published, the source is due, it is read and planned."""
        for _ in range(self.world.random.choice((0, 1, 1, 2))):
            self.publish()
        self.world.pass_seconds(20, 240)
        self.poll()
        self.tick()

    def edit_story(self) -> None:
        random, newsroom = self.world.random, self.newsroom
        if not newsroom.feed:
            return
        number = random.choice(newsroom.feed)
        kind = random.random()
        if kind < 0.1:
            newsroom.withdraw(number)
        elif kind < 0.2:
            newsroom.flip_scheme()
        elif kind < 0.3:
            newsroom.shuffle()
        else:
            what = newsroom.change(newsroom.stories[number])
            self.world.say(f"edit: {what} of story {number}")

    # -- the program's own threads ---------------------------------------------------------------------------

    def poll(self) -> None:
        for name, state in self.process.app.due_sources().items():
            before = self._read_at()
            try:
                polled = self.process.app.poll(name, state)
                self.world.say(
                    f"poll: {polled.new} new, {polled.changed} changed, {polled.held} held {polled.error}"
                )
            finally:
                if self._read_at() != before:
                    self.newsroom.note_read()

    def _read_at(self) -> Any:
        """Changes when a poll is in the database, also when nobody was told so."""
        rows = self.house.database.look(f"SELECT last_ok_at, state FROM source WHERE name = '{NAME}'")
        return rows[0] if rows else None

    def tick(self) -> None:
        try:
            planned = self.process.app.plan()
            woken = self.process.app.freeze()
        finally:
            self.oracle.note_audiences()
        if planned or woken:
            self.world.say(f"tick: {planned} planned, woken {sorted(set(woken))}")

    def housekeep(self) -> None:
        self.process.app.housekeep()

    def run_lane(self, busy_lane: str = "") -> None:
        """Mostly a lane that has something to do."""
        names = [name for name in list_names(self.house.plot) if name != busy_lane]
        rows = self.house.database.look(
            "SELECT DISTINCT e.channel FROM edition e JOIN delivery d ON d.edition_id = e.id "
            "WHERE d.state = 'queued'"
        )
        paused = set() if self.world.random.random() < 0.1 else set(self.storage.decisions.list_paused())
        ready = sorted({row[0] for row in rows} & set(names) - paused)
        if not ready and not busy_lane:
            self.read_news()
        elif ready:
            name = self.world.random.choice(ready)
            for _ in range(self.world.random.randint(1, 4)):
                if self.run_one_lane(name) != 0:
                    break

    def run_one_lane(self, name: str) -> float | None:
        lane = self.process.lane(name)
        try:
            wait = send_next(lane)
        except StorageError:
            # Where the acknowledgement of a claim was lost, nobody knows what is claimed: in the end it is unknown.
            self.public.in_flight |= self._claimed_on(name)
            raise
        if isinstance(lane.channel, SimulatedChannel) and lane.channel.list_name:
            lane.channel.forget_recorded()
        else:
            self.public.in_flight -= self._in_flight_of(name)
        self.world.say(f"lane {name}: {wait}")
        return wait

    def _claimed_on(self, name: str) -> set[int]:
        sentence = (
            "SELECT d.id FROM delivery d JOIN edition e ON e.id = d.edition_id "
            f"WHERE e.channel = '{name}' AND d.state = 'claimed'"
        )
        return {row[0] for row in self.house.database.look(sentence)}

    def _in_flight_of(self, name: str) -> set[int]:
        if not self.public.in_flight:
            return set()
        sentence = (
            "SELECT d.id FROM delivery d JOIN edition e ON e.id = d.edition_id "
            f"WHERE e.channel = '{name}' AND d.state <> 'sending'"
        )
        return {row[0] for row in self.house.database.look(sentence)}

    def reconcile(self) -> None:
        for name in list_names(self.house.plot):
            reconciler = self.process.reconciler(name)
            if reconciler is not None:
                reconciler.ask_due(self.world.read_clock())

    # -- services and readers --------------------------------------------------------------------------------

    def report_events(self) -> None:
        """A report about what went out, late, doubled, or seen before; and what a service does long after."""
        random = self.world.random
        if self.public.late and random.random() < 0.5:
            self._process_late(self.public.late.pop(0))
        letters = [one for one in self.public.seen if one.address != f"@{one.channel}"]
        if not letters:
            return
        one = random.choice(letters)
        kind = random.choices(("delivered", "bounced", "complained", "unsubscribed"), (6, 1, 1, 1))[0]
        event = ServiceEvent(
            kind, f"{kind}-{one.receipt}", self.world.now.timestamp(), one.receipt, one.address, one.delivery_id
        )
        self.events.append(event)
        batch = [*random.choices(self.events, k=min(len(self.events), 2)), event]
        self.storage.events.add(one.channel, batch, self.world.read_clock())
        self.world.say(f"event: {kind} for delivery {one.delivery_id}")

    def _process_late(self, message: Message) -> None:
        self.public.see(message)

    def change_reader(self) -> None:
        random, recipients = self.world.random, self.storage.recipients
        now, reader = self.world.read_clock(), self._choose_reader()
        what = random.choices(("join", "leave", "bar", "bar everywhere", "unbar", "import"), (3, 3, 2, 2, 4, 3))[0]
        self.world.say(f"reader: {what} {reader}")
        if what in ("join", "import"):
            people = READERS if what == "import" else (reader,)
            for _ in recipients.add_subscribers([NewSubscriber(one, one) for one in people], LIST, now):
                pass
        elif what == "leave":
            rows = self.house.database.look(f"SELECT id FROM subscriber WHERE address_key = '{reader}'")
            if rows:
                recipients.unsubscribe(rows[0][0], LIST, "unsubscribed", now)
        elif what == "unbar":
            recipients.unsuppress([reader], random.choice(("", LIST)), now)
        else:
            recipients.suppress([reader], "" if what == "bar everywhere" else LIST, "asked", now)

    def _choose_reader(self) -> str:
        """Mostly somebody who is about to be written to."""
        sentence = (
            "SELECT DISTINCT s.address_key FROM delivery d JOIN subscriber s ON s.id = d.recipient_id "
            "WHERE d.state IN ('queued', 'claimed')"
        )
        waiting = sorted(row[0] for row in self.house.database.look(sentence))
        found: str = self.world.random.choice(waiting if waiting and self.world.random.random() < 0.7 else READERS)
        return found

    def click(self) -> None:
        self.clicks.click()

    def count_clicks(self) -> None:
        self.clicks.count(self.storage)

    # -- editors ---------------------------------------------------------------------------------------------

    def pause_or_resume(self) -> None:
        paused = sorted(self.storage.decisions.list_paused())
        name = self.world.random.choice(paused or list_names(self.house.plot))
        if paused:
            mode = self.world.random.choice(RESUME_MODES)
            minutes = 20 if mode == "spread" else 0
            self.world.say(f"editor: resumes {name} ({mode})")
            self.storage.decisions.resume(name, "anna", self.world.read_clock(), mode, minutes)
        elif self.world.random.random() < 0.5:
            self.world.say(f"editor: pauses {name}")
            self.storage.decisions.pause(name, "wrong headline", "anna", self.world.read_clock())

    def decide(self) -> None:
        choice = self.world.random.choice(
            (self.decide_unknown, self.decide_unknown, self.decide_held, self.decide_post)
        )
        choice()

    def decide_unknown(self, wish: str = "") -> None:
        rows = self.house.database.look("SELECT id FROM delivery WHERE state = 'unknown' ORDER BY id")
        if not rows:
            return
        one = self.world.random.choice(rows)[0]
        decision = wish or self.world.random.choice(("sent", "resend", "leave"))
        self.world.say(f"editor: resolves delivery {one} as {decision}")
        # Counted before it is known to be in the database: an acknowledgement may be lost.
        if decision == "resend":
            self.public.resends[one] += 1
        elif decision == "sent":
            self.public.vouched.add(one)
        self.storage.decisions.resolve(one, decision, "anna", self.world.read_clock())

    def decide_held(self) -> None:
        random, now = self.world.random, self.world.read_clock()
        rows = self.house.database.look(
            "SELECT DISTINCT edition_id FROM delivery WHERE state IN ('held', 'queued') ORDER BY edition_id"
        )
        if rows and random.random() < 0.6:
            one = random.choice(rows)[0]
            if random.random() < 0.8:
                self.world.say(f"editor: releases edition {one}")
                self.storage.decisions.release(one, random.choice((None, now + timedelta(hours=1))), "anna", now)
            else:
                self.world.say(f"editor: gives up edition {one}")
                self.storage.decisions.give_up(one, "old news", "anna", now)
            return
        parked = self.house.database.look("SELECT id FROM edition WHERE state IN ('held', 'parked') ORDER BY id")
        if parked:
            one = random.choice(parked)[0]
            self.world.say(f"editor: lets edition {one} be worded, or drops it")
            if random.random() < 0.7:
                self.storage.editions.unpark(one, random.choice((None, now + timedelta(hours=1))))
            else:
                self.storage.editions.drop(one, "old news", now)

    def decide_post(self, everything: bool = False) -> None:
        """Held stories go out or never do; what only got new ids was told already."""
        rows = self.house.database.look("SELECT id, reason, headline FROM post WHERE status = 'held' ORDER BY id")
        for one, reason, headline in rows if everything else rows[:1]:
            is_new = reason != "ids-changed" and (everything or self.world.random.random() < 0.7)
            self.world.say(f"editor: {'releases' if is_new else 'drops'} post {one} ({reason})")
            if is_new:
                self.public.released_posts.add(int(headline.split("Story ")[1].split()[0]))
                self.storage.posts.release([one], "anna", self.world.read_clock())
            else:
                self.storage.posts.drop([one], "anna", self.world.read_clock())

    # -- time and bad luck -----------------------------------------------------------------------------------

    def pass_time(self) -> None:
        self.world.pass_seconds(*self.world.random.choice(((0.1, 5), (30, 200), (30, 200), (600, 1500))))

    def jump(self) -> None:
        by = self.world.random.choices(JUMPS, [2] * (len(JUMPS) - 1) + [1])[0]
        self.world.turn_clock(by)
        self.world.say(f"clock: jumps by {by}")

    def pull_the_plug(self) -> None:
        """Anywhere, or in the middle of sending."""
        faults, random = self.world.faults, self.world.random
        faults.crash_near = random.choice(((), NEAR_SENDING, NEAR_SENDING))
        faults.crash_in = random.randint(1, 14 if faults.crash_near else 30)

    def lose_the_database(self) -> None:
        faults, random = self.world.faults, self.world.random
        faults.away_in, faults.away_for = random.randint(0, 8), random.choice((1, 1, 2, 5))

    def restart(self) -> None:
        self.wants_restart = True

    def back_up(self) -> None:
        database = self.house.database
        if not database.is_sqlite:
            return
        target = self.house.folder / f"backup-{len(self.world.trace)}.db"
        if not target.exists():
            backup_sqlite(database, target)
            self.world.say("backup")
