"""What is kept about sources, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from distributor.core.source_state import QuietPoll, SourceState
from distributor.storage import Storage


def quiet(name: str, now: datetime, etag: str = '"1"') -> QuietPoll:
    state = SourceState(configured=f"https://news.example/{name}", etag=etag, first_polled_at=now)
    return QuietPoll(name, state.to_json(), now + timedelta(minutes=2), now)


def test_polls_without_news_are_noted_in_one_go(storage: Storage, now: datetime) -> None:
    storage.posts.note_failure("b", "{}", "it was away", now, now - timedelta(hours=1))
    storage.posts.note_quiet([quiet("a", now), quiet("b", now)])
    rows = storage.posts.load_sources()
    assert {name: (row.failures, row.error) for name, row in rows.items()} == {"a": (0, ""), "b": (0, "")}
    assert {(row.last_poll_at, row.last_ok_at) for row in rows.values()} == {(now, now)}
    assert rows["a"].next_poll_at == now + timedelta(minutes=2)


def test_the_newest_note_stands(storage: Storage, now: datetime) -> None:
    storage.posts.note_quiet([quiet("a", now)])
    storage.posts.note_quiet([quiet("a", now, '"50% :name"')])
    state = storage.posts.load_state("a")
    assert SourceState.from_json(state).etag == '"50% :name"'
    assert storage.posts.load_states() == {"a": state}


def test_a_source_never_polled_has_no_state(storage: Storage) -> None:
    assert storage.posts.load_state("a") == ""
    assert storage.posts.load_states() == {}
    storage.posts.note_quiet([])
    assert storage.posts.load_states() == {}


def test_after_a_lazy_write_the_next_one_waits_for_the_disk_again(storage: Storage) -> None:
    is_sqlite = storage.database.is_sqlite
    question = "PRAGMA synchronous" if is_sqlite else "SHOW synchronous_commit"
    if not is_sqlite:
        with storage.database.write() as connection:
            connection.execute(text("SET synchronous_commit = on"))  # the tests' server never waits by itself
    with storage.database.write_lazily() as connection:
        lazy = str(connection.execute(text(question)).scalar())
    with storage.database.write() as connection:
        usual = str(connection.execute(text(question)).scalar())
    assert (lazy, usual) == (("1", "2") if is_sqlite else ("off", "on"))


def test_a_lazy_write_that_fails_changes_nothing(storage: Storage, now: datetime) -> None:
    with pytest.raises(LookupError), storage.database.write_lazily() as connection:
        connection.execute(text("INSERT INTO meta (key, value) VALUES ('half', 'done')"))
        raise LookupError
    with storage.database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM meta WHERE key = 'half'")).scalar() == 0
