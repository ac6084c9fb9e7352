"""One conversation with the Bot API through python-telegram-bot, with its traps disarmed.

Imported on first use only: the library costs 0.2 s. What is disarmed, measured on 22.8:

- Its error classes do not tell sent from not sent (a connect and a read timeout are the same TimedOut, and a
  BadRequest is a NetworkError), its error texts lose their capitals, RetryAfter warns when it is made, and a
  200 without `result` is a KeyError. So answers are taken from the wire, before the library reads them.
- `Bot.initialize` puts the token into its exception, `repr(Bot)` and httpx's log lines show it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import telegram
from telegram.error import TelegramError
from telegram.request import HTTPXRequest

from distributor.core.points import reach

_LONGEST_ANSWER = 1_000_000
#: What httpx calls the failures that come before the first byte of a request.
_BEFORE_SENDING = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"})


@dataclass
class Exchange:
    """What is known about one call. `status` is 0 while there is no whole answer."""

    may_start: Callable[[], bool]
    is_started: bool = False
    is_withheld: bool = False
    status: int = 0
    body: bytes = b""
    #: What the library raised and why, outermost first: class names, and the words of the innermost.
    causes: tuple[str, ...] = ()
    reason: str = ""
    failure: BaseException | None = None

    @property
    def is_provably_unsent(self) -> bool:
        """Both signs must agree: no byte was announced, and the failure is one that comes before the first."""
        return not self.is_started and not _BEFORE_SENDING.isdisjoint(self.causes)

    def announce(self) -> None:
        """Called when the connection stands and the first byte of the request is about to leave."""
        try:
            self.is_started = self.may_start()
        except BaseException as error:
            self.failure = error
            raise
        if not self.is_started:
            self.is_withheld = True
            raise _Withheld
        reach("telegram.request")


class _Withheld(Exception):
    """The pipeline said no to the first byte."""


class _Answered(TelegramError):
    """Carries nothing: it stops the library from reading an answer that we read ourselves."""

    def __init__(self) -> None:
        super().__init__("answered")


class _WatchedRequest(HTTPXRequest):
    """Tells right before the first byte leaves, and keeps the answer as it came."""

    def __init__(self, timeout: float, proxy: str | None) -> None:
        # One connection: a lane sends one message at a time. The environment's proxies are not ours to use.
        hooks = {"request": [self._watch], "response": [_read_whole]}
        # Each message gets a new one: the far end may close a kept connection at the very moment of a message,
        # which turns a plain "not sent" into "perhaps sent".
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=0)
        super().__init__(
            connection_pool_size=1,
            connect_timeout=min(5.0, timeout),
            read_timeout=timeout,
            write_timeout=min(20.0, timeout),
            pool_timeout=1.0,
            proxy=proxy,
            httpx_kwargs={"event_hooks": hooks, "limits": limits, "trust_env": False},
        )
        self.exchange: Exchange | None = None
        self._timeout = timeout
        self._limit: asyncio.Timeout | None = None

    async def _watch(self, request: Any) -> None:
        request.extensions["trace"] = self._trace

    async def _trace(self, event: str, info: dict[str, Any]) -> None:
        if event == "http11.send_request_headers.started" and info["request"].method != b"CONNECT":
            assert self.exchange is not None
            self.exchange.announce()
        if event == "http11.receive_response_headers.started" and self._limit is not None:
            # httpx' own limit begins anew with each byte.
            self._limit.reschedule(asyncio.get_running_loop().time() + self._timeout)

    async def do_request(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        assert self.exchange is not None
        async with asyncio.timeout(None) as self._limit:
            status, body = await super().do_request(*args, **kwargs)
        self.exchange.status, self.exchange.body = status, body
        reach("telegram.answered")
        raise _Answered


async def _read_whole(response: httpx.Response) -> None:
    """The body, unless there is too much of it."""
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > _LONGEST_ANSWER:
            raise httpx.DecodingError("the answer is too long")
    response._content = bytes(body)


class Client:
    """A bot and the event loop it lives in. One thread owns it."""

    def __init__(self, token: str, api_base: str, timeout: float, proxy: str | None = None) -> None:
        _quieten()
        self._loop = asyncio.new_event_loop()
        self._request = _WatchedRequest(timeout, proxy)
        self._bot = telegram.Bot(
            token, base_url=f"{api_base}/bot", request=self._request, get_updates_request=self._request
        )

    def call(self, method: str, fields: dict[str, Any], may_start: Callable[[], bool] = lambda: True) -> Exchange:
        """One try of one method of the library's Bot; what went wrong is in the Exchange.

        Raises only what `may_start` raised.
        """
        exchange = self._request.exchange = Exchange(may_start)
        reach("telegram.call")
        try:
            self._loop.run_until_complete(getattr(self._bot, method)(**fields))
        except Exception as error:
            chain = _list_causes(error)
            exchange.causes = tuple(type(cause).__name__ for cause in chain)
            exchange.reason = f"{exchange.causes[-1]}: {chain[-1]}".rstrip(": ")
        if exchange.failure is not None:
            raise exchange.failure
        return exchange

    def close(self) -> None:
        if not self._loop.is_closed():
            self._loop.run_until_complete(self._request.shutdown())
            self._loop.close()


def make_fields(payload: dict[str, Any]) -> dict[str, Any]:
    """Plain frozen data -> the library's own types; None fields stay off the wire."""
    fields = dict(payload)
    for name in ("entities", "caption_entities"):
        if name in fields:
            fields[name] = [telegram.MessageEntity(**entity) for entity in fields[name]] or None
    if options := fields.get("link_preview_options"):
        fields["link_preview_options"] = telegram.LinkPreviewOptions(**options)
    if rows := fields.get("reply_markup"):
        fields["reply_markup"] = telegram.InlineKeyboardMarkup(
            [[telegram.InlineKeyboardButton(**button) for button in row] for row in rows]
        )
    return fields


def _list_causes(error: BaseException) -> list[BaseException]:
    chain = [error]
    while (cause := chain[-1].__cause__) is not None and len(chain) < 10:
        chain.append(cause)
    return chain


def _quieten() -> None:
    """These loggers print the token: httpx in every request line, the library in its debug lines."""
    for name in ("httpx", "httpcore", "telegram"):
        logging.getLogger(name).setLevel(logging.WARNING)
