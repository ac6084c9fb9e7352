"""The product as a process: started, refused a second time, stopped."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from tests.walk.newsroom import ROOT, TIMEOUT, Newsroom


def test_it_starts_on_an_empty_folder_and_stops_on_sigterm(tmp_path: Path, database_url: str) -> None:
    with Newsroom(tmp_path, database_url) as room:
        room.start(roles="web,clock,worker")
        room.wait_for("the first poll", lambda: room.site.polls)
        assert room.stop() == 0


def test_a_second_program_on_the_same_database_is_refused_with_a_sentence(
    tmp_path: Path, database_url: str
) -> None:
    with Newsroom(tmp_path, database_url) as room:
        room.start(roles="web,clock,worker")
        room.wait_for("the first poll", lambda: room.site.polls)
        second = room.command("run", "--roles", "worker")
        assert second.returncode == 4
        assert "stop it first" in second.stderr
        assert room.stop() == 0


def test_a_taken_port_is_named_and_nothing_keeps_running(tmp_path: Path, sqlite_database_url: str) -> None:
    with Newsroom(tmp_path, sqlite_database_url) as room, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        room.config.write_text(room.config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        done = room.command("run")
        assert done.returncode == 3
        assert f"127.0.0.1:{port}" in done.stderr


def test_an_unknown_role_is_named(tmp_path: Path, sqlite_database_url: str) -> None:
    with Newsroom(tmp_path, sqlite_database_url) as room:
        done = room.command("run", "--roles", "web,cook")
        assert done.returncode == 3
        assert "cook" in done.stderr
        assert "worker" in done.stderr


def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path, sqlite_database_url: str) -> None:
    import sqlite3

    with Newsroom(tmp_path, sqlite_database_url) as room:
        room.type("db", "upgrade")
        path = sqlite_database_url.removeprefix("sqlite:///")
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.close()
        done = room.command("run")
        assert done.returncode == 4
        assert "newer than this program" in done.stderr


def test_a_signal_that_another_thread_took_stops_the_program_too() -> None:
    """The system gives a signal to any thread; only the first one runs its handler, and must wake for that."""
    code = """
import signal, threading
from distributor.run import catch_signals, wait_for
stop = threading.Event()
def take():
    while not is_asleep.wait(0.01):
        pass
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    threading.Event().wait()
is_asleep = threading.Event()
threading.Thread(target=take, daemon=True).start()
with catch_signals(stop):
    threading.Timer(0.1, is_asleep.set).start()
    wait_for(stop)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=TIMEOUT, check=False)
    assert done.returncode == 0
