"""A redirect with its click on disk, against nginx's 302 with access_log. Goals: at most 1.6 times the CPU,
at least 0.6 times the requests a second.

python -m benchmarks.redirect [--full]

Needs nginx and wrk (Debian packages of these names). Servers are pinned to one CPU, wrk to another; 64 connections
that stay open, 2,000 links, 300 kinds of browser. "fresh" is ours where no two requests have the same headers.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.rigs.rounds import choose, end, print_floor, print_ratio, run_rounds
from benchmarks.rigs.rows import note_absent

GOAL, GOAL_RATE = 1.6, 0.6
TITLE = "a redirect with its click on disk, against nginx with access_log"
LINKS = 2_000
SERVER_CPU, CLIENT_CPU = 0, 1
TARGET = "https://news.example.org/world/2026/11/a-story-with-a-usual-address-{:06d}.html"

NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  log_format click '$msec $uri "$http_user_agent" "$http_referer"';
  access_log {folder}/access.log click;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  keepalive_requests 100000000;
  server {{
    listen 127.0.0.1:{port};
    location /l/ {{ add_header Cache-Control no-store always; return 302 {target}; }}
  }}
}}
"""

WRK = """
local agents = {}
for i = 1, 300 do
  agents[i] = "User-Agent: Mozilla/5.0 (Linux; Android 1" .. i % 6 .. "; SM-A" .. i .. "B) AppleWebKit/537.36"
    .. " (KHTML, like Gecko) Chrome/1" .. i % 40 .. ".0.0.0 Mobile Safari/537.36"
end
local fresh = os.getenv("FRESH") == "1"
local number = 0
function request()
  number = number + 1
  return string.format("GET /l/bench%06d HTTP/1.1\\r\\nHost: go.example.org\\r\\nConnection: keep-alive\\r\\n"
    .. "%s%s\\r\\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8\\r\\n"
    .. "Upgrade-Insecure-Requests: 1\\r\\nSec-Fetch-Site: cross-site\\r\\nSec-Fetch-Mode: navigate\\r\\n"
    .. "Sec-Fetch-Dest: document\\r\\nReferer: https://t.co/\\r\\nAccept-Encoding: gzip, deflate, br\\r\\n"
    .. "Accept-Language: uk-UA,uk;q=0.9\\r\\n\\r\\n",
    number * 7919 % 2000, agents[number % 300 + 1], fresh and " v" .. number or "")
end
function done(summary, latency)
  local wrong = summary.errors.status + summary.errors.read + summary.errors.timeout + summary.errors.connect
  io.write(string.format("RESULT %d %d %d\\n", summary.requests, wrong, summary.duration))
end
"""


def main() -> int:
    if sys.argv[-1] == "--serve":
        serve(Path(sys.argv[1]), int(sys.argv[2]))
        return 0
    missing = [name for name in ("nginx", "wrk") if shutil.which(name) is None]
    if missing:
        print(f"this benchmark needs {' and '.join(missing)}: install the package(s) of that name")
        note_absent(
            TITLE, f"Debian's {' and '.join(missing)} not installed", f"at most {GOAL}, at least {GOAL_RATE}"
        )
        return 2
    rounds, seconds = choose((1, 1), (5, 2), (7, 4))
    with tempfile.TemporaryDirectory(prefix="redirect-") as name:
        return compare(Path(name), rounds, seconds)


def compare(folder: Path, rounds: int, seconds: int) -> int:
    (folder / "wrk.lua").write_text(WRK, encoding="utf-8")
    rates: dict[str, list[float]] = {}
    with start_nginx(folder) as nginx, start_ours(folder) as ours:

        def load(name: str, server: tuple[int, int], fresh: str = "") -> Callable[[], float]:
            def run() -> float:
                cpu, rate = put_load(folder, server, seconds, fresh)
                rates.setdefault(name, []).append(rate)
                return cpu

            return run

        medians = run_rounds(
            {"nginx": load("nginx", nginx), "ours": load("ours", ours), "fresh": load("fresh", ours, "1")}, rounds
        )
    for name, cpu in medians.items():
        rate, ratio = median(rates[name]), cpu / medians["nginx"]
        print(f"{name:6} {cpu:8.4f} CPU seconds per 1,000  {rate:9,.0f} requests/s  {ratio:5.2f} x nginx")
    worst = max(medians["ours"], medians["fresh"])
    is_cheap = print_ratio(TITLE, worst * 1e3, medians["nginx"] * 1e3, GOAL, "CPU ms per 1,000")
    slowest, usual = min(median(rates["ours"]), median(rates["fresh"])), median(rates["nginx"])
    is_fast = print_floor(f"{TITLE}: requests a second", slowest, usual, GOAL_RATE)
    return end(is_cheap and is_fast)


def put_load(folder: Path, server: tuple[int, int], seconds: int, fresh: str) -> tuple[float, float]:
    """CPU seconds of the server per 1,000 answers, and answers a second."""
    pid, port = server
    before = read_cpu(pid)
    command = ["wrk", "-t1", "-c64", f"-d{seconds}s", "-s", str(folder / "wrk.lua"), f"http://127.0.0.1:{port}/"]
    done = subprocess.run(
        command,
        env={**os.environ, "FRESH": fresh},
        preexec_fn=lambda: pin(CLIENT_CPU),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    used = read_cpu(pid) - before
    (result,) = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    requests, wrong, microseconds = map(int, result.split()[1:])
    if wrong:
        raise SystemExit(f"{wrong} of {requests} requests went wrong")
    return used / requests * 1000, requests / microseconds * 1e6


@contextmanager
def start_nginx(folder: Path) -> Iterator[tuple[int, int]]:
    port = find_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, target=TARGET.format(1)), encoding="utf-8")
    with run_server(["nginx", "-p", str(folder), "-c", str(config), "-e", str(folder / "start.log")], port) as pid:
        yield pid, port


@contextmanager
def start_ours(folder: Path) -> Iterator[tuple[int, int]]:
    port = find_port()
    with run_server([sys.executable, "-m", "benchmarks.redirect", str(folder), str(port), "--serve"], port) as pid:
        yield pid, port


@contextmanager
def run_server(command: list[str], port: int) -> Iterator[int]:
    server = subprocess.Popen(command, preexec_fn=lambda: pin(SERVER_CPU))
    try:
        wait_for(port, server)
        yield server.pid
    finally:
        server.terminate()
        server.wait()


def serve(folder: Path, port: int) -> None:
    import uvicorn

    from distributor.web.public.redirect import make_protocol

    redirects, _ = make_redirects(folder)
    http: Any = make_protocol(redirects)
    app: Any = redirects
    uvicorn.run(app, host="127.0.0.1", port=port, http=http, loop="uvloop", log_level="error", lifespan="off")


def make_redirects(folder: Path) -> tuple[Any, Any]:
    """The product's redirects and the journal of their clicks. Any address but those of its links is not found."""
    from starlette.responses import PlainTextResponse

    from distributor.web.public.clicks import ClickJournal
    from distributor.web.public.redirect import LinkMap, Redirects

    rows = [(number + 1, f"bench{number:06d}", TARGET.format(number)) for number in range(LINKS)]
    links = LinkMap(lambda slug: None, lambda last: rows[last:], time.monotonic)
    links.refresh()
    journal = ClickJournal(folder / "clicks")
    beyond = PlainTextResponse("not found", 404)
    return Redirects(links, journal, lambda: time.time_ns() // 1_000_000, beyond=beyond), journal


def pin(cpu: int) -> None:
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[cpu % len(os.sched_getaffinity(0))]})


def read_cpu(pid: int) -> float:
    """User and system seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def find_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{server.args!r} did not start")


if __name__ == "__main__":
    sys.exit(main())
