"""Two clocks on one database: one asks a source, and what both bring is one story."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

from distributor.core.identity import identity_keys, judge
from distributor.core.source_state import SourceState
from distributor.storage import Storage
from tests.storage.scene import add_post, make_post


def test_a_source_is_asked_by_the_clock_that_is_first(storage: Storage, now: datetime) -> None:
    seen = SourceState.from_json(storage.posts.load_states().get("front", ""))
    claimed = replace(seen.for_address("https://news.example/feed"), next_poll_at=now + timedelta(seconds=20))
    assert storage.lanes.claim_poll("front", seen, claimed)
    assert not storage.lanes.claim_poll("front", seen, claimed)
    after = SourceState.from_json(storage.posts.load_states()["front"])
    assert not after.is_due("https://news.example/feed", now)
    assert after.is_due("https://news.example/feed", now + timedelta(seconds=21))


def test_a_story_that_two_polls_bring_in_one_moment_is_one(storage: Storage, now: datetime) -> None:
    add_post(storage, now, 1)
    post = make_post(2, published_at=now)
    stats = storage.posts.source_stats("front")
    known = storage.posts.find_known("front", identity_keys(post))
    verdicts = judge([post], known, stats, now)
    counts = [storage.posts.apply_poll("front", "{}", verdicts, {}, None, now) for _ in range(2)]
    assert [count.new for count in counts] == [1, 0]
    assert Counter(row.post.headline for row in storage.posts.list_recent()) == {
        "Story number 1": 1,
        "Story number 2": 1,
    }
