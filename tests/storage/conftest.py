"""A fresh, migrated database for each test, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from distributor.storage import Storage, join_stores, schema
from distributor.storage.database import Database


@pytest.fixture
def storage(database_url: str) -> Iterator[Storage]:
    database = Database(database_url)
    schema.upgrade(database)
    yield join_stores(database)
    database.close()


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
