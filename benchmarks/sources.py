"""1,000 sources on one core: all of them due at once, each answering 304 after 50 ms, and what their polls cost.

Goals: all are polled and written down within the two minutes of their usual interval, and polls and the looks for
what is due take under 5 % of one core. CPU is that of the product's own pollers; the site is another process.

python -m benchmarks.sources [--full]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.rigs.rounds import choose, end, measure_cpu, print_figure, read_cpu, run_rounds
from benchmarks.tick import open_app, run_site
from distributor.app import App
from distributor.clock import Pollers

INTERVAL = 120.0
DELAY = 0.05
MOST_SHARE = 5.0
SERVER = f"""
import asyncio, sys
BODY = sys.stdin.buffer.readline().strip()
HEAD = b'HTTP/1.1 200 OK\\r\\nETag: "1"\\r\\nContent-Type: application/rss+xml\\r\\nContent-Length: '
class Feed(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data):
        known = b"if-none-match" in data.lower()
        answer = b'HTTP/1.1 304 Not Modified\\r\\nETag: "1"\\r\\n\\r\\n'
        full = HEAD + str(len(BODY)).encode() + b"\\r\\n\\r\\n" + BODY
        asyncio.get_running_loop().call_later({DELAY}, self.transport.write, answer if known else full)
async def main():
    server = await asyncio.get_running_loop().create_server(Feed, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def poll_all(app: App, pollers: Pollers) -> dict[str, float]:
    """CPU and seconds until every source, all of them due, is polled and written down."""
    with app.storage.database.write("bench.due") as connection:
        connection.exec_driver_sql("UPDATE source SET state = json_remove(state, '$.next_poll_at')")
    cpu, started = read_cpu(), time.monotonic()
    pollers.poll_due()
    assert pollers.wait(INTERVAL * 2)
    return {"cpu": read_cpu() - cpu, "seconds": time.monotonic() - started}


def measure(count: int, rounds: int, port: int) -> tuple[float, float, float]:
    with tempfile.TemporaryDirectory() as name:
        app = open_app(Path(name), port, count)
        pollers = Pollers(app, lambda: None)
        poll_all(app, pollers)
        found = [poll_all(app, pollers) for _ in range(rounds)]
        assert not app.due_sources()
        look = run_rounds({"look": lambda: measure_cpu(app.due_sources, 5) / 5}, rounds)["look"]
        pollers.stop()
        app.close()
    middle = len(found) // 2
    return sorted(one["cpu"] for one in found)[middle], sorted(one["seconds"] for one in found)[middle], look


def main() -> int:
    rounds, count = choose((1, 20), (5, 1000), (5, 1000))
    with run_site(SERVER) as port:
        cpu, seconds, look = measure(count, rounds, port)
    share = (cpu + look * INTERVAL) / INTERVAL * 100
    print(f"one round of polls {cpu:.3f} CPU s; one look for what is due {look * 1000:.2f} CPU ms, one a second")
    done = [
        print_figure(f"{count:,} sources, share of one core", share, MOST_SHARE, "%"),
        print_figure(f"{count:,} sources due at once, until all are polled", seconds, INTERVAL, "s"),
    ]
    return end(all(done))


if __name__ == "__main__":
    sys.exit(main())
