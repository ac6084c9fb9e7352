"""Two machines in networks of their own, PostgreSQL between them: one is killed, one loses its cable."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from distributor.storage.database import Database
from distributor.storage.reports import Reports
from tests.postgres_server import IN_EARNEST, PostgresServer
from tests.walk.network import Network, find_reason_against
from tests.walk.newsroom import Newsroom
from tests.walk.test_kill import check_accounts, is_settled, prepare
from tests.walk.test_machines import Machine, has_seen, wait_for_processes

#: A process that is cut off is taken for dead after 20 seconds; what the network holds back comes up to a minute
#: after the cable is back.
PATIENCE = 240.0


@dataclass
class Site:
    """Two machines and what they share."""

    room: Newsroom
    network: Network
    machines: list[Machine]
    reports: Reports


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    if reason := find_reason_against():
        pytest.skip(reason)
    with Network(2) as network:
        port = find_port(network.address)
        options = {**IN_EARNEST, "listen_addresses": network.address, "port": str(port)}
        with PostgresServer(options, trusted=[network.range]) as server:
            url = f"postgresql://postgres@{network.address}:{port}/postgres"
            assert str(server.home) not in url
            with Newsroom(tmp_path, url) as room:
                prepare(room)
                network.forward([int(room.site.url.rpartition(":")[2]), *(b.port for b in room.sandboxes.values())])
                machines = [Machine(room, f"machine{number}", network.enter(number)) for number in range(2)]
                database = Database(url)
                yield Site(room, network, machines, Reports(database))
                for one in machines:
                    if one._process is not None and one.process.poll() is None:
                        one.kill()
                database.close()


def test_a_machine_that_is_killed_is_replaced_by_the_other(site: Site) -> None:
    lost, other = site.machines
    room = site.room
    for one in site.machines:
        one.start("clock,worker")
    wait_for_processes(room, 2)
    room.site.publish(2)
    room.site.publish(3)
    room.wait_for("letters", lambda: len(room.sandboxes["letter0"].seen) >= 20)
    lost.kill()
    room.site.publish(4)
    for name in ("tg", "x"):
        wait_long(f"the next story on {name}", lambda n=name: has_seen(room, n, "Story number 4"))  # type: ignore[misc]
    lost.start("clock,worker")
    wait_long("everything settled", lambda: is_settled(site.reports, 12))
    assert [one.stop() for one in site.machines] == [0, 0]
    check_accounts(room, site.reports, stories=(2, 3, 4), kills=1)
    assert other.process.returncode == 0


def test_a_machine_without_its_cable_sends_nothing_twice(site: Site, is_long: bool) -> None:
    if not is_long:
        pytest.skip("with --long: a cable that is pulled costs two minutes")
    room, network = site.room, site.network
    for one in site.machines:
        one.start("clock,worker")
    wait_for_processes(room, 2)
    room.site.publish(2)
    room.site.publish(3)
    room.wait_for("letters", lambda: len(room.sandboxes["letter0"].seen) >= 20)
    network.pull(0)
    room.site.publish(4)
    for name in ("tg", "x", "letter0", "letter1"):
        wait_long(f"the next story on {name}", lambda n=name: has_seen(room, n, "Story number 4"))  # type: ignore[misc]
    network.plug_in(0)
    room.site.publish(5)
    wait_long("everything settled", lambda: is_settled(site.reports, 16))
    assert [one.stop() for one in site.machines] == [0, 0]
    # Whoever is cut off leaves in doubt what a kill would.
    check_accounts(room, site.reports, stories=(2, 3, 4, 5), kills=1)


def wait_long(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {PATIENCE:g} s"
        time.sleep(0.1)


def find_port(address: str) -> int:
    with socket.socket() as one:
        one.bind((address, 0))
        port: int = one.getsockname()[1]
        return port
