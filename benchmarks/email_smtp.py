"""SMTP end to end: `send()` of the channel against the usual loop, over a sink that costs next to nothing.

The usual loop is Jinja2 twice, EmailMessage and smtplib.send_message on one kept connection. Goals: at most 1/12 of
its CPU per 1,000 mails (user and system, without imports), and peak memory that does not grow with the list.

python -m benchmarks.email_smtp [--full]
"""

from __future__ import annotations

import json
import resource
import smtplib
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.rigs.letters import SENDER, UsualWay, make_edition, make_messages
from benchmarks.rigs.rounds import choose, end, print_ratio, read_cpu, run_child, run_rounds
from benchmarks.rigs.sinks import run_sink
from distributor.channels import Surroundings, open_channel
from distributor.channels.email.settings import Settings
from distributor.core.contracts import Site, Wire
from distributor.core.message import Accepted, Outcome

MODULE = "benchmarks.email_smtp"


class OpenWire(Wire):
    """Says yes to everything and keeps nothing."""

    def start(self, indexes: Sequence[int]) -> bool:
        return True

    def settle(self, index: int, outcome: Outcome) -> None:
        assert isinstance(outcome, Accepted)


def send_ours(port: int, count: int) -> None:
    settings = Settings.model_validate(
        {"name": "letter", "host": "127.0.0.1", "port": port, "tls": "none", "from": SENDER, "list": "readers"}
    )
    channel = open_channel(settings, Surroundings(Site("The Daily", "https://go.example.org")))
    edition = make_edition()
    batch = channel.limits.batch
    for start in range(0, count, batch):
        channel.send(list(make_messages(edition, min(batch, count - start), start)), OpenWire())
    channel.close()


def send_usual(port: int, count: int) -> None:
    usual = UsualWay()
    with smtplib.SMTP("127.0.0.1", port) as client:
        for message in make_messages(make_edition(), count):
            client.send_message(usual.build(message))  # type: ignore[arg-type]


def run_variant(way: str, port: str, count: str) -> None:
    """Send and print CPU and wall clock per 1,000, and peak memory."""
    run: Any = {"ours": send_ours, "usual": send_usual}[way]
    # Imports and the first connection are not what is measured.
    run(int(port), 10)
    cpu, wall = read_cpu(), time.monotonic()
    run(int(port), int(count))
    thousands = int(count) / 1000
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {
        "ms": (read_cpu() - cpu) / thousands * 1e3,
        "wall": (time.monotonic() - wall) / thousands,
        "peak": peak,
    }
    print(json.dumps(found))


def main() -> int:
    if "--child" in sys.argv:
        run_variant(*sys.argv[2:])
        return 0
    rounds, ours, usual, few, many = choose(
        (1, 20, 5, 50, 100), (5, 4_000, 300, 5_000, 20_000), (7, 20_000, 2_000, 5_000, 500_000)
    )
    with run_sink("smtp") as port:
        variants = {
            "ours": lambda: run_child(MODULE, "ours", str(port), str(ours))["ms"],
            "usual": lambda: run_child(MODULE, "usual", str(port), str(usual))["ms"],
        }
        medians = run_rounds(variants, rounds)
        small = run_child(MODULE, "ours", str(port), str(few))
        large = run_child(MODULE, "ours", str(port), str(many))
    is_fast = print_ratio("SMTP end to end", medians["ours"], medians["usual"], 1 / 12)
    print(f"  {1 / large['wall'] * 1000:.0f} mails a second on four connections")
    title = f"peak memory for {many:,} mails against {few:,}"
    is_flat = print_ratio(title, large["peak"], small["peak"], 1.4, "MB")
    return end(is_fast and is_flat)


if __name__ == "__main__":
    sys.exit(main())
