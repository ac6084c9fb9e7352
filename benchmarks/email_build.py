"""Building one personal copy: compiled segments against Jinja2 + EmailMessage. Goal: at most 1/80 of the CPU.

python -m benchmarks.email_build [--full]
"""

from __future__ import annotations

import sys
import time

from benchmarks.rigs.letters import HEAD, UsualWay, make_edition, make_messages
from benchmarks.rigs.rounds import choose, end, measure_cpu, print_ratio, run_rounds
from distributor.channels.email.readers import read_recipients
from distributor.channels.email.segments import compile_letter


def main() -> int:
    rounds, ours_count, usual_count = choose((1, 100, 5), (5, 10_000, 300), (9, 20_000, 1_000))
    edition = make_edition()
    messages = list(make_messages(edition, ours_count))
    usual = UsualWay()
    letter = compile_letter(edition, HEAD)

    def build_ours() -> None:
        for start in range(0, ours_count, 1000):
            for _, _, row in letter.list_mails(read_recipients(messages[start : start + 1000])[0]):
                letter.write(row)

    def build_usual() -> None:
        for message in messages[:usual_count]:
            usual.build(message).as_bytes()  # type: ignore[attr-defined]

    medians = run_rounds(
        {
            "ours": lambda: measure_cpu(build_ours) / ours_count * 1e6,
            "usual": lambda: measure_cpu(build_usual) / usual_count * 1e6,
        },
        rounds,
    )
    started = time.process_time()
    compile_letter(edition, HEAD)
    seconds = time.process_time() - started
    size = len(usual.build(messages[0]).as_bytes())  # type: ignore[attr-defined]
    print(f"a copy has {size / 1000:.1f} KB; compiling an edition once costs {seconds * 1000:.1f} ms")
    return end(print_ratio("build one copy", medians["ours"], medians["usual"], 1 / 80))


if __name__ == "__main__":
    sys.exit(main())
