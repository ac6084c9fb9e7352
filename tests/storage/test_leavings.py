"""Who has said no since a backup was made is on the send record, and a restored database learns it from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from distributor.core.message import ServiceEvent
from distributor.core.subscriber import NewSubscriber
from distributor.storage import Storage, join_stores
from distributor.storage.kept import read_kept
from distributor.storage.leavings import LeaveRecord, apply, gather, seal, unseal
from distributor.storage.restore import merge_journal
from distributor.storage.send_record import list_files
from distributor.storage.tables import list_member, subscriber, suppression
from tests.storage.scene import add_edition, add_readers

LIST = "readers"


@pytest.fixture
def desk(storage: Storage, tmp_path: Path, now: datetime) -> Storage:
    """Four readers; whoever leaves is on the record."""
    add_readers(storage, now, 4)
    return join_stores(storage.database, tmp_path)


@pytest.fixture
def go_back(desk: Storage) -> Iterator[Callable[[], None]]:
    """Puts the tables of readers back as they are now: what a backup does to them."""
    tables = (subscriber, list_member, suppression)
    with desk.database.read() as connection:
        kept = [[dict(row) for row in connection.execute(select(table)).mappings()] for table in tables]

    def restore() -> None:
        with desk.database.write("test.restore") as connection:
            for table in (suppression, list_member, subscriber):
                connection.execute(table.delete())
            for table, rows in zip(tables, kept, strict=True):
                if rows:
                    connection.execute(table.insert(), rows)

    yield restore


def members(storage: Storage) -> list[int]:
    return [number for number in range(1, 5) if storage.recipients.is_member(number, LIST)]


def barred(storage: Storage) -> list[tuple[str, str, str]]:
    with storage.database.read() as connection:
        rows = connection.execute(select(suppression.c.address_key, suppression.c.list, suppression.c.reason))
        return sorted((row[0], row[1], row[2]) for row in rows)


def merge(storage: Storage, folder: Path) -> int:
    kept = read_kept(list_files(folder), storage.instance, lambda token: True)
    with storage.database.write("test.merge") as connection:
        return apply(connection, gather(kept.leavings, storage.secret))


def address(number: int) -> str:
    return f"reader{number}@example.org"


def keys(storage: Storage) -> dict[int, str]:
    with storage.database.read() as connection:
        return {row.id: row.address_key for row in connection.execute(select(subscriber))}


def test_who_left_after_the_copy_is_not_written_to_again(
    desk: Storage, go_back: Callable[[], None], tmp_path: Path, now: datetime
) -> None:
    known = keys(desk)
    assert desk.recipients.unsubscribe(1, LIST, "unsubscribed", now)
    desk.recipients.suppress(["stranger@example.org", known[2]], "", "asked by phone", now)
    desk.recipients.suppress([known[3]], LIST, "by hand", now)
    expected = members(desk), barred(desk)
    go_back()
    assert members(desk) == [1, 2, 3, 4] and barred(desk) == []
    assert merge(desk, tmp_path) == 4
    assert (members(desk), barred(desk)) == expected
    assert merge(desk, tmp_path) == 0, "safe to repeat"
    people = [NewSubscriber(key, key) for key in (*known.values(), "stranger@example.org")]
    *_, count = desk.recipients.add_subscribers(people, LIST, now)
    assert (count.added, count.left_before, count.suppressed) == (0, 1, 3), "an import is not consent"


def test_what_services_report_is_on_the_record_too(desk: Storage, tmp_path: Path, now: datetime) -> None:
    add_edition(desk, now, channel="letter", list_name=LIST)
    ids = sorted(row.id for row in desk.reports.list_deliveries(limit=10))
    events = [
        ServiceEvent(kind, kind, now.timestamp(), delivery_id=number, detail="no such user")
        for kind, number in zip(("complained", "unsubscribed", "bounced"), ids, strict=False)
    ]
    desk.events.add("letter", events, now)
    expected = members(desk), barred(desk)
    assert len(expected[0]) == 2
    with desk.database.write("test.restore") as connection:
        connection.execute(suppression.delete())
        connection.execute(list_member.update().values(state="member", since=now - timedelta(days=1)))
        connection.execute(subscriber.update().values(status="active", reason=""))
    assert merge(desk, tmp_path) == 3
    assert (members(desk), barred(desk)) == expected
    with desk.database.read() as connection:
        lost = connection.execute(select(subscriber.c.reason).where(subscriber.c.status == "unreachable")).scalars()
        assert list(lost) == ["no such user"]


def test_a_suppression_that_was_taken_back_stays_back(
    desk: Storage, go_back: Callable[[], None], tmp_path: Path, now: datetime
) -> None:
    key = keys(desk)[1]
    desk.recipients.suppress([key], "", "a mistake", now)
    desk.recipients.unsuppress([key], "", now + timedelta(seconds=1))
    go_back()
    assert merge(desk, tmp_path) == 0
    assert barred(desk) == []


def test_the_record_bars_and_never_lets_in(desk: Storage, tmp_path: Path, now: datetime) -> None:
    """The copy has a suppression that was taken back later: whoever wants it gone says so again."""
    key = keys(desk)[1]
    desk.recipients.unsuppress([key], "", now)
    with desk.database.write("test.restore") as connection:
        row = {"address_key": key, "list": "", "reason": "by hand", "at": now}
        connection.execute(suppression.insert().values(row))
    merge(desk, tmp_path)
    assert barred(desk) == [(key, "", "by hand")]


def test_who_came_back_to_the_list_after_leaving_it_stays(desk: Storage, tmp_path: Path, now: datetime) -> None:
    desk.recipients.unsubscribe(1, LIST, "unsubscribed", now)
    with desk.database.write("test.join") as connection:
        connection.execute(suppression.delete())
        connection.execute(list_member.update().values(state="member", since=now + timedelta(hours=1)))
    assert merge(desk, tmp_path) == 0
    assert members(desk) == [1, 2, 3, 4]


def test_nobody_can_read_an_address_in_it(desk: Storage, tmp_path: Path, now: datetime) -> None:
    desk.recipients.unsubscribe(1, LIST, "unsubscribed", now)
    desk.recipients.suppress(["stranger@example.org"], "", "wrote to us: stranger@example.org", now)
    written = b"".join(path.read_bytes() for path in list_files(tmp_path))
    assert written.count(b"\nu ") == 2
    assert b"example" not in written and LIST.encode() not in written


def test_another_secret_opens_nothing_and_adds_nothing(desk: Storage, tmp_path: Path, now: datetime) -> None:
    LeaveRecord(tmp_path, desk.instance, b"x" * 32).note("left", [keys(desk)[1]], LIST, "", now)
    assert merge(desk, tmp_path) == 0
    with pytest.raises(ValueError):
        unseal(seal({"word": "left"}, b"x" * 32), desk.secret)


def test_the_nodes_records_are_read_as_one_story(
    desk: Storage, go_back: Callable[[], None], tmp_path: Path, now: datetime
) -> None:
    """The bar was set on one node and lifted on another, whose folder is named first."""
    key = keys(desk)[1]
    first, second = tmp_path / "a", tmp_path / "b"
    join_stores(desk.database, second).recipients.suppress([key], "", "a mistake", now)
    join_stores(desk.database, first).recipients.unsuppress([key], "", now + timedelta(seconds=1))
    go_back()
    kept = read_kept([*list_files(first), *list_files(second)], desk.instance, lambda token: True)
    assert gather(kept.leavings, desk.secret).barred == {}


def test_leaving_does_not_wait_for_a_disk_that_is_gone(
    desk: Storage, tmp_path: Path, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "sent").write_text("not a folder")
    assert desk.recipients.unsubscribe(1, LIST, "unsubscribed", now)
    assert members(desk) == [2, 3, 4]
    assert "who left is not on the send record" in caplog.text


def test_merge_journal_tells_how_many_left(
    desk: Storage, go_back: Callable[[], None], tmp_path: Path, now: datetime
) -> None:
    desk.recipients.unsubscribe(1, LIST, "unsubscribed", now)
    go_back()
    assert merge_journal(desk.database, tmp_path, (), now).left == 1
    assert members(desk) == [2, 3, 4]
