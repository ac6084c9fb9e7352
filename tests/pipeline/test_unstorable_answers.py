"""Services may answer with characters that no database takes: what they said is kept without them, never lost."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from distributor.core.delivery import settle
from distributor.core.errors import MessageRefused, SourceError
from distributor.core.message import Accepted, ServiceEvent
from distributor.core.source_state import SourceState
from distributor.pipeline.poll import poll
from distributor.storage import Storage
from distributor.storage.tables import service_event
from tests.desk import EVERY, ToldSource
from tests.pipeline.sending_scene import open_rig
from tests.storage.scene import add_edition, add_readers

#: NUL, which PostgreSQL refuses, and half a pair, which is no character at all.
ODD = "no \x00such\ud800 chat"


@pytest.mark.parametrize(
    ("service", "answer", "state"),
    [
        ("telegram", f"400 Bad Request: {ODD}", "failed"),
        ("telegram", f"403 Forbidden: {ODD}", "held"),
        ("telegram", f"500 {ODD}", "unknown"),
        ("x", f"400 {ODD}", "failed"),
        ("smtp", "message:250 2.0.0 Ok: queued as \x00A1", "sent"),
        ("smtp", "message:554 5.7.1 Spam\x00", "failed"),
        ("smtp", "recipient:550 5.1.1 no\x00body here", "failed"),
        ("smtp", "garbage", "unknown"),
    ],
)
def test_an_answer_with_a_nul_settles_like_any_other(
    storage: Storage, now: datetime, tmp_path: Path, service: str, answer: str, state: str
) -> None:
    with open_rig(service, storage, now, tmp_path, readers=3) as rig:
        rig.add()
        try:
            rig.sandbox.script(*[answer] * 3)
        except ValueError:
            pytest.skip("this sandbox cannot say it")
        rig.send()
        rows = rig.storage.reports.list_deliveries()
        assert state in {row.state for row in rows} and not {"sending", "claimed"} & {row.state for row in rows}
        assert not [row for row in rows if "\x00" in f"{row.detail}{row.reason}{row.receipt}"]


@pytest.mark.parametrize("outcome", [Accepted(f"id{ODD}", ODD), MessageRefused(f"no: {ODD}", ODD)])
def test_what_is_settled_can_be_stored(outcome: Accepted | MessageRefused) -> None:
    what = settle(outcome, 1, 20, 1)
    assert what.detail == "no such chat"
    assert f"{what.reason}{what.receipt}{what.detail}".isprintable()


def test_a_report_of_a_service_with_a_nul_is_kept(storage: Storage, now: datetime) -> None:
    add_readers(storage, now, 1)
    add_edition(storage, now, channel="letter", list_name="readers")
    event = ServiceEvent("bounced", "key\x00", now.timestamp(), "r\x00", "reader0@example.org", 1, ODD)
    assert storage.events.add("letter", [event], now).new == 1
    assert storage.events.add("letter", [event], now).repeated == 1
    with storage.database.read() as connection:
        assert connection.execute(select(service_event.c.detail)).scalar_one() == "no such chat"


def test_a_source_that_fails_with_a_nul_is_shown(storage: Storage, now: datetime) -> None:
    told = ToldSource(trouble=SourceError(ODD))
    poll("front", told, EVERY, SourceState(), storage.posts, told.enrich, now)
    row = storage.posts.load_sources()["front"]
    assert row.error == "no such chat"
    assert SourceState.from_json(row.state).failures == 1
