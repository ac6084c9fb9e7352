"""tweepy's client with its traps disarmed: our host, our timeouts, one try, and a gate before the body.

tweepy 4.17.0 hard-codes https://api.twitter.com, passes no timeout and follows redirects (a 307 would post
twice). Its client lets its requests session be replaced, so the session is where all of this is put right.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import requests
import tweepy
import urllib3

from distributor.channels.whole_answer import WholeResponse
from distributor.channels.x.answers import Answer
from distributor.core.points import reach

TWEEPY_HOST = "https://api.twitter.com"
CONNECT_TIMEOUT = 10.0
LONGEST_ANSWER = 1_000_000
_NOISY_LOGGERS = ("tweepy", "tweepy.client", "oauthlib", "requests_oauthlib", "urllib3")


class Stopped(Exception):
    """The gate stayed shut: the request was given up before its body."""


@dataclass
class Gate:
    """Stands between a request's headers and its body: a post without its body cannot happen.

    `ask` is called once connected, TLS included, and says whether the body may leave.
    """

    ask: Callable[[], bool]
    was_asked: bool = False
    is_open: bool = False

    def pass_through(self, body: bytes) -> Iterator[bytes]:
        self.was_asked = True
        self.is_open = self.ask()
        if not self.is_open:
            raise Stopped
        reach("x.body")
        yield body


@dataclass(frozen=True)
class Keys:
    """The four parts of OAuth 1.0a user tokens, and the proxy with its password."""

    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    access_token: str = field(repr=False)
    access_secret: str = field(repr=False)
    proxy: str = field(default="", repr=False)

    def redact(self, text: str) -> str:
        """The text without any of our secrets."""
        for secret in (self.api_key, self.api_secret, self.access_token, self.access_secret, self.proxy):
            text = text.replace(secret, "***") if secret else text
        return text


class _HttpConnection(urllib3.connection.HTTPConnection):
    response_class = WholeResponse


class _HttpsConnection(urllib3.connection.HTTPSConnection):
    response_class = WholeResponse


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


_POOLS = {"http": _HttpPool, "https": _HttpsPool}


class _WholeAnswers(requests.adapters.HTTPAdapter):
    """Over connections whose answers are whole and in time."""

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *arguments: Any, **named: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **named)
        manager.pool_classes_by_scheme = _POOLS
        return manager


def _read_whole(response: requests.Response) -> None:
    """The body, unless there is too much of it."""
    body = response.raw.read(LONGEST_ANSWER + 1, decode_content=True)
    response.close()
    if len(body) > LONGEST_ANSWER:
        raise requests.exceptions.ChunkedEncodingError("the answer is too long")
    response._content = body


class OneTrySession(requests.Session):
    """Sends each request once, to `api_base`, and keeps the last complete answer.

    The address is changed before signing, because OAuth 1.0a signs the host it calls. The environment's
    proxies and .netrc are not read. `timeout` is (seconds to connect, seconds between two received bytes).
    """

    def __init__(self, api_base: str, timeout: tuple[float, float], redact: Callable[[str], str]) -> None:
        super().__init__()
        for prefix in ("http://", "https://"):
            self.mount(prefix, _WholeAnswers())
        self.trust_env = False
        self.api_base = api_base
        self.timeout = timeout
        self.redact = redact
        self.gate: Gate | None = None
        self.answer: Answer | None = None

    def begin(self, gate: Gate | None) -> None:
        """Forget the last answer; `gate` stands before the bodies of what comes next."""
        self.gate, self.answer = gate, None

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs |= {"timeout": self.timeout, "allow_redirects": False}
        return super().request(method, self.api_base + url.removeprefix(TWEEPY_HOST), *args, **kwargs)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        # Posts are minutes apart. A kept connection that the far end has closed meanwhile would turn
        # a plain "not sent" into "perhaps sent", so each request gets a new one.
        self.close()
        self.answer = None
        if self.gate is not None and isinstance(request.body, bytes):
            request.body = cast(Any, self.gate.pass_through(request.body))
        reach("x.connect")
        response = super().send(request, **{**kwargs, "stream": True})
        _read_whole(response)
        reach("x.answered")
        headers = {name.lower(): value for name, value in response.headers.items()}
        text = response.content.decode("utf-8", "replace")
        self.answer = Answer(response.status_code, headers, self.redact(text))
        return response


def open_client(keys: Keys, api_base: str, timeout: float, agent: str) -> tuple[tweepy.Client, OneTrySession]:
    """tweepy's client and the session under it, which holds the answers."""
    for name in _NOISY_LOGGERS:
        # At DEBUG they write the Authorization header and the text of every post.
        logging.getLogger(name).setLevel(logging.WARNING)
    client = tweepy.Client(
        consumer_key=keys.api_key,
        consumer_secret=keys.api_secret,
        access_token=keys.access_token,
        access_token_secret=keys.access_secret,
        return_type=requests.Response,
        wait_on_rate_limit=False,
    )
    client.user_agent = agent
    session = OneTrySession(api_base, (min(CONNECT_TIMEOUT, timeout), timeout), keys.redact)
    if keys.proxy:
        session.proxies = {"http": keys.proxy, "https": keys.proxy}
    client.session.close()
    client.session = session
    return client, session


def name_cause(error: BaseException) -> str:
    """The innermost reason of a failed request in a few words, without object addresses."""
    seen: BaseException = error
    for _ in range(10):
        inner = getattr(seen, "reason", None) or seen.__cause__ or next(iter(seen.args), None)
        if not isinstance(inner, BaseException):
            break
        seen = inner
    words = re.sub(r"<[^<>]* object at 0x[0-9a-f]+>:? ?|\w+\([^()]*\): ", "", str(seen)).strip()
    return f"{type(seen).__name__}: {words}"[:300] if words else type(seen).__name__
