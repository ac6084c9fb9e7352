"""Unknown deliveries are looked for on the real wire of the X sandbox; absence decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from distributor.channels import Surroundings, load, open_channel, settings_model
from distributor.core.contracts import Site
from distributor.core.message import Content
from distributor.core.planning import EditionPlan
from distributor.pipeline.reconcile import ASK_AFTER, Reconciler
from distributor.pipeline.send import Lane, send_next
from distributor.storage import Storage
from tests.storage.scene import add_post, states


class NoJournal:
    """X keeps no journal: its `sending` is committed in the database."""

    def note(self, accepted: object, refused: object, started: object) -> None: ...
    def forget(self) -> None: ...
    def close(self) -> None: ...


@pytest.fixture
def box() -> Iterator[Any]:
    with load("x", "sandbox").Sandbox() as sandbox:
        yield sandbox


def send_one(storage: Storage, box: Any, now: datetime) -> Any:
    post_id = add_post(storage, now)
    plan = EditionPlan("x:1", "now-x", "x", "each", "Story", now, now + timedelta(hours=1), (post_id,))
    edition_id = storage.editions.add_edition(plan, now)
    assert edition_id is not None
    content = Content({"text": "A story https://go.example.org/l/AbCdEfGhIjK"})
    storage.editions.freeze(edition_id, content, list_name="", revisions={post_id: 1}, links=(), now=now)
    settings = settings_model("x")(name="x", **box.settings())
    channel = open_channel(settings, Surroundings(Site("The Daily Example", "https://go.example.org")))
    lane = Lane(
        channel, storage.ledger, NoJournal(), "me", lambda: now, lambda e, r: {}, lambda: True, lambda s: None
    )
    send_next(lane)
    return channel


def test_a_lost_answer_is_found_on_the_timeline_and_settled(storage: Storage, box: Any, now: datetime) -> None:
    box.script("lost-after")
    channel = send_one(storage, box, now)
    assert states(storage) == {"unknown": 1}
    reconciler = Reconciler(channel, storage.recovery)
    assert reconciler.ask_due(now + ASK_AFTER[0] - timedelta(seconds=1)) == 0
    assert reconciler.ask_due(now + ASK_AFTER[0]) == 1
    assert states(storage) == {"sent": 1}
    assert len(box.seen) == 1
    assert storage.reports.list_editions()[0].state == "complete"
    channel.close()


def test_absence_leaves_it_unknown_and_asks_three_times_at_most(storage: Storage, box: Any, now: datetime) -> None:
    box.script("lost-before")
    channel = send_one(storage, box, now)
    reconciler = Reconciler(channel, storage.recovery)
    for minutes in range(1, 30):
        assert reconciler.ask_due(now + timedelta(minutes=minutes)) == 0
    assert list(reconciler.asked.values()) == [len(ASK_AFTER)]
    assert states(storage) == {"unknown": 1}
    assert box.seen == []
    channel.close()
