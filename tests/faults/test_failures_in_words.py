"""What a failure says: to whom it goes, and what it must not name."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from distributor.storage import Storage


def test_a_mistake_in_a_statement_is_told_without_readers_addresses(storage: Storage) -> None:
    with pytest.raises(DBAPIError) as told, storage.database.write() as connection:
        connection.execute(text("INSERT INTO nowhere VALUES (:address)"), {"address": "reader@example.org"})
    assert "nowhere" in str(told.value)
    assert "reader@example.org" not in str(told.value)
