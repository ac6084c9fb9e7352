"""SendGrid's own HTTP client (python_http_client) with a transport that tells "not sent" from "perhaps sent".

As it comes it turns every body into JSON itself, has no timeout, follows redirects and environment proxies,
cannot tell a refused connection from a lost answer, and formats body and API key into log lines.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from python_http_client.client import Client, Response

from distributor.channels.whole_answer import WholeResponse
from distributor.core.errors import ChannelClosed, Outage, Unknown
from distributor.core.points import reach

_LONGEST_ANSWER = 1_000_000


@dataclass(frozen=True)
class Answer:
    """A complete HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class ApiClient:
    """Calls on one account, each over a connection of its own.

    A kept connection may be closed by the other side at the very moment of a call, which would leave a
    thousand readers in doubt; a handshake a call costs nothing beside that.
    """

    def __init__(self, api_base: str, api_key: str, agent: str, timeout: float) -> None:
        self._base = api_base
        self._headers = {
            "Authorization": f"Bearer {api_key}",
            "User-Agent": agent,
            "Accept": "application/json",
            "Connection": "close",
        }
        self._timeout = timeout

    def post(
        self, path: tuple[str, ...], pieces: Sequence[bytes], may_start: Callable[[], bool] = lambda: True
    ) -> Answer | None:
        """A body that is JSON already, in pieces; `may_start` is asked between the connection and the first byte.

        None when it says no. Raises Outage or ChannelClosed when nothing can have been sent, Unknown when no whole
        answer came.
        """
        size = sum(map(len, pieces))
        headers = {"Content-Type": "application/json", "Content-Length": str(size)}
        return self._call(path, "POST", pieces, headers, may_start)

    def get(self, path: tuple[str, ...]) -> Answer:
        """Raises like `post`."""
        answer = self._call(path, "GET", None, {}, lambda: True)
        assert answer is not None
        return answer

    def _call(
        self,
        path: tuple[str, ...],
        method: str,
        pieces: Sequence[bytes] | None,
        headers: dict[str, str],
        may_start: Callable[[], bool],
    ) -> Answer | None:
        client = _RawClient(self._base, {**self._headers, **headers}, 3, list(path), timeout=self._timeout)
        with contextlib.closing(client.open_connection()) as connection:
            if not may_start():
                return None
            try:
                response = client.send_raw(connection, method, pieces)
            except (OSError, http.client.HTTPException) as error:
                raise Unknown(f"no complete answer came from SendGrid: {_describe(error)}") from None
        found = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, found, response.body)


class _RawClient(Client):  # type: ignore[misc]
    def open_connection(self) -> http.client.HTTPConnection:
        """A connection for one request. Raises Outage or ChannelClosed."""
        parts = urlsplit(self._build_url(None))
        return _connect(parts.scheme, parts.netloc, self.timeout)

    def send_raw(
        self, connection: http.client.HTTPConnection, method: str, pieces: Sequence[bytes] | None
    ) -> Response:
        """One request; answers of every status come back as they are."""
        reach("sendgrid.request")
        path = urlsplit(self._build_url(None)).path
        connection.request(method, path, body=pieces, headers=self.request_headers)
        whole = _Whole(connection.getresponse())
        reach("sendgrid.answered")
        return Response(whole)


class _Whole:
    """An answer read to its end, in the shape that python_http_client.Response wants."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._status = response.status
        self._headers = response.headers
        self._body = response.read(_LONGEST_ANSWER)
        if response.length:
            raise http.client.IncompleteRead(self._body, response.length)

    def getcode(self) -> int:
        return self._status

    def read(self) -> bytes:
        return self._body

    def info(self) -> http.client.HTTPMessage:
        return self._headers


def _connect(scheme: str, netloc: str, timeout: float) -> http.client.HTTPConnection:
    if scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            netloc, timeout=timeout, context=_trust()
        )
    else:
        connection = http.client.HTTPConnection(netloc, timeout=timeout)
    connection.response_class = WholeResponse
    reach("sendgrid.connect")
    try:
        connection.connect()
    except ssl.SSLCertVerificationError as error:
        raise ChannelClosed(f"the certificate of {netloc} is not to be trusted: {error.verify_message}") from None
    except OSError as error:
        raise Outage(f"cannot reach {netloc}: {_describe(error)}") from None
    return connection


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


def _describe(error: Exception) -> str:
    return "it took too long" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
