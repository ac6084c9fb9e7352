"""Looking where a database lives must not disturb it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sqlalchemy import text

from distributor.storage.database import Database
from distributor.storage.place import find_home

#: Another program that looks at the database and goes, as `distributor status` does.
LOOK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute("SELECT * FROM t").fetchall())
connection.close()
"""


def look_from_outside(path: Path) -> str:
    command = [sys.executable, "-I", "-S", "-c", LOOK, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_asking_for_the_home_keeps_the_locks_of_the_database(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'distributor.db'}")
    try:
        with database.write("test.make") as connection:
            connection.execute(text("CREATE TABLE t (i integer)"))
        with database.read() as connection:
            find_home(database, connection)
        assert look_from_outside(database.path) == "[]"
        with database.write("test.add") as connection:
            connection.execute(text("INSERT INTO t VALUES (7)"))
        assert look_from_outside(database.path) == "[(7,)]"
    finally:
        database.close()
