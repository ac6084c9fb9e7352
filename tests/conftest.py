"""What every test may ask for: a database of its own, on SQLite and on PostgreSQL."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, settings

from tests.canaries import DATABASE, Watch
from tests.postgres_server import join_server
from tests.shared_compiler import keep_compiled

if TYPE_CHECKING:
    from distributor.storage import Storage
    from tests.shared_renderer import SharedRenderer

# Hypothesis' deadline of 200 ms and its complaint of slowness are timing assertions, and machines are shared.
# Usually the same examples each time, so that a run fails by what was changed; other ones, and more, with --long.
_UNTIMED: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("usual", **_UNTIMED, derandomize=True, max_examples=50)
settings.register_profile("long", **_UNTIMED, max_examples=200)
settings.load_profile("usual")

_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Watch(), "canaries")
    keep_compiled()
    settings.load_profile("long" if config.getoption("--long") else "usual")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long form of what is random: thousands of cases")


@pytest.fixture(scope="session")
def is_long(request: pytest.FixtureRequest) -> bool:
    """Whether the run takes its time (--long): tests of random things then try many times more of them."""
    return bool(request.config.getoption("--long"))


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that may create databases: the one DISTRIBUTOR_TEST_POSTGRES names, else one of the run's own."""
    named = os.environ.get("DISTRIBUTOR_TEST_POSTGRES")
    if named:
        yield named
        return
    folder = tmp_path_factory.getbasetemp()
    url, held = join_server(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder)
    # The server trusts everybody; the password is there to be kept out of sight.
    yield url.replace("//postgres@", f"//postgres:{DATABASE}@")
    os.close(held)


class PostgresDatabases:
    """Makes databases on the tests' server and drops them; those with our tables are emptied and lent again."""

    def __init__(self, server_url: str) -> None:
        import psycopg

        self._server_url = server_url
        self._connection = psycopg.connect(server_url, autocommit=True)
        self._free: list[str] = []
        self._look: dict[str, object] = {}

    def create(self) -> str:
        """A new, empty database; returns its URL."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self._connection.execute(f"CREATE DATABASE {name} STRATEGY file_copy".encode())
        return urlsplit(self._server_url)._replace(path=f"/{name}").geturl()

    def lend_ready(self) -> str:
        """A database with our tables and nothing in them: one that was given back, else a new one."""
        if self._free:
            return self._free.pop()
        url = self.create()
        upgrade_database(url)
        self._look[url] = empty_tables(url)
        return url

    def take_back(self, url: str) -> None:
        """Empty a database for the next test, at a tenth of the price of a new one; drop it if it was altered."""
        import psycopg

        with suppress(psycopg.Error):
            if empty_tables(url) == self._look[url]:
                self._free.append(url)
                return
        self.drop(url)

    def drop(self, url: str) -> None:
        self._connection.execute(f"DROP DATABASE IF EXISTS {name_in(url)} WITH (FORCE)".encode())

    def close(self) -> None:
        while self._free:
            self.drop(self._free.pop())
        self._connection.close()


def empty_tables(url: str) -> object:
    """Delete every row and start every count anew; returns what tells whether the tables are still as they were."""
    import psycopg

    from distributor.storage.tables import metadata

    deletes = "".join(f'DELETE FROM "{table.name}";' for table in reversed(metadata.sorted_tables))
    with psycopg.connect(url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        connection.execute(
            f"SET LOCAL lock_timeout = '10s';{deletes}"
            "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'".encode()
        )
        return connection.execute(
            "SELECT (SELECT version_num FROM alembic_version), count(*), sum(hashtext(attname)) FROM pg_attribute"
        ).fetchone()


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


@pytest.fixture(params=["sqlite", "postgresql"])
def ready_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """As `database_url`, with our tables in it and no rows; made once in the run, then copied or emptied."""
    if request.param == "sqlite":
        path = tmp_path / "distributor.db"
        shutil.copyfile(request.getfixturevalue("sqlite_ready"), path)
        yield f"sqlite:///{path}"
        return
    databases: PostgresDatabases = request.getfixturevalue("postgres_databases")
    url = databases.lend_ready()
    yield url
    databases.take_back(url)


@pytest.fixture
def storage(ready_database_url: str) -> "Iterator[Storage]":
    """Every store over a fresh database; a test that asks for it runs on both databases."""
    from distributor.storage import open_storage

    opened = open_storage(ready_database_url)
    hasten(opened)
    yield opened
    opened.close()


@pytest.fixture
def postgres_ready_storage(postgres_databases: PostgresDatabases) -> "Iterator[Storage]":
    """As `storage`, for what only PostgreSQL does."""
    from distributor.storage import open_storage

    url = postgres_databases.lend_ready()
    opened = open_storage(url)
    yield opened
    opened.close()
    postgres_databases.take_back(url)


def hasten(storage: "Storage") -> None:
    """Spare SQLite its fsyncs: no test pulls the plug of the machine, and they cost more than the test."""
    if storage.database.is_sqlite:
        with storage.database.write() as connection:
            driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA synchronous=OFF")


@pytest.fixture(scope="session")
def one_renderer(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[SharedRenderer]":
    from tests.shared_renderer import SharedRenderer

    made = SharedRenderer(tmp_path_factory.mktemp("templates"))
    yield made
    made.end()


@pytest.fixture
def renderer(one_renderer: "SharedRenderer") -> "Iterator[SharedRenderer]":
    """The run's renderer; what a test writes into its `folder` is gone after the test."""
    yield one_renderer
    shutil.rmtree(one_renderer.folder)
    one_renderer.folder.mkdir()


@pytest.fixture
def now() -> datetime:
    """A Monday morning."""
    return datetime(2026, 11, 23, 7, 30, tzinfo=UTC)


@pytest.fixture
def write_file(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write text to a new file in the test's own folder."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write
