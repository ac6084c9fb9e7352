"""Clicks between the redirect and the database: nothing acknowledged is lost, nothing is counted twice."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redirect_rig import Client, read_lines

from distributor.core.clicks import ClickRow, classify
from distributor.core.errors import StorageError
from distributor.pipeline.track import Drained, Rules, drain, mark_visitor, name_agent, read_record
from distributor.web.public.clicks import ClickFiles, ClickJournal
from distributor.web.public.salts import DailySalts
from distributor.web.public.traits import cut_address, format_record, read_traits

HERE = Path(__file__).parent
AT = 1_795_428_000_123
RULES = Rules(classify, lambda day: day.isoformat().encode())
CHROME = b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0 Safari/537.36"


def make_record(number: int = 1, **headers: bytes) -> bytes:
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    traits = read_traits({b"user-agent": CHROME, b"accept": b"text/html", **named})
    return format_record(AT + number, b"slug%07d" % (number % 50), b"GET", b"192.0.2.0/24", traits)


class Memory:
    """A store that keeps clicks and positions together, as one transaction does."""

    def __init__(self) -> None:
        self.clicks: list[ClickRow] = []
        self.positions: dict[str, int] = {}
        self.fail_at: set[int] = set()
        self.calls = 0

    def position(self, journal_name: str) -> int:
        return self.positions.get(journal_name, 0)

    def add_clicks(self, journal_name: str, new_position: int, clicks: Sequence[ClickRow]) -> int:
        self.calls += 1
        if self.calls in self.fail_at:
            raise StorageError("the database is locked")
        self.clicks += clicks
        self.positions[journal_name] = new_position
        return len(clicks)

    def forget_journal(self, journal_name: str) -> None:
        del self.positions[journal_name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "clicks"


@pytest.fixture
def journal(folder: Path) -> Iterator[ClickJournal]:
    made = ClickJournal(folder)
    yield made
    made.close()


def test_a_click_is_read_back_as_it_was(journal: ClickJournal, folder: Path) -> None:
    journal.append(make_record(7, referer=b"https://T.co/abc"))
    store = Memory()
    assert drain(ClickFiles(folder), store, RULES) == Drained(counted=1)
    (click,) = store.clicks
    at = datetime(2026, 11, 23, 10, 0, 0, 130_000, UTC)
    visitor = mark_visitor("192.0.2.0/24", CHROME.decode(), b"2026-11-23")
    assert click == ClickRow("slug0000007", at, "human", "browser", 1, visitor, "Chrome", "t.co")


def test_a_file_in_use_is_counted_and_kept_and_a_finished_one_deleted(folder: Path) -> None:
    first, second = ClickJournal(folder), ClickJournal(folder)
    first.append(make_record(1))
    second.append(make_record(2))
    first.close()
    store = Memory()
    files = ClickFiles(folder)
    drain(files, store, RULES)
    assert len(files.names()) == len(store.positions) == 1
    second.append(make_record(3))
    second.close()
    drain(files, store, RULES)
    assert [click.at.microsecond for click in store.clicks] == [124_000, 125_000, 126_000]
    assert files.names() == [] and store.positions == {}


def test_a_new_file_is_begun_at_its_size_and_when_asked(folder: Path) -> None:
    journal = ClickJournal(folder, file_bytes=3 * len(make_record()))
    for number in range(7):
        journal.append(make_record(number))
    files = ClickFiles(folder)
    assert len(files.names()) == 3
    journal.rotate()
    journal.rotate()
    assert len(files.names()) == 4
    assert [int(line[0]) - AT for line in read_lines(folder)] == list(range(7))
    journal.close()


def test_a_failing_database_leaves_the_rest_for_the_next_round(journal: ClickJournal, folder: Path) -> None:
    for number in range(40):
        journal.append(make_record(number))
    store = Memory()
    store.fail_at = {2, 4, 5}
    rounds = 0
    while len(store.clicks) < 40:
        rounds += 1
        try:
            drain(ClickFiles(folder), store, RULES, chunk_bytes=1024)
        except StorageError:
            continue
    assert rounds == 4
    assert [click.at.microsecond // 1000 - 123 for click in store.clicks] == list(range(40))


def test_two_do_not_count_at_the_same_time(journal: ClickJournal, folder: Path) -> None:
    journal.append(make_record())
    store = Memory()
    with ClickFiles(folder).hold() as is_ours:
        assert is_ours
        assert drain(ClickFiles(folder), store, RULES) == Drained()
    assert drain(ClickFiles(folder), store, RULES) == Drained(counted=1)


def test_counting_while_clicks_arrive_loses_and_repeats_none(folder: Path) -> None:
    journal = ClickJournal(folder, file_bytes=4000)
    store = Memory()
    done = threading.Event()

    def count() -> None:
        while not done.is_set():
            drain(ClickFiles(folder), store, RULES, chunk_bytes=1500)

    thread = threading.Thread(target=count)
    thread.start()
    for number in range(3000):
        assert journal.append(make_record(number))
    journal.close()
    done.set()
    thread.join()
    drain(ClickFiles(folder), store, RULES)
    assert sorted(int(click.at.timestamp() * 1000 + 0.5) - AT for click in store.clicks) == list(range(3000))
    assert ClickFiles(folder).names() == []


def test_a_record_cut_off_by_a_full_disk_spoils_no_other(folder: Path) -> None:
    rooms = [10_000, 20, 0, 10_000, 10_000]

    def write(file: int, data: bytes) -> int:
        room = rooms.pop(0)
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(file, data[:room])

    journal = ClickJournal(folder, write=write)
    assert [journal.append(make_record(number)) for number in range(5)] == [True, False, False, True, True]
    assert (journal.written, journal.lost) == (3, 2)
    journal.close()
    store = Memory()
    assert drain(ClickFiles(folder), store, RULES) == Drained(counted=3, broken=1)
    assert [click.slug for click in store.clicks] == ["slug0000000", "slug0000003", "slug0000004"]


def test_a_folder_that_cannot_be_written_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write clicks to"):
        ClickJournal(tmp_path / "file")


def test_rubbish_in_a_file_is_passed_over(journal: ClickJournal, folder: Path) -> None:
    for line in (
        b"\n",
        b"rubbish\n",
        b"9" * 30 + b"\n",
        b"x" * 5000 + b"\n",
        b"999999999999999\ta\tGET\t\t\t\tx\n",
    ):
        journal.append(line)
    journal.append(make_record())
    journal.append(b"a last line without its end")
    store = Memory()
    drained = drain(ClickFiles(folder), store, RULES, chunk_bytes=1024)
    assert drained.counted == 1 and drained.broken >= 4
    assert drain(ClickFiles(folder), store, RULES) == Drained()


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from([b"user-agent", b"referer", b"accept", b"purpose", b"x-moz"]), st.binary()))
def test_every_header_makes_one_line_that_can_be_read(headers: dict[bytes, bytes]) -> None:
    record = format_record(AT, b"abc", b"GET", b"", read_traits(headers))
    assert record.count(b"\n") == 1 and record.endswith(b"\n")
    click = read_record(record[:-1], RULES)
    assert click is not None and click.slug == "abc"
    assert len(record) < 1200


@given(st.binary())
def test_no_line_breaks_reading(line: bytes) -> None:
    read_record(line, RULES)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", b"203.0.113.0/24"),
        ("2001:db8:1:2:3::4", b"2001:db8:1::/48"),
        ("::ffff:203.0.113.77", b"203.0.113.0/24"),
        ("fe80::1%eth0", b"fe80::/48"),
        ("/run/socket", b""),
        ("", b""),
    ],
)
def test_no_whole_address_is_kept(address: str, network: bytes) -> None:
    assert cut_address(address) == network


def test_a_visitor_is_the_same_all_day_and_another_tomorrow(tmp_path: Path) -> None:
    today, tomorrow = date(2026, 11, 23), date(2026, 11, 24)
    salts, other_process = DailySalts(tmp_path), DailySalts(tmp_path)
    assert salts.get(today) == other_process.get(today)
    assert salts.get(tomorrow) != salts.get(today)
    assert salts.get(date(2026, 11, 25))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-11-24.salt", "2026-11-25.salt"]
    assert {oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {"0o600"}


def test_without_a_network_there_is_no_visitor() -> None:
    record = format_record(AT, b"abc", b"GET", b"192.0.2.0/24", read_traits({b"dnt": b"1", b"user-agent": CHROME}))
    assert b"192.0.2" not in record
    click = read_record(record[:-1], RULES)
    assert click is not None and click.visitor == ""


@pytest.mark.parametrize(
    ("agent", "family"),
    [
        (CHROME.decode(), "Chrome"),
        (CHROME.decode() + " Edg/150.0", "Edge"),
        (CHROME.decode() + " OPR/110.0", "Opera"),
        ("Mozilla/5.0 (X11; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox"),
        ("Mozilla/5.0 (iPhone) AppleWebKit/605.1 (KHTML, like Gecko) Version/18.0 Mobile/15E Safari/604", "Safari"),
        ("Mozilla/5.0 (iPhone) AppleWebKit/605.1 Mobile/15E [FBAN/FBIOS;FBAV/400.0]", "Facebook"),
        ("TelegramBot (like TwitterBot)", "TelegramBot"),
        ("curl/8.5.0", "curl"),
        ("", ""),
        ("\x00\x01", ""),
    ],
)
def test_of_a_user_agent_only_the_family_is_kept(agent: str, family: str) -> None:
    assert name_agent(agent) == family


def test_a_kill_of_the_server_loses_no_acknowledged_click(tmp_path: Path) -> None:
    for number in range(3):
        folder = tmp_path / f"clicks{number}"
        acknowledged = _click_until_killed(folder)
        stored = {line[6] for line in read_lines(folder)}
        assert len(acknowledged) >= 600
        assert acknowledged - stored == set()


def _click_until_killed(folder: Path, clients: int = 6, enough: int = 600) -> set[str]:
    """Keep-alive clients click as fast as they can; the server is killed with -9 in the middle of it."""
    command = [sys.executable, str(HERE / "redirect_rig.py"), str(folder)]
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    )
    assert server.stdout is not None
    port = int(server.stdout.readline())
    acknowledged: list[set[str]] = [set() for _ in range(clients)]
    is_enough = threading.Event()

    def click(index: int) -> None:
        try:
            with Client(port) as client:
                for number in range(1_000_000):
                    agent = f"client-{index}-{number}"
                    status, _, _ = client.ask(f"/l/slug{number % 50:07d}", more=f"User-Agent: {agent}\r\n")
                    assert status == 302
                    acknowledged[index].add(agent)
                    if sum(map(len, acknowledged)) >= enough:
                        is_enough.set()
        except (OSError, EOFError):
            return

    threads = [threading.Thread(target=click, args=(index,)) for index in range(clients)]
    for thread in threads:
        thread.start()
    assert is_enough.wait(60)
    server.send_signal(signal.SIGKILL)
    server.wait()
    server.stdout.close()
    for thread in threads:
        thread.join()
    return set.union(*acknowledged)


def test_losing_clicks_is_logged_once_however_many(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    def write(file: int, data: bytes) -> int:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    journal = ClickJournal(folder, write=write)
    with caplog.at_level(logging.WARNING):
        for number in range(100):
            journal.append(make_record(number))
    assert journal.lost == 100
    assert len(caplog.records) == 1
    journal.close()
