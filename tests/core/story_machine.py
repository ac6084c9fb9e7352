"""What a feed can do to its stories, in any order: a story is told once, history never, and nothing is lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from distributor.core.post import Post
from distributor.storage import Storage
from tests.desk import Desk, make_plan

START = datetime.fromisoformat("2026-11-23T07:30:00+00:00")
SCHEDULE = make_plan()


@dataclass
class Story:
    """A story of the site. `is_renamed`: one of its names changed since it was last read."""

    number: int
    guid: str
    url: str
    headline: str
    published_at: datetime | None
    summary: str = "First words."
    was_read: bool = False
    is_history: bool = False
    is_renamed: bool = False

    def as_post(self) -> Post:
        about = {"summary": self.summary, "section": "World", "published_at": self.published_at}
        return Post("front", self.guid, self.url, self.headline, **about)  # type: ignore[arg-type]


@dataclass
class Site:
    """The feed as it stands, newest first."""

    scheme: str = "https"
    host: str = "news.example"
    stories: dict[int, Story] = field(default_factory=dict)
    feed: list[int] = field(default_factory=list)


class StoryMachine(RuleBasedStateMachine):
    """Subclasses say which database."""

    def open_storage(self) -> Storage:
        raise NotImplementedError

    @initialize()
    def open(self) -> None:
        self.storage = self.open_storage()
        self.desk = Desk(self.storage, START)
        self.desk.plan(SCHEDULE)
        self.site = Site()
        self.first_read_at: datetime | None = None
        self.changes = 0

    # -- what the site does ----------------------------------------------------------------------------------

    @rule(count=st.sampled_from([1, 1, 1, 2, 3, 7]), is_dated=st.booleans())
    def publish(self, count: int, is_dated: bool) -> None:
        for _ in range(count):
            number = len(self.site.stories) + 1
            address = f"{self.site.scheme}://{self.site.host}"
            dated = self.desk.now if is_dated else None
            story = Story(number, f"{address}/?p={number}", f"{address}/{number}", f"Story {number} in full", dated)
            self.site.stories[number] = story
            self.site.feed.insert(0, number)

    @precondition(lambda self: self.site.feed)
    @rule(data=st.data(), name=st.sampled_from(["guid", "url", "headline"]))
    def rename(self, data: st.DataObject, name: str) -> None:
        """One of its names: whoever changes all of them at once has published another story."""
        story = self._draw(data)
        if story.was_read and not story.is_renamed:
            self.changes += 1
            story.is_renamed = True
            setattr(story, name, f"{getattr(story, name)} again {self.changes}".replace(" ", self._joint(name)))

    @staticmethod
    def _joint(name: str) -> str:
        return " " if name == "headline" else "-"

    @precondition(lambda self: self.site.feed)
    @rule(data=st.data())
    def rewrite(self, data: st.DataObject) -> None:
        self.changes += 1
        self._draw(data).summary = f"Words of version {self.changes}."

    @rule(is_secure=st.booleans(), has_www=st.booleans())
    def move_everything(self, is_secure: bool, has_www: bool) -> None:
        """http or https, with www. or without: every address changes and no story does."""
        scheme, host = "https" if is_secure else "http", "www.news.example" if has_www else "news.example"
        before = f"{self.site.scheme}://{self.site.host}/"
        self.site.scheme, self.site.host = scheme, host
        for story in self.site.stories.values():
            story.guid = story.guid.replace(before, f"{scheme}://{host}/")
            story.url = story.url.replace(before, f"{scheme}://{host}/")

    @precondition(lambda self: self.site.feed)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        self.site.feed.remove(self._draw(data).number)

    @precondition(lambda self: len(self.site.feed) < len(self.site.stories))
    @rule(data=st.data())
    def bring_back(self, data: st.DataObject) -> None:
        gone = [number for number in self.site.stories if number not in self.site.feed]
        self.site.feed.insert(0, data.draw(st.sampled_from(gone)))

    def _draw(self, data: st.DataObject) -> Story:
        return self.site.stories[data.draw(st.sampled_from(self.site.feed))]

    # -- what the program does -------------------------------------------------------------------------------

    @rule(data=st.data(), length=st.sampled_from([0, 1, 3, 200, 200, 200]), is_doubled=st.booleans())
    def read(self, data: st.DataObject, length: int, is_doubled: bool) -> None:
        """The feed: whole, cut short or empty, in any order, with a story in it twice."""
        shown = data.draw(st.permutations(self.site.feed))[:length]
        posts = [self.site.stories[number].as_post() for number in shown]
        self.desk.poll(posts + posts[:1] * is_doubled)
        self._note_read(shown)
        self.desk.plan(SCHEDULE)

    def _note_read(self, shown: list[int]) -> None:
        is_beginning = not any(story.was_read for story in self.site.stories.values())
        since = self.first_read_at
        for number in shown:
            story = self.site.stories[number]
            was_there = since is None or story.published_at is None or story.published_at <= since
            story.is_history |= is_beginning and was_there
            story.was_read, story.is_renamed = True, False
        self.first_read_at = since or self.desk.now

    @rule(hours=st.sampled_from([0.1, 5, 30]))
    def let_time_pass(self, hours: float) -> None:
        self.desk.now += timedelta(hours=hours)

    @precondition(lambda self: self.storage.posts.list_held_ids())
    @rule(is_released=st.booleans())
    def decide_about_what_is_held(self, is_released: bool) -> None:
        ids = self.storage.posts.list_held_ids()
        if is_released:
            self.storage.posts.release(ids, "anna", self.desk.now)
        else:
            self.storage.posts.drop(ids, "anna", self.desk.now)
        self.desk.plan(SCHEDULE)

    # -- what must always be true ----------------------------------------------------------------------------

    @invariant()
    def each_story_is_one_post_told_once_and_history_never(self) -> None:
        look = self.storage.database.look
        told = {row[0] for row in look("SELECT post_id FROM edition_post")}
        posts: dict[int, list[tuple[int, str]]] = {}
        for one, headline, status in look("SELECT id, headline, status FROM post ORDER BY id"):
            posts.setdefault(int(headline.split()[1]), []).append((one, status))
        for number, story in self.site.stories.items():
            found = posts.get(number, [])
            assert len(found) == story.was_read, f"story {number} is {len(found)} posts"
            for one, status in found:
                assert (status == "baseline") == story.is_history, f"story {number} is {status}"
                assert (one in told) == (status == "live"), f"story {number}, {status}, told: {one in told}"

    def teardown(self) -> None:
        """The database is the run's and is put back before the next one."""
