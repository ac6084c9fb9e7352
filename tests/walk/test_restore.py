"""Go back in time, copy the machine, and look at what the public saw: nothing twice, nothing without a person."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distributor.storage.backup import backup_sqlite
from distributor.storage.database import Database
from distributor.storage.instance import read_safe_mode
from distributor.storage.reports import Reports
from tests.walk.newsroom import ROOT, Newsroom
from tests.walk.test_kill import READERS, is_settled, prepare


@contextmanager
def looking(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


def open_room(folder: Path) -> tuple[Newsroom, str]:
    url = f"sqlite:///{folder}/var/distributor.db"
    return Newsroom(folder, url), url


def seen_often(room: Newsroom) -> list[tuple[str, tuple[str, str], int]]:
    return [
        (channel, pair, count)
        for channel, sightings in room.seen().items()
        for pair, count in Counter(sightings).items()
        if count > 1
    ]


def wait_until_settled(room: Newsroom, url: str, editions: int) -> None:
    with looking(url) as database:
        room.wait_for("everything settled", lambda: is_settled(Reports(database), editions), step=0.2)


def wait_for_polls(room: Newsroom, count: int = 3) -> None:
    polls = room.site.polls + count
    room.wait_for("some polls", lambda: room.site.polls >= polls)


def test_a_backup_of_half_a_send_is_restored_and_nobody_gets_anything_twice(tmp_path: Path) -> None:
    """Kill, back up, send on, tell newer stories, restore, start, release."""
    room, url = open_room(tmp_path)
    copy = tmp_path / "copy.db"
    with room:
        prepare(room)
        for number in (2, 3, 4):
            room.site.publish(number)
        room.start()
        room.wait_for("half the letters", lambda: len(room.sandboxes["letter0"].seen) >= READERS)
        room.kill()
        with looking(url) as database:
            backup_sqlite(database, copy)
        room.start()
        wait_until_settled(room, url, 12)
        room.site.publish(5)
        wait_until_settled(room, url, 16)
        assert room.stop() == 0
        with looking(url) as database:
            unknown = {
                (row.channel, row.recipient, row.title)
                for row in Reports(database).list_deliveries(state="unknown", limit=10_000)
            }
        sent = {name: Counter(pairs) for name, pairs in room.seen().items()}

        done = room.command("db", "restore", str(copy))
        assert done.returncode == 0, done.stderr
        room.site.publish(6)
        room.start()
        wait_for_polls(room)
        assert {name: Counter(pairs) for name, pairs in room.seen().items()} == sent, "sent before it was adopted"
        with looking(url) as database:
            assert "distributor db adopt" in read_safe_mode(database)
        assert room.command("db", "adopt").returncode == 1
        assert room.command("db", "adopt", "--release").returncode == 0
        wait_until_settled(room, url, 20)
        assert room.stop() == 0

        assert not seen_often(room)
        with looking(url) as database:
            rows = Reports(database).list_deliveries(limit=10_000)
            assert Reports(database).find_mismatches() == []
        states = Counter((row.state) for row in rows)
        assert set(states) <= {"sent", "unknown"}, states
        assert len(rows) == 5 * (2 * READERS + 2)
        assert states["unknown"] <= len(unknown) + 8
        accounted = {
            (row.channel, row.recipient if "letter" in row.channel else "", row.title)
            for row in rows
            if row.state == "unknown"
        }
        for channel, pairs in room.seen().items():
            names = {(r if "letter" in channel else "", story) for r, story in pairs}
            for number in (2, 3, 4, 5, 6):
                expected = [f"reader{i}@example.org" for i in range(READERS)] if "letter" in channel else [""]
                lost = [r for r in expected if (r, f"Story number {number}") not in names]
                assert all((channel, r, f"Story number {number}") in accounted for r in lost), (
                    f"{channel}: {lost[:3]}"
                )


def test_of_a_machine_and_its_copy_exactly_one_sends(tmp_path: Path) -> None:
    room, url = open_room(tmp_path / "first")
    with room:
        prepare(room)
        room.start()
        wait_for_polls(room, 2)
        assert room.stop() == 0
        second = tmp_path / "second"
        shutil.copytree(room.folder, second)
        config = second / "config" / "distributor.yaml"
        config.write_text(config.read_text().replace(str(room.folder), str(second)))
        for number in (2, 3, 4):
            room.site.publish(number)
        room.start()
        with (second / "run.log").open("wb") as log:
            words = [sys.executable, "-m", "distributor", "run", "--config", str(config), "--roles", "clock,worker"]
            copy = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log)
        try:
            wait_until_settled(room, url, 12)
            with looking(f"sqlite:///{second}/var/distributor.db") as other:
                room.wait_for(
                    "the copy words what it would send",
                    lambda: len(Reports(other).list_editions(limit=100, state="frozen")) >= 12,
                    step=0.2,
                )
                wait_for_polls(room)
                assert "is a copy or was restored" in read_safe_mode(other)
                assert Reports(other).count_deliveries().get(("tg", "queued")) == 3
        finally:
            copy.terminate()
            copy.wait(30)
        assert room.stop() == 0
        assert not seen_often(room)
        assert len(room.seen()["letter0"]) == 3 * READERS
        assert "safe mode" in (second / "run.log").read_text()


def test_half_a_send_moves_to_postgresql_and_goes_on_there(tmp_path: Path, postgres_database_url: str) -> None:
    room, url = open_room(tmp_path)
    with room:
        prepare(room)
        for number in (2, 3, 4):
            room.site.publish(number)
        room.start()
        room.wait_for("half the letters", lambda: len(room.sandboxes["letter0"].seen) >= READERS)
        assert room.stop() == 0
        done = room.command("db", "move", postgres_database_url)
        assert done.returncode == 0, done.stderr
        refused = room.command("run", "--roles", "clock,worker")
        assert refused.returncode == 4
        assert "has moved to postgresql" in refused.stderr
        room.config.write_text(room.config.read_text().replace(url, postgres_database_url))
        room.site.publish(5)
        room.start()
        wait_until_settled(room, postgres_database_url, 16)
        assert room.stop() == 0
        assert not seen_often(room)
        assert {name: len(pairs) for name, pairs in room.seen().items()} == {
            "tg": 4,
            "x": 4,
            "letter0": 4 * READERS,
            "letter1": 4 * READERS,
        }
