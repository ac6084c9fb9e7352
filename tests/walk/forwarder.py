"""Carries connections from one address to another: `python -m tests.walk.forwarder HERE THERE PORT ...`.

The services that pretend listen on loopback only. For machines with networks of their own one of these stands on
each side of the cable, so that the program finds the services on its loopback, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys


async def forward(here: str, there: str, ports: list[int]) -> None:
    """Listen on every port here; a connection ends when either side ends it."""
    servers = [await asyncio.start_server(_carrier(there, port), here, port) for port in ports]
    print("ready", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


def _carrier(there: str, port: int):  # type: ignore[no-untyped-def]
    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(there, port)
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        writer.close()

    return carry


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.close()


if __name__ == "__main__":
    asyncio.run(forward(sys.argv[1], sys.argv[2], [int(one) for one in sys.argv[3:]]))
