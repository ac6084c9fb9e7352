"""Keeps a program for as long as standard input is open: when whoever started it dies, however, it is stopped too.

Run as `python -m distributor.demo.keeper COMMAND ...`; its exit code is the program's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

#: Seconds that the program gets after SIGTERM; `run` gives what is on the wire 30.
GRACE = 35.0


def keep(command: list[str]) -> int:
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda number, frame: program.terminate())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_stop_at_end, args=(program,), daemon=True).start()
    code = program.wait()
    return code if code >= 0 else 128 - code


def _stop_at_end(program: subprocess.Popen[bytes]) -> None:
    # os.read holds no lock that the interpreter would wait for at its end.
    while os.read(0, 1):
        pass
    program.terminate()
    try:
        program.wait(GRACE)
    except subprocess.TimeoutExpired:
        program.kill()


if __name__ == "__main__":
    code = keep(sys.argv[1:])
    os._exit(code)
