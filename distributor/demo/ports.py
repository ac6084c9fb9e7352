"""Free ports, for programs that have to be told theirs before they start."""

from __future__ import annotations

import random
import socket

#: Below what systems hand out by themselves for outgoing connections, so that nobody takes one by chance.
_LOWEST, _HIGHEST = 18_000, 30_000


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def find_port(wished: int = 0) -> int:
    """The wished port if it is free, else any other."""
    if wished and wished <= 65_535 and is_free(wished):
        return wished
    for _ in range(200):
        port = random.randint(_LOWEST, _HIGHEST)
        if is_free(port):
            return port
    raise OSError("no free port was found on 127.0.0.1")
