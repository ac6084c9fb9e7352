"""The whole SMTP pipeline, all durability on, against postfix's smtp-source in C and against the usual loop.

Ours is claim, copy, send journal, send record, SMTP and settle of a frozen edition on SQLite (synchronous=FULL),
over ten connections; smtp-source sends as many mails of the same size over ten kept connections to the same sink
and does nothing else. The usual loop is Jinja2 twice, EmailMessage and smtplib on one kept connection. All in
turn, in one run. Goals: CPU of at most 1.5 times smtp-source and 1/80 of the usual loop, with STARTTLS at most
2.2 times the plain smtp-source; mails a second at least 0.95 times those of smtp-source.

python -m benchmarks.email_pipeline [--full]
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.rigs.letter_path import open_desk
from benchmarks.rigs.rounds import choose, end, print_floor, print_ratio, read_cpu, run_child, take_medians
from benchmarks.rigs.rows import note_absent
from benchmarks.rigs.sinks import run_sink
from benchmarks.rigs.smtp_source import find_source, run_source, say_absent

MODULE = "benchmarks.email_pipeline"
CONNECTIONS = 10
#: Mails before the clock starts: imports, and the first connections.
WARM_UP = 50
GOAL_SOURCE, GOAL_USUAL, GOAL_SECURED, GOAL_RATE = 1.5, 1 / 80, 2.2, 0.95


def measure_path(port: int, count: int, **settings: Any) -> dict[str, float]:
    """From an edition's first claim to its last settlement: CPU ms for 1,000 ("ms"), mails a second ("rate")."""
    with open_desk() as desk:
        desk.add_readers(WARM_UP)
        desk.freeze_edition()
        with desk.run_lane(port, **{"connections": CONNECTIONS, "per_connection": 5000, **settings}) as lane:
            desk.send_all(lane)
            desk.add_readers(count - WARM_UP, WARM_UP)
            desk.freeze_edition(2)
            cpu, wall = read_cpu(), time.monotonic()
            desk.send_all(lane)
            seconds, used = time.monotonic() - wall, read_cpu() - cpu
        sent = desk.count_sent()
        assert sent == WARM_UP + count, f"{sent} of {WARM_UP + count} were sent"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"ms": used / count * 1e6, "rate": count / seconds, "peak": peak}


def run_one(words: list[str]) -> None:
    port, count, *settings = words
    print(json.dumps(measure_path(int(port), int(count), **dict(word.split("=", 1) for word in settings))))


def measure_size(port: int) -> int:
    """Bytes of one copy as it goes over the wire."""
    from benchmarks.rigs.letters import HEAD, make_edition, make_messages
    from distributor.channels.email.readers import read_recipients
    from distributor.channels.email.segments import compile_letter

    edition = make_edition()
    ((_, reader),) = read_recipients(list(make_messages(edition, 1)))[0].list_rows()
    return len(compile_letter(edition, HEAD).join(reader))


def measure_all(stack: ExitStack, few: int, many: int, rounds: int) -> dict[str, dict[str, float]]:
    """Each variant in turn, the medians of what it found."""
    from tests.certificate import make_certificate

    pem = make_certificate(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "sink.pem")
    port = stack.enter_context(run_sink("smtp", certificate=pem))
    secured = ("tls=starttls", f"tls_ca={pem}")
    ways: dict[str, Callable[[], dict[str, float]]] = {
        "ours": partial(run_child, MODULE, str(port), str(many)),
        "STARTTLS": partial(run_child, MODULE, str(port), str(many), *secured),
        "usual": partial(run_child, "benchmarks.email_smtp", "usual", str(port), str(few)),
    }
    if find_source():
        ways["smtp-source"] = partial(run_source, port, many, measure_size(port), CONNECTIONS)
    return take_medians(ways, rounds)


def judge(found: dict[str, dict[str, float]]) -> bool:
    ours, usual, secured = found["ours"]["ms"], found["usual"]["ms"], found["STARTTLS"]["ms"]
    is_met = [print_ratio("whole SMTP pipeline against the usual loop", ours, usual, GOAL_USUAL)]
    if source := found.get("smtp-source"):
        is_met += [
            print_ratio("whole SMTP pipeline against smtp-source", ours, source["ms"], GOAL_SOURCE),
            print_ratio("the same with STARTTLS against plain smtp-source", secured, source["ms"], GOAL_SECURED),
            print_floor("whole SMTP pipeline: mails a second", found["ours"]["rate"], source["rate"], GOAL_RATE),
        ]
    return all(is_met)


def main() -> int:
    if "--child" in sys.argv:
        run_one(sys.argv[2:])
        return 0
    few, many, rounds = choose((5, 100, 1), (200, 20_000, 5), (1_000, 50_000, 7))
    with ExitStack() as stack:
        found = measure_all(stack, few, many, rounds)
    is_met = judge(found)
    print(
        f"peak memory {found['ours']['peak']:.0f} MB; {found['STARTTLS']['rate']:,.0f} mails a second with STARTTLS"
    )
    if "smtp-source" not in found:
        print(f"not measured: {say_absent()}")
        goals = f"at most {GOAL_SOURCE}, with STARTTLS {GOAL_SECURED}; mails a second at least {GOAL_RATE}"
        note_absent("whole SMTP pipeline against smtp-source", say_absent(), goals)
        return end(is_met) or (0 if "--smoke" in sys.argv else 2)
    return end(is_met)


if __name__ == "__main__":
    sys.exit(main())
