"""The newsroom whose feed is read: publishes, changes, withdraws and renames stories, and has bad days."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from distributor.core.errors import SourceError
from distributor.core.post import Post
from distributor.core.source_state import PollResult, SourceState, rest
from tests.simulation.world import World

EVERY = timedelta(minutes=2)
NAME = "front"
#: A desk's mark that keeps a story back (core/hold_words).
DRAFT = "Draft: "


@dataclass
class Story:
    """One story as the newsroom has it. `renamed`: which of its names changed since it was last read."""

    number: int
    guid: str
    url: str
    headline: str
    published_at: datetime | None
    summary: str = "First words."
    is_draft: bool = False
    renamed: set[str] = field(default_factory=set)
    #: Was in the feed when it was first read: never to be told.
    is_history: bool = False
    was_read: bool = False
    was_ever_clean: bool = False

    def as_post(self) -> Post:
        headline = f"{DRAFT}{self.headline}" if self.is_draft else self.headline
        return Post(
            NAME,
            self.guid,
            self.url,
            headline,
            summary=self.summary,
            section="World",
            published_at=self.published_at,
        )


@dataclass
class Newsroom:
    """A feed, as `Source` gives it. `version` changes with every change, as an ETag does."""

    world: World
    stories: dict[int, Story] = field(default_factory=dict)
    feed: list[int] = field(default_factory=list)
    version: int = 0
    scheme: str = "https"
    #: What the poll under way, or the last one, showed.
    shown: tuple[int, ...] = ()
    asked_at: datetime | None = None
    first_read_at: datetime | None = None

    # -- what the newsroom does ------------------------------------------------------------------------------

    def publish(self, count: int = 1, ahead: timedelta = timedelta(), is_draft: bool = False) -> list[int]:
        numbers = []
        for _ in range(count):
            number = len(self.stories) + 1
            url = f"{self.scheme}://news.example/{number}"
            dated = self.world.now + ahead
            published = dated if ahead or self.world.random.random() < 0.9 else None
            self.stories[number] = Story(
                number, f"{self.scheme}://news.example/?p={number}", url, f"Story {number} in full", published
            )
            self.stories[number].is_draft = is_draft
            self.feed.insert(0, number)
            numbers.append(number)
        self.version += 1
        return numbers

    def change(self, story: Story) -> str:
        """A change that readers would see, or a new name; never so many names that nobody could know it again."""
        self.version += 1
        what = self.world.random.choice(("summary", "guid", "url", "headline", "draft"))
        if what == "draft" and story.is_draft:
            story.is_draft = False
        elif what in ("guid", "url") and not story.renamed and story.was_read:
            story.renamed.add(what)
            setattr(story, what, f"{getattr(story, what)}-v{self.version}")
        elif what == "headline" and not story.renamed:
            story.headline = f"Story {story.number} as of version {self.version}"
        else:
            story.summary = f"Words of version {self.version}."
        return what

    def flip_scheme(self) -> None:
        """The site moves between http and https: every address of every story changes."""
        self.scheme = "http" if self.scheme == "https" else "https"
        self.version += 1
        for story in self.stories.values():
            story.guid = f"{self.scheme}:{story.guid.partition(':')[2]}"
            story.url = f"{self.scheme}:{story.url.partition(':')[2]}"

    def withdraw(self, number: int) -> None:
        self.feed.remove(number)
        self.version += 1

    def shuffle(self) -> None:
        self.world.random.shuffle(self.feed)
        self.version += 1

    # -- as a source -----------------------------------------------------------------------------------------

    def poll(self, state: SourceState, now: datetime) -> PollResult:
        random = self.world.random
        self.shown, self.asked_at = (), now
        if self.world.happens(0.08):
            raise SourceError("simulated: the site answers with 503", retry_after=random.choice((None, 30.0)))
        numbers = self.feed[:30]
        mark = str(self.version)
        if self.world.happens(0.1):
            # A cut or empty answer; its mark is no version, so the next poll looks again.
            numbers, mark = numbers[: random.choice((0, 1, 3))], f"cut {self.version}"
        first = state.first_polled_at or now
        after = rest(replace(state, first_polled_at=first, cursor=mark, configured=NAME), NAME, EVERY, now)
        if state.cursor == mark:
            return PollResult(after, is_unchanged=True)
        self.shown = tuple(numbers)
        return PollResult(after, tuple(self.stories[number].as_post() for number in numbers))

    def enrich(self, post: Post, now: datetime) -> Post:
        return post

    def note_read(self) -> None:
        """The poll that was shown `shown` is in the database for certain."""
        is_beginning = not any(story.was_read for story in self.stories.values())
        for number in self.shown:
            story = self.stories[number]
            story.renamed.clear()
            story.is_history |= is_beginning and self._was_there_before(story)
            story.was_read = True
            story.was_ever_clean |= not story.is_draft
        self.first_read_at = self.first_read_at or self.asked_at
        self.shown = ()

    def _was_there_before(self, story: Story) -> bool:
        """A feed that was empty when it was first read has no history but what is dated before that."""
        since = self.first_read_at
        return since is None or story.published_at is None or story.published_at <= since
