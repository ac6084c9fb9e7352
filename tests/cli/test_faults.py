"""What commands say and return when the configuration or the database is not as it should be."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from sqlalchemy import text

from distributor.storage.database import Database
from distributor.storage.lock import lock_database
from tests.cli.desk import Folder, type_words

ROOT = Path(__file__).parents[2]
LOOKS = [
    ["status"],
    ["posts"],
    ["editions"],
    ["deliveries"],
    ["report"],
    ["links"],
    ["plan"],
    ["poll"],
    ["preview", "tg"],
    ["pause", "tg", "--reason", "why"],
    ["resume", "tg"],
    ["posts", "release", "1"],
    ["editions", "drop", "1"],
    ["deliveries", "resolve", "1", "--sent"],
    ["subscribers", "lists"],
    ["subscribers", "export", "--list", "readers"],
    ["subscribers", "suppress", "a@example.org"],
    ["send-test", "tg", "--to", "4711"],
]


def test_without_a_configuration_every_command_says_how_to_get_one(tmp_path: Path) -> None:
    for words in LOOKS:
        done = Folder(tmp_path).type(*words)
        assert (done.code, done.out) == (3, ""), words
        assert "there is no such file; write one with: distributor init --config" in done.told, words


def test_on_an_empty_database_every_command_says_what_to_type(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write_config()
    for words in LOOKS:
        done = folder.type(*words)
        assert (done.code, done.out) == (4, ""), words
        assert "the database is empty; run: distributor db upgrade" in done.told, words


def test_every_mistake_is_told_at_once_with_its_place_and_the_fix(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.config.parent.mkdir()
    folder.config.write_text(
        "site:\n"
        "  name: The Daily Example\n"
        "  public_url: go.example.org\n"
        "  timezone: Europe/Kiew\n"
        "sources:\n"
        "  - {name: front, kind: feed, url: 'https://example.org/feed', every: often}\n"
        "channels:\n"
        "  - {name: tg, kind: telegramm, chat: '@daily'}\n"
        "schedules:\n"
        "  - {name: now, channel: tq, form: each, when: immediately}\n"
    )
    done = folder.type("check", "--no-online")
    assert done.code == 3
    places = re.findall(r"distributor\.yaml:(\d+):\d+: ", done.told)
    assert {"3", "4", "6", "8", "10"} <= set(places)


def test_a_newer_database_is_refused_and_left_alone(folder: Folder) -> None:
    with folder.open() as storage, storage.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    before = folder.database.read_bytes()
    for words in (["status"], ["db", "upgrade"]):
        done = folder.type(*words)
        assert done.code == 4
        assert "newer than this program" in done.told
    assert folder.database.read_bytes() == before


def test_what_is_no_database_is_called_so(folder: Folder) -> None:
    folder.database.write_text("my notes\n" * 500)
    done = folder.type("status")
    assert done.code == 4
    assert "not a database" in done.told


def test_two_programs_cannot_run_on_one_database(folder: Folder) -> None:
    database = Database(f"sqlite:///{folder.database}")
    unlock = lock_database(database)
    try:
        done = folder.type("run")
    finally:
        unlock()
        database.close()
    assert done.code == 4
    assert f"another distributor (process {os.getpid()}) runs on this database" in done.told


def test_a_role_that_does_not_exist_is_named(folder: Folder) -> None:
    done = folder.type("run", "--roles", "web,cook")
    assert done.code == 3
    assert "there is no role cook; use web, clock, worker" in done.told


def test_a_configuration_before_a_subcommand_is_not_silently_another(folder: Folder) -> None:
    done = type_words("posts", "--config", str(folder.config), "release", "1")
    assert done.code == 2
    assert "write --config after the whole command" in done.told


def run_process(folder: Folder, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "distributor", *words, "--config", str(folder.config)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_a_process_of_its_own_returns_the_same_codes_and_no_traceback(folder: Folder) -> None:
    done = run_process(folder, "status", "--json")
    assert (done.returncode, done.stderr) == (0, "nothing needs you\n")
    folder.config.write_text("site: [")
    done = run_process(folder, "status")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_a_reader_of_the_output_may_leave_early(busy: Folder) -> None:
    """distributor deliveries | head -1"""
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "distributor", "deliveries", "--config", str(busy.config)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(reading)
    os.close(writing)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (0, "")


def test_a_running_program_stops_when_it_is_asked_to(folder: Folder) -> None:
    command = [
        sys.executable,
        "-m",
        "distributor",
        "run",
        "--roles",
        "clock,worker",
        "--config",
        str(folder.config),
    ]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    told = ""
    while "running: clock, worker" not in told:
        line = process.stderr.readline()
        assert line, told
        told += line
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 0, told + rest
