"""What is kept about sources, on both databases."""

from __future__ import annotations

import threading
from dataclasses import replace
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


def test_a_note_that_fails_changes_nothing_and_the_next_write_works(storage: Storage, now: datetime) -> None:
    broken = replace(quiet("b", now), state=None)  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r"(?i)null"):
        storage.posts.note_quiet([quiet("a", now), broken])
    assert storage.posts.load_states() == {}
    storage.posts.note_quiet([quiet("a", now)])
    assert set(storage.posts.load_states()) == {"a"}


def test_after_a_note_a_write_waits_for_the_disk_again(storage: Storage, now: datetime) -> None:
    is_sqlite = storage.database.is_sqlite
    if not is_sqlite:
        with storage.database.write() as connection:
            connection.execute(text("SET synchronous_commit = on"))  # the tests' server never waits by itself
    storage.posts.note_quiet([quiet("a", now)])
    with storage.database.write() as connection:
        question = "PRAGMA synchronous" if is_sqlite else "SHOW synchronous_commit"
        assert str(connection.execute(text(question)).scalar()) == ("2" if is_sqlite else "on")


def test_a_note_waits_for_its_turn_among_the_writers(storage: Storage, now: datetime) -> None:
    with storage.database.write() as connection:
        connection.execute(text("INSERT INTO meta (key, value) VALUES ('half', 'done')"))
        thread = threading.Thread(target=storage.posts.note_quiet, args=([quiet("a", now)],))
        thread.start()
    thread.join()
    assert set(storage.posts.load_states()) == {"a"}
