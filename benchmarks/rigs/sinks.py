"""Servers that take everything as fast as Python can, each in a process of its own.

python -m benchmarks.rigs.sinks smtp|sendgrid     prints its port, serves until its standard input closes
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import uvloop


class SmtpSink(asyncio.Protocol):
    """Answers commands and looks for the end of the data with `bytes.find`; keeps nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.buffer = b""
        self.is_data = False
        self.transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while self.take_data() if self.is_data else self.take_command():
            pass

    def take_data(self) -> bool:
        if self.buffer.endswith(b"\r\n.\r\n"):
            self.buffer = b""
        else:
            end = self.buffer.find(b"\r\n.\r\n")
            if end < 0:
                return False
            self.buffer = self.buffer[end + 5 :]
        self.is_data = False
        self.transport.write(b"250 2.0.0 Ok: queued as SINK00000001\r\n")
        return True

    def take_command(self) -> bool:
        line, found, rest = self.buffer.partition(b"\r\n")
        if not found:
            return False
        self.buffer = rest
        verb = line[:4].upper()
        if verb == b"EHLO":
            self.transport.write(b"250-sink\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n")
        elif verb == b"DATA":
            self.is_data = True
            self.transport.write(b"354 go\r\n")
        elif verb == b"QUIT":
            self.transport.write(b"221 bye\r\n")
            self.transport.close()
        else:
            self.transport.write(b"250 2.1.0 Ok\r\n")
        return True


class SendgridSink(asyncio.Protocol):
    """Reads a request by its Content-Length and answers 202."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.head = b""
        self.missing = -1

    def data_received(self, data: bytes) -> None:
        if self.missing < 0:
            self.head += data
            head, found, body = self.head.partition(b"\r\n\r\n")
            if not found:
                return
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
            self.missing, data = int(length), body
        self.missing -= len(data)
        if self.missing == 0:
            self.transport.write(
                b"HTTP/1.1 202 Accepted\r\nX-Message-Id: sink0001\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            self.transport.close()


async def serve(kind: str) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server({"smtp": SmtpSink, "sendgrid": SendgridSink}[kind], "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    done = asyncio.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(done.set)), daemon=True).start()
    await done.wait()
    server.close()


@contextmanager
def run_sink(kind: str) -> Iterator[int]:
    """The port of a sink that runs in a process of its own until the block ends."""
    command = [sys.executable, "-m", "benchmarks.rigs.sinks", kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
