"""What every test may ask for: a database of its own, on SQLite and on PostgreSQL."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import settings

from tests.postgres_server import join_server

# Hypothesis' deadline of 200 ms is a timing assertion, and machines are shared.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that may create databases: the one DISTRIBUTOR_TEST_POSTGRES names, else one of the run's own."""
    named = os.environ.get("DISTRIBUTOR_TEST_POSTGRES")
    if named:
        yield named
        return
    folder = tmp_path_factory.getbasetemp()
    url, held = join_server(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder)
    yield url
    os.close(held)


class PostgresDatabases:
    """Makes databases on the tests' server and drops them."""

    def __init__(self, server_url: str) -> None:
        import psycopg

        self._server_url = server_url
        self._connection = psycopg.connect(server_url, autocommit=True)

    def create(self, template: str = "template1") -> str:
        """A new database, a copy of `template`; returns its URL."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self._connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy".encode())
        return urlsplit(self._server_url)._replace(path=f"/{name}").geturl()

    def drop(self, url: str) -> None:
        self._connection.execute(f"DROP DATABASE IF EXISTS {name_in(url)} WITH (FORCE)".encode())

    def close(self) -> None:
        self._connection.close()


def name_in(url: str) -> str:
    return urlsplit(url).path.lstrip("/")


@pytest.fixture(scope="session")
def postgres_databases(postgres_url: str) -> Iterator[PostgresDatabases]:
    databases = PostgresDatabases(postgres_url)
    yield databases
    databases.close()


@pytest.fixture
def postgres_database_url(postgres_databases: PostgresDatabases) -> Iterator[str]:
    """An empty PostgreSQL database of the test's own."""
    url = postgres_databases.create()
    yield url
    postgres_databases.drop(url)


@pytest.fixture
def sqlite_database_url(tmp_path: Path) -> str:
    """A SQLite file of the test's own that does not exist yet."""
    return f"sqlite:///{tmp_path / 'distributor.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of the test's own; a test that asks for it runs on both databases."""
    kind = "sqlite" if request.param == "sqlite" else "postgres"
    url: str = request.getfixturevalue(f"{kind}_database_url")
    return url


def upgrade_database(url: str) -> None:
    from distributor.storage import schema
    from distributor.storage.database import Database

    database = Database(url)
    try:
        schema.upgrade(database)
    finally:
        database.close()


@pytest.fixture(scope="session")
def sqlite_ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with our tables, to be copied."""
    path = tmp_path_factory.mktemp("ready") / "ready.db"
    upgrade_database(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_ready(postgres_databases: PostgresDatabases) -> Iterator[str]:
    """The name of a PostgreSQL database with our tables, to be copied."""
    url = postgres_databases.create()
    upgrade_database(url)
    yield name_in(url)
    postgres_databases.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def ready_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """As `database_url`, with our tables in it: copied from a database that was upgraded once in the run."""
    if request.param == "sqlite":
        path = tmp_path / "distributor.db"
        shutil.copyfile(request.getfixturevalue("sqlite_ready"), path)
        yield f"sqlite:///{path}"
        return
    databases: PostgresDatabases = request.getfixturevalue("postgres_databases")
    url = databases.create(request.getfixturevalue("postgres_ready"))
    yield url
    databases.drop(url)


@pytest.fixture
def write_file(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write text to a new file in the test's own folder."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write
