"""All benchmarks: `python -m benchmarks [NAME ...] [--full]`, or `make bench`. Exit code 1 when a goal is missed.

Each runs in a process of its own, prints ours, the yardstick, the ratio and the goal, and takes under a minute
without --full. Figures hold as ratios within one run; compare nothing between machines.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def list_names() -> list[str]:
    """Every benchmark there is: the folder is the list."""
    return sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_"))


def main() -> int:
    wanted = [word for word in sys.argv[1:] if not word.startswith("-")]
    options = [word for word in sys.argv[1:] if word.startswith("-")]
    unknown = sorted(set(wanted) - set(list_names()))
    if unknown or "--help" in options:
        print(f"python -m benchmarks [{'|'.join(list_names())}] [--full]")
        return 2 if unknown else 0
    failed = []
    for name in wanted or list_names():
        print(f"\n== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *options], check=False).returncode:
            failed.append(name)
    print(f"\nmissed or not measured: {', '.join(failed)}" if failed else "\nevery goal is met")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
