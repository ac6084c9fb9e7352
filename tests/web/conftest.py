"""A storage over a ready database, on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from distributor.storage import Storage, open_storage


@pytest.fixture
def storage(ready_database_url: str) -> Iterator[Storage]:
    opened = open_storage(ready_database_url)
    yield opened
    opened.close()
