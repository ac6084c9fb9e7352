"""The whole path of a letter as the list grows: import, freeze, claim, send over SMTP, settle. Peak memory and CPU.

Goals: peak memory at the large size at most 1.4 times that at 10,000, and under 150 MB. The sink is in another
process; the send journal and the SQLite ledger (synchronous=FULL) are the product's own.

python -m benchmarks.scale [--full]     10,000 against 50,000, or against 1,000,000
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.rigs.letters import SENDER, make_edition
from benchmarks.rigs.rounds import choose, end, read_cpu, run_child
from benchmarks.rigs.sinks import run_sink
from distributor.channels import Surroundings, open_channel
from distributor.channels.email.settings import Settings
from distributor.core.contracts import Site
from distributor.core.planning import EditionPlan
from distributor.core.subscriber import NewSubscriber
from distributor.core.tokens import sign_unsubscribe
from distributor.pipeline.send import Lane, send_next
from distributor.storage import Storage, join_stores, schema
from distributor.storage.database import Database
from distributor.storage.send_journal import SendJournal

MODULE = "benchmarks.scale"
MOST_MEGABYTES = 150
MOST_GROWTH = 1.4


def make_readers(count: int) -> Iterator[NewSubscriber]:
    for number in range(count):
        address = f"reader{number}@mail{number % 977}.example.org"
        yield NewSubscriber(address, address, f"Reader {number}")


def freeze_edition(storage: Storage, now: datetime) -> None:
    plan = EditionPlan("letter:1", "letter", "letter", "digest", "Letter", now, now + timedelta(days=1), ())
    edition_id = storage.editions.add_edition(plan, now)
    assert edition_id is not None
    content = make_edition().content
    storage.editions.freeze(edition_id, content, list_name="readers", revisions={}, links=(), now=now)


def open_lane(storage: Storage, folder: Path, port: int) -> Lane:
    settings = Settings.model_validate(
        {"name": "letter", "host": "127.0.0.1", "port": port, "tls": "none", "from": SENDER, "list": "readers"}
    )
    channel = open_channel(settings, Surroundings(Site("The Daily", "https://go.example.org")))
    prefix = "https://go.example.org/u/"
    return Lane(
        channel=channel,
        ledger=storage.ledger,
        journal=SendJournal(folder, "bench", "letter"),
        fence="bench",
        clock=lambda: datetime.now(UTC),
        slots=lambda edition, reader: {
            "name": reader.name,
            "address": reader.address,
            "unsubscribe_url": prefix + sign_unsubscribe(storage.secret, reader.id, edition.id),
        },
        may_start=lambda: True,
        pause=time.sleep,
    )


def run_path(count: int, port: int) -> dict[str, float]:
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        database = Database(f"sqlite:///{name}/bench.db")
        schema.upgrade(database)
        storage = join_stores(database)
        now = datetime.now(UTC)
        cpu = read_cpu()
        for _ in storage.recipients.add_subscribers(make_readers(count), "readers", now):
            pass
        found["import"] = (read_cpu() - cpu) / count * 1e6
        cpu = read_cpu()
        freeze_edition(storage, now)
        found["freeze"] = (read_cpu() - cpu) / count * 1e6
        lane = open_lane(storage, Path(name), port)
        cpu, wall = read_cpu(), time.monotonic()
        while send_next(lane) == 0.0:
            pass
        found["send"] = (read_cpu() - cpu) / count * 1e6
        found["per_second"] = count / (time.monotonic() - wall)
        sent = storage.reports.count_deliveries()[("letter", "sent")]
        assert sent == count, f"{sent} of {count} were sent"
        lane.close()
        database.close()
    found["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def main() -> int:
    if "--child" in sys.argv:
        count, port = (int(word) for word in sys.argv[2:4])
        print(json.dumps(run_path(count, port)))
        return 0
    small, large = choose((100, 300), (10_000, 50_000), (10_000, 1_000_000))
    with run_sink("smtp") as port:
        results = {count: run_child(MODULE, str(count), str(port)) for count in (small, large)}
    print(f"{'readers':>10} {'import':>8} {'freeze':>8} {'send':>8}  CPU ms per 1,000   mails/s   peak MB")
    for count, found in results.items():
        row = f"{count:>10,} {found['import']:8.1f} {found['freeze']:8.1f} {found['send']:8.1f}"
        print(f"{row}  {'':16} {found['per_second']:9,.0f} {found['megabytes']:9.0f}")
    growth = results[large]["megabytes"] / results[small]["megabytes"]
    peak = results[large]["megabytes"]
    is_met = growth <= MOST_GROWTH and peak <= MOST_MEGABYTES
    verdict = "met" if is_met else "MISSED"
    print(
        f"  memory grows {growth:.2f} times to {peak:.0f} MB   goal {MOST_GROWTH}, {MOST_MEGABYTES} MB: {verdict}"
    )
    return end(is_met)


if __name__ == "__main__":
    sys.exit(main())
