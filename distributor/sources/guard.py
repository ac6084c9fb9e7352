"""Which addresses a fetch may connect to. Decided by name and number; nothing is sent from here."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import quote, urljoin, urlsplit

from distributor.core.errors import SourceError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]

PUBLIC_PORTS = frozenset({80, 443})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONGEST_URL = 4096
_PATH_SAFE = "/%:@!$&'()*+,;=~-._[]|"

# Own table: ipaddress.is_global differs between Python versions and calls NAT64, 6to4 and 192.0.0.192 global
# (facts/libraries.md section 2). From the IANA special-purpose registries, and 168.63.129.16, Azure's host service.
_NOT_PUBLIC_4 = tuple(
    map(
        IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16"),
            *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24"),
            *("192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24"),
            *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        ),
    )
)
_PUBLIC_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"))
)


@dataclass(frozen=True, slots=True)
class Place:
    """A readable http(s) address, taken apart. `host` is ASCII in lower case, `target` path and query, escaped."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host_header}{self.target}"

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def is_public(address: Address) -> bool:
    """Whether an address belongs to the open internet, by our own table."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    return address in _PUBLIC_6 and not any(address in network for network in _NOT_PUBLIC_6)


@lru_cache(maxsize=4096)
def read_place(url: str, base: str = "") -> Place:
    """Take an address apart; SourceError with the reason when it is none we would ever fetch."""
    shown = url[:100]
    if len(url) > _LONGEST_URL or any(sign < " " or sign == "\x7f" for sign in url.strip()):
        raise SourceError(f"the address {shown!r} is too long or holds control characters")
    try:
        parts = urlsplit(urljoin(base, url.strip()))
        host, port = _ascii_host(parts.hostname or ""), parts.port
    except ValueError as error:
        raise SourceError(f"the address {shown!r} cannot be read: {error}") from error
    if parts.scheme not in _DEFAULT_PORTS:
        raise SourceError(f"the address {shown!r} must begin with http:// or https://")
    if not host:
        raise SourceError(f"the address {shown!r} names no host")
    if parts.username is not None or parts.password is not None:
        raise SourceError(
            f"the address for {host} holds a user name; a name and password in an address are refused"
        )
    path = quote(parts.path or "/", safe=_PATH_SAFE)
    target = path + (f"?{quote(parts.query, safe=_PATH_SAFE + '?')}" if parts.query else "")
    return Place(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme], target)


def _ascii_host(host: str) -> str:
    """The idna codec also folds full-width digits and dots, so that what is checked is what is resolved."""
    ascii_host = host if host.isascii() else host.encode("idna").decode("ascii")
    if any(sign in ascii_host for sign in " /\\@?#<>%\"'`^{}|"):
        raise ValueError("the host has a character that no host has")
    return ascii_host.lower().rstrip(".")


@dataclass(frozen=True, slots=True)
class _Allowance:
    """One line of `network.allow_private`: a network or a host name, on one port or on all (None)."""

    network: Network | None
    host: str
    port: int | None

    def covers(self, host: str, port: int, address: Address) -> bool:
        if self.port not in (None, port):
            return False
        return host == self.host if self.network is None else address in self.network


def read_allowance(entry: str) -> _Allowance:
    """A network (10.0.0.0/8), an address or a host name, each with or without :port; ValueError with the fix."""
    text, port = entry.strip().lower(), None
    head, colon, tail = text.rpartition(":")
    if colon and tail.isdigit() and (":" not in head or head.endswith("]")):
        text, port = head, int(tail)
    try:
        return _Allowance(ip_network(text.removeprefix("[").removesuffix("]"), strict=False), "", port)
    except ValueError:
        pass
    if not text or any(sign in text for sign in "/:@ []*") or (port is not None and not 0 < port < 65536):
        raise ValueError(
            f"{entry[:60]!r} is no network and no host; write 10.0.0.0/8, 127.0.0.1:8080 or cms.internal"
        )
    return _Allowance(None, text, port)


class Guard:
    """Turns a host into addresses that may be connected to."""

    def __init__(self, allow_private: Sequence[str] = (), resolve: Resolve | None = None) -> None:
        self._allowances = [read_allowance(entry) for entry in allow_private]
        self._resolve = resolve or resolve_host

    def find_addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host, all of them checked. Connect to one of these and never resolve again.

        SourceError when one of them is not public, or the port is not 80 or 443, unless `allow_private` lets it
        through. One bad address spoils the lot: a name that is public and private is an attack or a mistake.
        """
        found = self._resolve(host, port)
        if not found:
            raise SourceError(f"{host} has no address")
        for text in found:
            self._check(host, port, ip_address(text.partition("%")[0]))
        return list(found)

    def _check(self, host: str, port: int, address: Address) -> None:
        if any(allowance.covers(host, port, address) for allowance in self._allowances):
            return
        if port not in PUBLIC_PORTS:
            raise SourceError(
                f"{host}:{port}: only the ports 80 and 443 are fetched from; to let it through add {host}:{port} "
                "to network.allow_private"
            )
        if not is_public(address):
            raise SourceError(
                f"{host} is {address}, which is not a public address; if it is meant, add {address} to "
                "network.allow_private"
            )


def resolve_host(host: str, port: int) -> list[str]:
    """The numeric addresses of a host, in the order the system prefers; SourceError when there are none.

    The wait is the system resolver's own; it cannot be cut short from here.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SourceError(f"{host} cannot be found: {getattr(error, 'strerror', None) or error}") from error
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
