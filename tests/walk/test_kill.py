"""Pull the plug while the product sends, start it again, and look at what the public saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from distributor.storage.database import Database
from distributor.storage.reports import Reports
from tests.walk.newsroom import Newsroom

READERS = 60
#: Requests that can be on the wire at one moment, by channel: what one kill may leave unknown. SendGrid takes the
#: whole list in one request.
IN_FLIGHT = {"tg": 1, "x": 1, "letter0": 4, "letter1": READERS}


def prepare(room: Newsroom) -> None:
    """A newsroom whose history is known and whose readers are imported."""
    room.type("db", "upgrade")
    room.import_readers(READERS)
    room.type("poll")


def is_settled(reports: Reports, editions: int) -> bool:
    rows = reports.list_editions(limit=1000)
    is_open = {"queued", "claimed", "sending"}
    return len(rows) >= editions and all(
        row.state in ("frozen", "complete") and not is_open & set(row.counts) for row in rows
    )


@pytest.fixture
def reports(database_url: str) -> Iterator[Reports]:
    """What is in the database, read beside the running product."""
    database = Database(database_url)
    yield Reports(database)
    database.close()


@pytest.mark.parametrize("channel", ["tg", "x", "letter0", "letter1"])
def test_a_kill_while_a_channel_sends_loses_nothing_and_repeats_nothing(
    tmp_path: Path, database_url: str, reports: Reports, channel: str, is_long: bool
) -> None:
    if channel != "letter0" and not is_long:
        pytest.skip("with --long: tests/chaos pulls the plug on every channel in a shorter way")
    with Newsroom(tmp_path, database_url) as room:
        prepare(room)
        for number in (2, 3, 4):
            room.site.publish(number)
        room.start()
        room.wait_for(f"the first message on {channel}", lambda: room.sandboxes[channel].seen)
        room.kill()
        room.start()
        room.wait_for("everything settled", lambda: is_settled(reports, 12), step=0.2)
        assert room.stop() == 0
        check_accounts(room, reports, stories=(2, 3, 4), kills=1)


def test_many_kills_in_a_row_lose_nothing_and_repeat_nothing(
    tmp_path: Path, database_url: str, reports: Reports
) -> None:
    with Newsroom(tmp_path, database_url) as room:
        prepare(room)
        for number in (2, 3, 4, 5):
            room.site.publish(number)
        kills = 0
        for wanted in (1, 30, 75, 135):
            room.start()
            room.wait_for(f"{wanted} letters", lambda w=wanted: len(room.sandboxes["letter0"].seen) >= w)
            room.kill()
            kills += 1
        room.start()
        room.wait_for("everything settled", lambda: is_settled(reports, 16), step=0.2)
        room.stop()
        check_accounts(room, reports, stories=(2, 3, 4, 5), kills=kills)


def check_accounts(room: Newsroom, reports: Reports, stories: tuple[int, ...], kills: int) -> None:
    """The oracle is what the public saw: nothing twice, and whatever is missing is listed as unknown."""
    rows = reports.list_deliveries(limit=100_000)
    names = {f"Story number {number}" for number in stories}
    for channel, sightings in room.seen().items():
        counts = Counter(sightings)
        assert not [pair for pair, count in counts.items() if count > 1], f"{channel}: seen twice"
        assert {story for _, story in counts} <= names, f"{channel}: history was sent"
        mine = [row for row in rows if row.channel == channel]
        expected = len(stories) * (READERS if channel.startswith("letter") else 1)
        assert len(mine) == expected
        states = Counter(row.state for row in mine)
        assert set(states) <= {"sent", "unknown"}, f"{channel}: {states}"
        assert states["unknown"] <= kills * IN_FLIGHT[channel], f"{channel}: {states}"
        seen = {(recipient if channel.startswith("letter") else "", story) for recipient, story in counts}
        for row in mine:
            pair = (row.recipient, row.title)
            if row.state == "sent":
                assert pair in seen, f"{channel}: {pair} is called sent and nobody saw it"
