"""A tick that finds nothing new: one conditional GET answered 304, and what is noted of it. CPU per feed.

Ours is the product's own poll (state read, guarded client, state written to SQLite). The yardstick is a bare
conditional GET by http.client on a kept connection, and nothing else. Goal: at most 1.2 times that.

python -m benchmarks.tick [--full]
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.rigs.rounds import choose, end, measure_cpu, print_ratio, run_rounds
from distributor.app import App, read_settings
from distributor.core.source_state import SourceState
from distributor.storage import join_stores, schema
from distributor.storage.database import Database

GOAL = 1.2
FEED = (
    b"<rss version='2.0'><channel><title>Front</title><item><guid>1</guid><title>A</title></item></channel></rss>"
)
SERVER = """
import asyncio, sys
BODY = sys.stdin.buffer.readline().strip()
class Feed(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data):
        if b"if-none-match" in data.lower():
            self.transport.write(b'HTTP/1.1 304 Not Modified\\r\\nETag: "1"\\r\\n\\r\\n')
        else:
            head = b'HTTP/1.1 200 OK\\r\\nETag: "1"\\r\\nContent-Type: application/rss+xml\\r\\nContent-Length: '
            self.transport.write(head + str(len(BODY)).encode() + b"\\r\\n\\r\\n" + BODY)
async def main():
    server = await asyncio.get_running_loop().create_server(Feed, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def open_app(folder: Path, port: int, feeds: int) -> App:
    config = folder / "config" / "distributor.yaml"
    config.parent.mkdir()
    sources = [
        {"name": f"feed{i}", "kind": "feed", "url": f"http://127.0.0.1:{port}/{i}", "enrich": False}
        for i in range(feeds)
    ]
    site = {"name": "The Daily", "public_url": "http://127.0.0.1:1"}
    network = {"allow_private": ["127.0.0.0/8"]}
    config.write_text(json.dumps({"site": site, "network": network, "sources": sources}))
    settings = read_settings(config, {})
    database = Database(settings.database_url.get_secret_value())
    schema.upgrade(database)
    return App(settings, join_stores(database))


@contextmanager
def run_site(program: str) -> Iterator[int]:
    """A program in a process of its own that is told the feed and tells the port it serves it on."""
    server = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin
    assert server.stdout
    server.stdin.write(FEED + b"\n")
    server.stdin.flush()
    try:
        yield int(server.stdout.readline())
    finally:
        server.terminate()
        server.wait()


def poll_ours(app: App) -> None:
    """One tick over all feeds as the clock does it: all states read at once, quiet polls noted together."""
    noted: list[object] = []
    known = app.storage.posts.load_states()
    for source in app.settings.sources:
        polled = app.poll(source.name, SourceState.from_json(known[source.name]), noted.append)
        assert polled.is_unchanged, polled
    app.storage.posts.note_quiet(noted)  # type: ignore[arg-type]


def poll_bare(connection: http.client.HTTPConnection, feeds: int) -> None:
    for number in range(feeds):
        connection.request("GET", f"/{number}", headers={"If-None-Match": '"1"'})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 304


def main() -> int:
    rounds, feeds = choose((1, 2), (5, 100), (9, 200))
    with run_site(SERVER) as port, tempfile.TemporaryDirectory() as name:
        app = open_app(Path(name), port, feeds)
        for source in app.settings.sources:
            app.poll(source.name)
        connection = http.client.HTTPConnection("127.0.0.1", port)
        poll_bare(connection, 1)
        medians = run_rounds(
            {
                "ours": lambda: measure_cpu(lambda: poll_ours(app)) / feeds * 1e6,
                "bare": lambda: measure_cpu(lambda: poll_bare(connection, feeds)) / feeds * 1e6,
            },
            rounds,
        )
        connection.close()
        app.close()
    title = f"a tick that finds nothing new, {feeds} feeds"
    return end(print_ratio(title, medians["ours"], medians["bare"], GOAL, "CPU us per feed"))


if __name__ == "__main__":
    sys.exit(main())
