"""A news site on loopback, a client that may reach it, a reading process, and a clock that stands still."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from distributor.sources.fetch import Fetcher
from distributor.sources.reader import Reader
from distributor.sources.sandbox import NewsSite

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def site() -> Iterator[NewsSite]:
    with NewsSite(now=lambda: NOW) as site:
        yield site


@pytest.fixture
def fetcher(site: NewsSite) -> Iterator[Fetcher]:
    fetcher = Fetcher(allow_private=[site.place], user_agent="distributor/0 (+https://go.example.org)")
    yield fetcher
    fetcher.close()


@pytest.fixture(scope="session")
def reader() -> Iterator[Reader]:
    reader = Reader()
    yield reader
    reader.close()
