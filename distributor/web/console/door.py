"""Who may see the operator's pages.

From this machine anybody: the peer is loopback, the Host header names loopback too (a page in the operator's
browser cannot pretend that by DNS rebinding), and no proxy has left its mark. A proxy on this machine that leaves
no mark at all makes everybody look local: it must set X-Forwarded-For, or not pass on `/`, `/console`, `/metrics`.
From elsewhere whoever knows `web.console_token`, as a bearer token or as the password of any user.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import re

from starlette.requests import Request

_FORWARDED = re.compile(
    r"forwarded|via|x-(?:forwarded|real-ip|client-ip|cluster|original|envoy)[a-z-]*|true-client-ip|cf-[a-z-]+"
    r"|fastly-[a-z-]+|client-ip"
)
_LOCAL_HOST = re.compile(r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?", re.IGNORECASE)


class Door:
    """Opens to this machine, and to the token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    @property
    def has_key(self) -> bool:
        return bool(self._token)

    def is_open_to(self, request: Request) -> bool:
        return _is_local(request) or self._has_token(request.headers.get("authorization", ""))

    def _has_token(self, authorization: str) -> bool:
        kind, _, value = authorization.partition(" ")
        given = value.strip().encode()
        if kind.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).partition(b":")[2]
            except binascii.Error:
                return False
        elif kind.lower() != "bearer":
            return False
        return bool(self._token) and hmac.compare_digest(given, self._token)


def _is_local(request: Request) -> bool:
    if request.client is None or request.scope.get("http_version") == "1.0":
        # Proxies that leave no mark speak HTTP/1.0 more often than people do.
        return False
    try:
        peer = ipaddress.ip_address(request.client.host)
    except ValueError:
        return False
    peer = getattr(peer, "ipv4_mapped", None) or peer
    hosts = request.headers.getlist("host")
    return (
        peer.is_loopback
        and len(hosts) == 1
        and _LOCAL_HOST.fullmatch(hosts[0]) is not None
        and not any(_FORWARDED.fullmatch(name) for name in request.headers)
    )
