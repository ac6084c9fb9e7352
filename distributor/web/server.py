"""uvicorn in a thread of its own: started, stopped, and a taken port said plainly."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

from distributor.core.errors import SettingsError

log = logging.getLogger(__name__)

STOP_SECONDS = 10.0
#: How often, and in what steps, to wait for a port that is about to become free.
WAIT_TIMES = 25
WAIT_SECONDS = 0.2
#: The longest turn of one thread of this process while another one waits.
TURN_SECONDS = 0.00005
#: Connections the kernel keeps for us while we are busy.
BACKLOG = 2048


class WebServer:
    """Serves an ASGI application on one address. `background` runs on the same loop while it serves."""

    def __init__(
        self,
        application: Any,
        host: str,
        port: int,
        *,
        protocol: type[asyncio.Protocol] | None = None,
        background: Callable[[], Awaitable[None]] | None = None,
        is_shared: bool = False,
    ) -> None:
        """`is_shared`: other processes of ours listen on the same port, and the kernel deals connections out."""
        self._application = application
        self._protocol = protocol
        self._background = background
        self._socket = bind(host, port, is_shared)
        self._server: Any = None
        self._loop: asyncio.AbstractEventLoop
        self._ends: list[Callable[[], None]] = []
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._started = threading.Event()

    @property
    def port(self) -> int:
        """The port in use, also when 0 was asked for."""
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        # Python lets a thread that computes go on for 5 ms before another one gets its turn, and a redirect needs
        # several turns: while a letter goes out, it would wait for each.
        sys.setswitchinterval(TURN_SECONDS)
        self._thread.start()
        self._started.wait(STOP_SECONDS)

    def stop(self) -> None:
        """Let open requests finish, then close."""
        if self._stop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)
        self._socket.close()

    def take_over(self, way: socket.socket) -> None:
        """Serve the connections that come from another process by `way`; it is closed with the loop."""
        from distributor.web.public.hand_over import receive

        self._loop.call_soon_threadsafe(lambda: self._ends.append(receive(way, self._make_protocol)))

    def _make_protocol(self) -> asyncio.Protocol:
        config, server = self._server.config, self._server
        made: asyncio.Protocol = config.http_protocol_class(
            config=config, server_state=server.server_state, app_state=server.lifespan.state, _loop=self._loop
        )
        return made

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        import uvicorn

        config = uvicorn.Config(
            self._application,
            http=self._protocol or "httptools",
            ws="none",
            lifespan="off",
            loop="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=int(STOP_SECONDS) - 2,
            backlog=BACKLOG,
        )
        self._server = _make_server(config)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), self._server.stop
        task = asyncio.ensure_future(self._background()) if self._background else None
        self._started.set()
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            for end in self._ends:
                end()
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


def _make_server(config: Any) -> Any:
    """uvicorn's own looks ten times a second whether it should end, which is a quarter of what an idle process
    costs; this one wakes once a second, for the Date header."""
    import uvicorn

    class Server(uvicorn.Server):
        def __init__(self) -> None:
            super().__init__(config)
            self.stop = asyncio.Event()

        async def main_loop(self) -> None:
            while not self.stop.is_set():
                await self.on_tick(0)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1.0 - time.time() % 1.0):
                        await self.stop.wait()
            self.should_exit = True

    return Server()


def bind(host: str, port: int, is_shared: bool = False) -> socket.socket:
    """A listening socket; SettingsError names who may be in the way. `is_shared` as in WebServer."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    one = socket.socket(family, socket.SOCK_STREAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(is_shared))
    try:
        one.bind((host, port))
        # From here on connections wait for the loop instead of being refused, and nobody else gets the port.
        one.listen(BACKLOG)
    except OSError as error:
        one.close()
        fix = "stop what is there, or set another port"
        raise SettingsError([f"web.listen: cannot listen on {host}:{port} ({error.strerror}); {fix}"]) from None
    one.setblocking(False)
    return one


def wait_for_port(host: str, port: int) -> None:
    """Before a shared port is taken: nobody else may listen there. Processes that a killed one left behind get some
    seconds to go. Raises SettingsError."""
    for _ in range(WAIT_TIMES if port else 0):
        try:
            bind(host, port).close()
            return
        except SettingsError:
            time.sleep(WAIT_SECONDS)
    bind(host, port).close()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed: a third of the cost of a redirect."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
