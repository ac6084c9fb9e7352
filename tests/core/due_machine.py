"""Schedules under clocks of every kind: what is due is planned once, in time or never, and no story is lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from distributor.pipeline.plan import Plan
from distributor.storage import Storage
from tests.desk import Desk, make_plan, make_story

#: Nights in which clocks change, and one in which they do not.
NIGHTS = {
    "Europe/Kyiv": ("2026-03-28T20:00", "2026-10-24T20:00"),
    "America/New_York": ("2026-03-08T02:00", "2026-11-01T00:00"),
    "Australia/Lord_Howe": ("2026-04-04T10:00", "2026-10-03T10:00"),
    "Africa/Cairo": ("2026-04-23T18:00", "2026-10-29T16:00"),
    "UTC": ("2026-11-22T20:00",),
}
TIMES = ("00:00", "00:15", "01:45", "02:15", "02:30", "03:00", "07:30", "23:45")
LATENESS = timedelta(hours=6)
MOST = 2
QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)


@dataclass
class Story:
    """A story that was read. `ripe_at`: from when on it may be told."""

    number: int
    ripe_at: datetime
    is_told: bool = False


class DueMachine(RuleBasedStateMachine):
    """One morning brief. Subclasses say which database."""

    def open_storage(self) -> Storage:
        raise NotImplementedError

    @initialize(data=st.data(), zone=st.sampled_from(sorted(NIGHTS)), at=st.sampled_from(TIMES))
    def open(self, data: st.DataObject, zone: str, at: str) -> None:
        self.storage = self.open_storage()
        night = datetime.fromisoformat(data.draw(st.sampled_from(NIGHTS[zone]))).replace(tzinfo=UTC)
        self.desk = Desk(self.storage, night)
        self.desk.poll([make_story(0, published_at=night - timedelta(hours=1))])
        self.zone, self.at = zone, at
        self.desk.plan(self.schedule)
        self.planned_until = self.desk.now
        self.stories: list[Story] = []
        self.editions: list[datetime] = []

    @property
    def schedule(self) -> Plan:
        return make_plan(
            "brief", at=self.at, form="digest", timezone=self.zone, max_lateness=LATENESS, max_items=MOST
        )

    # -- what happens ----------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 3))
    def read_stories(self, count: int) -> None:
        numbers = [len(self.stories) + 1 + index for index in range(count)]
        self.desk.poll([make_story(number) for number in numbers], after=timedelta(seconds=7))
        self.stories += [Story(number, self.desk.now) for number in numbers]

    @rule(minutes=st.sampled_from([1, 14, 15, 45, 180, 400, 1440, 3000, 43_200]), is_ticking=st.booleans())
    def turn_clock(self, minutes: int, is_ticking: bool) -> None:
        """With ticks, or while the program stands still."""
        until = self.desk.now + timedelta(minutes=minutes)
        while is_ticking and minutes <= 3000 and self.desk.now + QUARTER < until:
            self.desk.now += QUARTER
            self.tick()
        self.desk.now = until

    @rule(minutes=st.sampled_from([1, 60, 120, 3000]))
    def set_clock_back(self, minutes: int) -> None:
        self.desk.now -= timedelta(minutes=minutes)

    @rule(zone=st.sampled_from(sorted(NIGHTS)), at=st.sampled_from(TIMES))
    def change_the_rule(self, zone: str, at: str) -> None:
        self.zone, self.at = zone, at

    @rule()
    def tick(self) -> None:
        """As the clock does each second; the model says what has to come of it."""
        now = self.desk.now + timedelta(seconds=1)
        if self.planned_until > now + DAY:
            self.planned_until = now
        due = self.find_due(self.planned_until, now)
        expected: list[Story] = []
        if due:
            self.planned_until = now
            if now - due[-1] <= LATENESS and self.key(due[-1]) not in self.keys():
                expected = [one for one in self.stories if not one.is_told and one.ripe_at <= due[-1]]
        assert self.desk.plan(self.schedule) == bool(expected), (self.zone, self.at, due)
        if expected:
            self.editions.append(due[-1])
            for one in expected:
                one.is_told = True

    @precondition(lambda self: self.editions)
    @rule()
    def tick_twice(self) -> None:
        self.tick()
        assert self.desk.plan(self.schedule) == 0 or self.find_due(self.planned_until, self.desk.now)

    # -- an oracle that only walks and looks at the clock ----------------------------------------------------

    def find_due(self, after: datetime, until: datetime) -> list[datetime]:
        """The first moment of each date at which the clock on the wall shows the time, or later."""
        zone = ZoneInfo(self.zone)
        first, last = (moment.astimezone(zone).date() for moment in (after, until))
        if (last - first).days > 3:
            first = last - timedelta(days=3)
        days = [first + timedelta(days=count) for count in range(-1, (last - first).days + 2)]
        return [moment for moment in (self.find_first(day, zone) for day in days) if after < moment <= until]

    def find_first(self, day: date, zone: ZoneInfo) -> datetime:
        wall = datetime.combine(day, time.fromisoformat(self.at))
        moment = wall.replace(tzinfo=UTC) - timedelta(hours=15)
        while moment.astimezone(zone).replace(tzinfo=None) < wall:
            moment += QUARTER
        return moment

    def key(self, due: datetime) -> str:
        """The name of the due time; in a gap it is the wall time that no clock shows."""
        local = due.astimezone(ZoneInfo(self.zone)).date()
        return f"brief@{local.isoformat()}T{self.at}"

    def keys(self) -> set[str]:
        return {row[0] for row in self.storage.database.look("SELECT key FROM edition")}

    # -- what must always be true ----------------------------------------------------------------------------

    @invariant()
    def each_due_time_is_one_edition(self) -> None:
        rows = self.storage.database.look("SELECT key, due_at FROM edition ORDER BY id")
        assert [row[1] for row in rows] == [due.timestamp() for due in self.editions]
        assert len({row[0] for row in rows}) == len(rows)

    @invariant()
    def a_story_is_told_once_and_none_is_forgotten(self) -> None:
        rows = self.storage.database.look(
            "SELECT p.headline FROM edition_post e JOIN post p ON p.id = e.post_id ORDER BY p.id"
        )
        told = sorted(int(row[0].split()[-1]) for row in rows)
        assert told == [one.number for one in self.stories if one.is_told]
