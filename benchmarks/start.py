"""From the command to the first answer. Goals: `run` answers /healthz within 1.5 s, `--help` within 0.4 s.

python -m benchmarks.start
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROUNDS = 5


def time_command(*words: str) -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def time_first_answer(config: Path, port: int) -> float:
    started = time.monotonic()
    command = [sys.executable, "-m", "distributor", "run", "--config", str(config)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while not is_healthy(port):
            assert process.poll() is None, "it ended"
            time.sleep(0.005)
        return time.monotonic() - started
    finally:
        process.terminate()
        process.wait()


def is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def main() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    with tempfile.TemporaryDirectory() as name:
        config = Path(name) / "config" / "distributor.yaml"
        config.parent.mkdir()
        site = {"name": "The Daily", "public_url": f"http://127.0.0.1:{port}"}
        config.write_text(json.dumps({"site": site, "web": {"listen": f"127.0.0.1:{port}"}}))
        first = time_first_answer(config, port)
        again = median(time_first_answer(config, port) for _ in range(ROUNDS))
    bare = median(time_command("-c", "pass") for _ in range(ROUNDS))
    helped = median(time_command("-m", "distributor", "--help") for _ in range(ROUNDS))
    print(f"  python -c pass             {bare:6.2f} s")
    print(f"  distributor --help         {helped:6.2f} s   goal 0.4 s: {'met' if helped <= 0.4 else 'MISSED'}")
    print(f"  run, an empty folder       {first:6.2f} s")
    print(f"  run, to the first answer   {again:6.2f} s   goal 1.5 s: {'met' if again <= 1.5 else 'MISSED'}")
    return 0 if helped <= 0.4 and again <= 1.5 else 1


if __name__ == "__main__":
    sys.exit(main())
