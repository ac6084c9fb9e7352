"""The databases that tests are given."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

JOINING = """
import sys
from pathlib import Path
from tests.postgres_server import join_server
url, held = join_server(Path(sys.argv[1]))
print(url, flush=True)
sys.stdin.read()
"""


def test_each_test_gets_an_empty_database_on_both(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE only_here (i integer)"))
        assert connection.execute(text("SELECT count(*) FROM only_here")).scalar() == 0
    engine.dispose()


def test_a_ready_database_has_the_tables(ready_database_url: str) -> None:
    from distributor.storage import open_storage

    open_storage(ready_database_url).close()


@pytest.mark.skipif("DISTRIBUTOR_TEST_POSTGRES" in os.environ, reason="the server is somebody else's")
def test_the_server_outlives_one_killed_test_process_and_not_the_last(tmp_path: Path) -> None:
    first, url = start_joined(tmp_path)
    second, same_url = start_joined(tmp_path)
    kill(first)
    assert same_url == url
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        kill(second)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT pg_sleep(60)")
    assert is_soon_gone(Path(url.partition("host=")[2]))


def start_joined(folder: Path) -> tuple["subprocess.Popen[str]", str]:
    process = subprocess.Popen(
        [sys.executable, "-c", JOINING, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    return process, process.stdout.readline().strip()


def kill(process: "subprocess.Popen[str]") -> None:
    with process:
        process.kill()


def is_soon_gone(path: Path) -> bool:
    deadline = time.monotonic() + 20
    while path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not path.exists()
