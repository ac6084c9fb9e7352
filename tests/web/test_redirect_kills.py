"""The server and the counting are killed with -9 again and again while readers click: nobody is missed or doubled.

`--long`: 40 kills of each on each database.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redirect_rig import TARGETS, Client
from sqlalchemy import func, insert, select

from distributor.core.clicks import classify
from distributor.pipeline.track import Rules, drain
from distributor.storage.database import Database
from distributor.storage.links import Links
from distributor.storage.tables import click, click_hour, journal, link
from distributor.web.public.clicks import ClickFiles

HERE = Path(__file__).parent
READERS = 4
#: A journal file is left for the next one after about 100 clicks, so that kills meet rotation as well.
FILE_BYTES = "10000"


@pytest.fixture
def database(ready_database_url: str) -> Iterator[Database]:
    made = Database(ready_database_url)
    rows = [
        {"slug": slug, "key": slug, "target": target, "schedule": "now", "channel": "tg", "slot": "article"}
        for slug, target in TARGETS.items()
    ]
    with made.write() as connection:
        connection.execute(insert(link), [{**row, "created_at": datetime.now(UTC)} for row in rows])
    yield made
    made.close()


class Readers:
    """Click as fast as they can on whatever port is open. A click's name is its referrer's host, which is kept."""

    def __init__(self) -> None:
        self._port = 0
        self._is_open = threading.Event()
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()
        self._more = threading.Condition()
        self._is_over = False
        self._threads = [threading.Thread(target=self._click_on, args=(number,)) for number in range(READERS)]

    def __enter__(self) -> Readers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._is_over = True
        self._is_open.set()
        for thread in self._threads:
            thread.join()

    def open(self, port: str) -> None:
        self._port = int(port)
        self._is_open.set()

    def close(self) -> None:
        self._is_open.clear()

    def wait_for(self, more: int) -> None:
        """Until so many more redirects have arrived."""
        with self._more:
            wanted = len(self.acknowledged) + more
            assert self._more.wait_for(lambda: len(self.acknowledged) >= wanted, 60)

    def _click_on(self, index: int) -> None:
        number = 0
        while not self._is_over:
            self._is_open.wait()
            try:
                with Client(self._port) as client:
                    while not self._is_over:
                        number += 1
                        self._click(client, f"c{index}-{number}.example", number)
            except (OSError, EOFError):
                continue

    def _click(self, client: Client, name: str, number: int) -> None:
        self.sent.add(name)
        status, _, _ = client.ask(f"/l/slug{number % 50:07d}", more=f"Referer: https://{name}/\r\n")
        assert status == 302
        with self._more:
            self.acknowledged.add(name)
            self._more.notify()


class Child:
    """One of the rigs as a process of its own that is killed and started again."""

    def __init__(self, script: str, *arguments: str) -> None:
        self._command = [sys.executable, str(HERE / script), *arguments]
        self.kills = 0
        self.start()

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self._process.stdout is not None
        self._lines = self._process.stdout
        self.first_line = self._lines.readline().strip()

    def wait_for(self, lines: int) -> None:
        for _ in range(lines):
            self._lines.readline()

    def kill(self) -> None:
        self.kills += 1
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._lines.close()


def kill_all_the_time(folder: Path, url: str, kills: int, seed: int) -> Readers:
    source = random.Random(seed)
    server, counting = Child("redirect_rig.py", str(folder), FILE_BYTES), Child("drain_rig.py", url, str(folder))
    readers = Readers()
    readers.open(server.first_line)

    def kill_counting() -> None:
        while counting.kills < kills:
            counting.wait_for(source.randint(1, 12))
            counting.kill()
            counting.start()

    with readers:
        other = threading.Thread(target=kill_counting)
        other.start()
        while server.kills < kills or other.is_alive():
            readers.wait_for(source.randint(20, 400))
            server.kill()
            readers.close()
            server.start()
            readers.open(server.first_line)
        other.join()
    server.kill()
    counting.kill()
    return readers


def test_kills_of_server_and_counting_lose_and_double_no_click(
    database: Database, ready_database_url: str, tmp_path: Path, is_long: bool
) -> None:
    folder = tmp_path / "clicks"
    kills = 40 if is_long else 2
    readers = kill_all_the_time(folder, ready_database_url, kills, seed=20261123)
    drain(ClickFiles(folder), Links(database), Rules(classify, lambda day: b"salt"))
    with database.read() as connection:
        counted = Counter(connection.execute(select(click.c.referrer)).scalars())
        hours = connection.execute(select(func.sum(click_hour.c.count))).scalar_one()
        places = connection.execute(select(func.count()).select_from(journal)).scalar_one()
    assert readers.acknowledged - counted.keys() == set()
    assert {name for name, times in counted.items() if times > 1} == set()
    assert counted.keys() <= readers.sent
    assert hours == counted.total()
    assert ClickFiles(folder).names() == []
    # A kill between deleting a file and forgetting its place leaves the place: a row that nothing refers to.
    assert places <= kills
