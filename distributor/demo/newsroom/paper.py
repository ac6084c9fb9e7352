"""What the sample newsroom has published, and how it came to that."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from distributor.demo.newsroom.stories import Story, correct_story, load_stories, make_bulletin

#: How many stories the feed holds, as real ones do.
FEED_LENGTH = 20


@dataclass(frozen=True, slots=True)
class Article:
    """A story that is out. `note` says what was corrected, "" when nothing was."""

    story: Story
    published_at: datetime
    updated_at: datetime
    note: str = ""

    @property
    def path(self) -> str:
        return f"/{self.published_at:%Y/%m/%d}/{self.story.slug}"

    @property
    def is_corrected(self) -> bool:
        return bool(self.note)


class Newsroom:
    """The paper. Thread-safe. `now` gives aware datetimes; publication times are whole seconds, as in feeds."""

    def __init__(self, now: Callable[[], datetime], stories: Sequence[Story] | None = None) -> None:
        written = load_stories() if stories is None else stories
        self._now = now
        self._lock = threading.Lock()
        self._fresh = deque(story for story in written if story.when == "fresh")
        self._breaking = deque(story for story in written if story.when == "breaking")
        self._bulletins = 0
        before = [story for story in written if story.when == "before"]
        self._articles = sorted(map(self._print_before, before), key=_published)
        #: Changes with everything that readers could see.
        self.version = 1

    def _print_before(self, story: Story) -> Article:
        at = self._read_second() - timedelta(hours=story.hours_ago)
        return Article(story, at, at)

    def _read_second(self) -> datetime:
        return self._now().replace(microsecond=0)

    @property
    def articles(self) -> list[Article]:
        """Newest first."""
        with self._lock:
            return self._articles[::-1]

    def find(self, path: str) -> Article | None:
        return next((article for article in self.articles if article.path == path), None)

    def publish(self, slug: str = "") -> Article:
        """The next fresh story, or the one of this slug; bulletins when all are told."""
        with self._lock:
            story = next((one for one in self._fresh if slug in ("", one.slug)), None)
            if story is not None:
                self._fresh.remove(story)
            elif slug:
                raise LookupError(f"{slug} is published already, or was never written")
            else:
                story = self._write_bulletin()
            return self._add(story)

    def publish_breaking(self) -> Article | None:
        """The next breaking story; None when all are told."""
        with self._lock:
            return self._add(self._breaking.popleft()) if self._breaking else None

    def correct(self) -> Article | None:
        """Correct the newest story that needs it; None when none does."""
        with self._lock:
            for index in reversed(range(len(self._articles))):
                article = self._articles[index]
                correction = article.story.correction
                if correction and not article.is_corrected:
                    story, now = correct_story(article.story), self._read_second()
                    self._articles[index] = replace(article, story=story, updated_at=now, note=correction.note)
                    self.version += 1
                    return self._articles[index]
        return None

    @property
    def can_correct(self) -> bool:
        return any(article.story.correction and not article.is_corrected for article in self.articles)

    @property
    def can_break(self) -> bool:
        return bool(self._breaking)

    def _write_bulletin(self) -> Story:
        self._bulletins += 1
        return make_bulletin(self._bulletins, self._now().astimezone())

    def _add(self, story: Story) -> Article:
        at = self._read_second()
        article = Article(story, at, at)
        self._articles.append(article)
        self.version += 1
        return article


def _published(article: Article) -> datetime:
    return article.published_at
