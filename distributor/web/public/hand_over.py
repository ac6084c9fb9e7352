"""A process that only redirects gives every other connection to the one that has the pages, open and as it is.

The kernel deals connections out to all processes that listen on the port, and knows nothing of paths.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable
from typing import ClassVar

from distributor.web.public.fast_path import FastPath

log = logging.getLogger(__name__)

_LINKS = (b"GET /l/", b"HEAD /l/")
_BUFFER = 1 << 20
#: More than one reading of a connection ever gives.
_PACKET = 1 << 19
#: Seconds between two looks whether the answers before have left.
_WAIT = 0.005


def make_way() -> tuple[socket.socket, socket.socket]:
    """Both ends of a way for connections: one packet is one connection with what was read from it."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
    return ends


class HandingOver(FastPath):
    """The protocol of a process that has no pages. What cannot be handed over is answered here, as not ready."""

    way: ClassVar[socket.socket | None] = None

    def _pass_on(self, data: bytes) -> None:
        if self.way is None or data.startswith(_LINKS) or not self._is_free():
            super()._pass_on(data)
        else:
            self._give_away(self.way, data)

    def _give_away(self, way: socket.socket, data: bytes) -> None:
        transport = self.transport
        if transport.is_closing():
            return
        if transport.get_write_buffer_size():
            transport.pause_reading()
            self.loop.call_later(_WAIT, self._give_away, way, data)
            return
        if _send(way, transport.get_extra_info("socket").fileno(), data):
            # Ours is a copy from now on: letting it go does not end the connection.
            self._is_last = True
            transport.abort()
        else:
            transport.resume_reading()
            super()._pass_on(data)


def _send(way: socket.socket, file: int, data: bytes) -> bool:
    try:
        socket.send_fds(way, [data], [file])
    except OSError:  # full, because nobody takes them at the moment, or nobody is there any more
        return False
    return True


def receive(way: socket.socket, make_protocol: Callable[[], asyncio.Protocol]) -> Callable[[], None]:
    """Take in what comes by `way` on the running loop; returns what ends that. `make_protocol` makes a FastPath."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    def stop() -> None:
        loop.remove_reader(way)
        way.close()

    def take() -> None:
        with contextlib.suppress(BlockingIOError):
            data, files, _, _ = socket.recv_fds(way, _PACKET, 1)
            if not files:
                loop.remove_reader(way)
                return
            task = loop.create_task(_adopt(files[0], data, make_protocol))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    loop.add_reader(way, take)
    return stop


async def _adopt(file: int, data: bytes, make_protocol: Callable[[], asyncio.Protocol]) -> None:
    protocol = make_protocol()
    assert isinstance(protocol, FastPath)
    protocol.read_before = data
    try:
        connection = socket.socket(fileno=file)
    except OSError as error:
        os.close(file)
        log.warning("a connection could not be taken over: %s", error)
        return
    connection.setblocking(False)
    with contextlib.suppress(OSError):  # it is gone already
        await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, connection)
