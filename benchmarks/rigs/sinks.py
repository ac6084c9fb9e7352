"""Servers that take everything as fast as Python can, each in a process of its own.

python -m benchmarks.rigs.sinks smtp|sendgrid [delay=SECONDS] [certificate=FILE]
prints its port, serves until its standard input closes. `delay` is what each group of answers takes, `certificate`
(PEM, with its key) is offered by STARTTLS.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import uvloop


class SmtpSink(asyncio.Protocol):
    """Answers commands and looks for the end of the data with `bytes.find`; keeps nothing.

    Answers to what came together leave together.
    """

    delay = 0.0
    trust: ssl.SSLContext | None = None

    def __init__(self) -> None:
        self.buffer = b""
        self.is_data = False
        self.is_thinking = False
        self.is_secured = False
        self.answers: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if not self.is_secured:
            self.transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while not self.is_thinking and (self.take_data() if self.is_data else self.take_command()):
            pass
        if self.answers:
            self.answer(b"".join(self.answers))
            self.answers = []

    def answer(self, words: bytes) -> None:
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, self.transport.write, words)
        else:
            self.transport.write(words)

    def take_data(self) -> bool:
        if self.buffer.endswith(b"\r\n.\r\n"):
            self.buffer = b""
        else:
            end = self.buffer.find(b"\r\n.\r\n")
            if end < 0:
                return False
            self.buffer = self.buffer[end + 5 :]
        self.is_data = False
        self.accept()
        return True

    def accept(self) -> None:
        self.answers.append(b"250 2.0.0 Ok: queued as SINK00000001\r\n")

    def take_command(self) -> bool:
        line, found, rest = self.buffer.partition(b"\r\n")
        if not found:
            return False
        self.buffer = rest
        verb = line[:4].upper()
        if verb == b"EHLO":
            self.answers.append(b"250-sink\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 ENHANCEDSTATUSCODES\r\n")
        elif verb == b"DATA":
            self.is_data = True
            self.answers.append(b"354 go\r\n")
        elif verb == b"STAR":
            self.transport.write(b"220 2.0.0 go\r\n")
            self.secured = asyncio.ensure_future(self.secure())
        elif verb == b"QUIT":
            self.transport.write(b"221 bye\r\n")
            self.transport.close()
        else:
            self.answers.append(b"250 2.1.0 Ok\r\n")
        return True

    async def secure(self) -> None:
        assert self.trust is not None, "a sink without a certificate"
        self.is_secured = True
        loop = asyncio.get_running_loop()
        self.transport = cast(
            asyncio.Transport, await loop.start_tls(self.transport, self, self.trust, server_side=True)
        )


class Envelopes:
    """An SMTP server in a thread of the benchmark that remembers when each envelope came, by time.monotonic()."""

    def __init__(self, delay: float = 0.0) -> None:
        """`delay`: seconds that the server takes to think about each mail."""
        self._delay = delay
        self.port = 0
        self.moments: list[float] = []
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        envelopes = self

        class Remembering(SmtpSink):
            def take_command(self) -> bool:
                if self.buffer[:4].upper() == b"MAIL":
                    envelopes.moments.append(time.monotonic())
                return super().take_command()

            def accept(self) -> None:
                self.is_thinking = True
                asyncio.get_running_loop().call_later(envelopes._delay, self.think_no_more)

            def think_no_more(self) -> None:
                self.is_thinking = False
                super().accept()
                self.data_received(b"")

        self._thread.start()
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(listener.getsockname()[1])
        made = self._loop.create_server(Remembering, sock=listener)
        asyncio.run_coroutine_threadsafe(made, self._loop).result(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@contextmanager
def run_envelopes(delay: float = 0.0) -> Iterator[Envelopes]:
    envelopes = Envelopes(delay)
    envelopes.start()
    try:
        yield envelopes
    finally:
        envelopes.stop()


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


async def serve(kind: str, options: dict[str, str]) -> None:
    loop = asyncio.get_running_loop()
    SmtpSink.delay = float(options.get("delay", 0))
    if "certificate" in options:
        SmtpSink.trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        SmtpSink.trust.load_cert_chain(options["certificate"])
    server = await loop.create_server({"smtp": SmtpSink, "sendgrid": SendgridSink}[kind], "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    done = asyncio.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(done.set)), daemon=True).start()
    await done.wait()
    server.close()


@contextmanager
def run_sink(kind: str, **options: object) -> Iterator[int]:
    """The port of a sink that runs in a process of its own until the block ends."""
    words = [f"{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "benchmarks.rigs.sinks", kind, *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], dict(word.split("=", 1) for word in sys.argv[2:])))
