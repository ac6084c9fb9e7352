"""A redirect server on a real port, in this process or in one of its own, and raw clients for it."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from distributor.web.public.clicks import FILE_BYTES, ClickJournal
from distributor.web.public.redirect import LinkMap, Redirects, make_protocol

NOW = 1_795_428_000_000
TARGETS = {f"slug{number:07d}": f"https://example.org/story/{number}?a=1&b=%20#top" for number in range(50)}
NOT_FOUND = b"<!doctype html><title>Not found</title>"


@dataclass
class Links:
    """The database's side of a link map; `is_locked` makes it wait as a lost server would."""

    targets: dict[str, str] = field(default_factory=lambda: dict(TARGETS))
    asked: list[str] = field(default_factory=list)
    failure: Exception | None = None
    unlocked: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.unlocked.set()

    def find(self, slug: str) -> str | None:
        self.asked.append(slug)
        self.unlocked.wait()
        if self.failure:
            raise self.failure
        return self.targets.get(slug)

    def list_after(self, last_id: int) -> list[tuple[int, str, str]]:
        rows = [(number, *pair) for number, pair in enumerate(self.targets.items(), start=1)]
        return rows[last_id : last_id + 20]


def make_site() -> Starlette:
    async def hello(request: Any) -> PlainTextResponse:
        body = await request.body()
        return PlainTextResponse(f"hello {len(body)}")

    return Starlette(routes=[Route("/hello", hello, methods=["GET", "POST"])])


def make_server(redirects: Redirects, is_fast: bool = True, *, idle: float = 5, **limits: float) -> uvicorn.Server:
    """`limits` are attributes of FastPath."""
    http: Any = type("Protocol", (make_protocol(redirects),), limits) if is_fast else "httptools"
    app: Any = redirects
    keep: Any = idle
    config = uvicorn.Config(app, http=http, loop="uvloop", lifespan="off", log_config=None, timeout_keep_alive=keep)
    return uvicorn.Server(config)


@contextlib.contextmanager
def serving(redirects: Redirects, is_fast: bool = True, **limits: float) -> Iterator[int]:
    """The port of a server in a thread of this process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = make_server(redirects, is_fast, **limits)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(20)


class Client:
    """One connection, written to and read from as bytes."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *failure: object) -> None:
        self.socket.close()

    def write(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self, is_head: bool = False) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next answer."""
        while b"\r\n\r\n" not in self._rest:
            self._receive()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        length = 0 if is_head else int(headers.get("content-length", 0))
        while len(self._rest) < length:
            self._receive()
        body, self._rest = self._rest[:length], self._rest[length:]
        return int(lines[0].split()[1]), headers, body

    def ask(self, path: str, method: str = "GET", more: str = "") -> tuple[int, dict[str, str], bytes]:
        self.write(f"{method} {path} HTTP/1.1\r\nHost: go.example.org\r\n{more}\r\n".encode("latin-1"))
        return self.read(is_head=method == "HEAD")

    def read_to_end(self) -> bytes:
        data = self._rest
        while block := self.socket.recv(65_536):
            data += block
        return data

    def _receive(self) -> None:
        block = self.socket.recv(65_536)
        if not block:
            raise EOFError("the server hung up")
        self._rest += block


def read_lines(folder: Path) -> list[list[str]]:
    """Every record in a journal folder, as fields."""
    data = b"".join(path.read_bytes() for path in sorted(folder.glob("*.clicks")))
    return [line.decode("latin-1").split("\t", 6) for line in data.split(b"\n")[:-1]]


def make_redirects(
    folder: Path,
    links: Links | None = None,
    *,
    journal: ClickJournal | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Redirects:
    source = links or Links()
    link_map = LinkMap(source.find, source.list_after, clock)
    link_map.refresh()
    return Redirects(
        link_map, journal or ClickJournal(folder), lambda: NOW, beyond=make_site(), not_found=NOT_FOUND
    )


def main() -> None:
    """A server of its own: `python redirect_rig.py FOLDER [FILE_BYTES]`; prints its port."""
    folder, *rest = sys.argv[1:]
    journal = ClickJournal(Path(folder), file_bytes=int(rest[0]) if rest else FILE_BYTES)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        make_server(make_redirects(Path(folder), journal=journal)).run(sockets=[listener])


if __name__ == "__main__":
    main()
