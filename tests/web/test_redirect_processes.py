"""Several processes on one port, and redirects where the database may only be read: as the product runs them."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from process_rig import Product, add_links
from redirect_rig import TARGETS, Client, read_lines
from sqlalchemy import select, text

from distributor.storage.database import Database
from distributor.storage.tables import click
from tests.conftest import PostgresDatabases

SLUGS = list(TARGETS)
#: Where the database does not matter.
ON_SQLITE = pytest.mark.parametrize("ready_database_url", ["sqlite"], indirect=True)


@pytest.fixture
def database(ready_database_url: str) -> Iterator[Database]:
    made = Database(ready_database_url)
    add_links(made)
    yield made
    made.close()


def click_on(port: int, names: list[str]) -> list[str]:
    """One connection for each click; which were acknowledged."""
    acknowledged = []
    for number, name in enumerate(names):
        try:
            with Client(port) as client:
                status, headers, _ = client.ask(f"/l/{SLUGS[number % 50]}", more=f"Referer: https://{name}/\r\n")
        except (OSError, EOFError):
            continue
        assert (status, headers["location"]) == (302, TARGETS[SLUGS[number % 50]])
        acknowledged.append(name)
    return acknowledged


def count_names(database: Database) -> Counter[str]:
    with database.read() as connection:
        return Counter(connection.execute(select(click.c.referrer)).scalars())


def test_processes_share_port_and_pages_and_one_that_is_killed_is_replaced(
    database: Database, ready_database_url: str, tmp_path: Path
) -> None:
    with Product(tmp_path, ready_database_url, "web,clock,worker", processes=3) as product:
        port = product.port
        first = product.wait_for(lambda: len(found := product.list_listening()) == 2 and found)
        acknowledged = click_on(port, [f"a{number}.example" for number in range(60)])
        assert len(acknowledged) == 60
        folder = product.state_dir / "clicks"
        for _ in range(12):
            # Whoever gets the connection, pages come from the one process that has them.
            with Client(port) as client:
                assert client.ask("/l/slug0000001", more="Referer: https://mixed.example/\r\n")[0] == 302
                assert client.ask("/healthz")[2].startswith(b"ok")
                status, _, body = client.ask("/u/none")
                assert status == 404 and b"<html" in body
                assert client.ask("/l/slug0000002", more="Referer: https://mixed.example/\r\n")[0] == 302
                assert client.ask("/l/unknown1234")[0] == 404
        body = "x" * 100_000
        with Client(port) as client:
            assert client.ask("/hooks/none", "POST", f"Content-Length: {len(body)}\r\n\r\n{body}"[:-2])[0] == 404
        assert len(list(folder.glob("*.clicks"))) >= 3
        os.kill(first[0], signal.SIGKILL)
        acknowledged += click_on(port, [f"b{number}.example" for number in range(40)])
        product.wait_for(lambda: len(product.list_listening()) == 2 and first[0] not in product.list_children())
        acknowledged += click_on(port, [f"c{number}.example" for number in range(20)])
        assert product.stop() == 0
    counted = count_names(database)
    assert counted.pop("mixed.example") == 24
    assert set(acknowledged) <= counted.keys() and set(counted.values()) == {1}


@ON_SQLITE
def test_after_a_kill_of_the_first_process_the_others_go_and_the_next_start_counts(
    database: Database, ready_database_url: str, tmp_path: Path
) -> None:
    with Product(tmp_path, ready_database_url, "web,clock,worker", processes=2) as product:
        port = product.port
        (child,) = product.wait_for(product.list_listening)
        acknowledged = click_on(port, [f"a{number}.example" for number in range(30)])
        product.kill()
    listen = f"127.0.0.1:{port}"
    with Product(tmp_path, ready_database_url, "web,clock,worker", processes=2, listen=listen) as product:
        assert product.port == port
        (fresh,) = product.wait_for(product.list_listening)
        assert fresh != child
        acknowledged += click_on(port, [f"b{number}.example" for number in range(30)])
        assert product.stop() == 0
    assert len(acknowledged) == 60
    counted = count_names(database)
    assert counted.keys() == set(acknowledged) and set(counted.values()) == {1}


@ON_SQLITE
def test_a_shared_port_that_somebody_else_has_is_said(tmp_path: Path, ready_database_url: str) -> None:
    with Product(tmp_path, ready_database_url, "web,clock,worker", processes=2) as product:
        command = f"127.0.0.1:{product.port}"
        folder = tmp_path / "other"
        folder.mkdir()
        with Product(folder, f"sqlite:///{folder / 'other.db'}", "web", processes=2, listen=command) as other:
            assert other.process.wait(60) == 3
            assert command in other.log.read_text()


@pytest.fixture
def postgres_ready_url(postgres_databases: PostgresDatabases) -> Iterator[str]:
    url = postgres_databases.lend_ready()
    yield url
    postgres_databases.take_back(url)


@pytest.fixture
def reader_url(postgres_ready_url: str) -> Iterator[str]:
    """A database user who may read three columns of one table and nothing else."""
    database = Database(postgres_ready_url)
    add_links(database)
    name = f"reader_{os.getpid()}"
    with database.write() as connection:
        connection.execute(text(f"CREATE ROLE {name} LOGIN PASSWORD 'only-reads'"))
        connection.execute(text(f"GRANT SELECT (id, slug, target) ON link TO {name}"))
    parts = urlsplit(postgres_ready_url)
    yield parts._replace(netloc=f"{name}:only-reads@{parts.netloc.rpartition('@')[2]}").geturl()
    with database.write() as connection:
        connection.execute(text(f"DROP OWNED BY {name}"))
        connection.execute(text(f"DROP ROLE {name}"))
    database.close()


@pytest.mark.parametrize("processes", [1, 2])
def test_the_web_role_redirects_with_no_more_than_reading_links(
    reader_url: str, postgres_ready_url: str, tmp_path: Path, processes: int
) -> None:
    database = Database(postgres_ready_url)
    names = [f"r{number}.example" for number in range(20)]
    with Product(tmp_path, reader_url, "web", processes=processes) as product:
        port = product.port
        product.wait_for(lambda: len(product.list_listening()) == processes - 1)
        assert click_on(port, names) == names
        for path, wanted in (("/healthz", 200), ("/readyz", 200), ("/l/unknown1234", 404), ("/u/none", 503)):
            with Client(port) as client:
                assert client.ask(path)[0] == wanted, path
        with database.write() as connection:
            connection.execute(text("UPDATE link SET slug = 'minted00001' WHERE slug = 'slug0000049'"))
        with Client(port) as client:
            assert client.ask("/l/minted00001", more="Referer: https://late.example/\r\n")[0] == 302
        # Nobody may count yet: the clicks stay on the disk, also when the process that took them is killed.
        product.kill()
        assert {line[4] for line in read_lines(product.state_dir / "clicks")} == {*names, "late.example"}
        assert "only-reads" not in product.log.read_text()
        assert "may only read" in product.log.read_text()
    assert count_names(database) == {}
    with Product(tmp_path, postgres_ready_url, "clock") as product:
        product.wait_for(lambda: count_names(database).total() == 21)
        assert product.stop() == 0
    assert count_names(database) == dict.fromkeys([*names, "late.example"], 1)
    database.close()
