"""What is kept of a request: from headers, the peer and the proxies before us to one line of the click journal."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

LONGEST_AGENT = 512
LONGEST_HINT = 48
#: Of X-Forwarded-For the end is read: what the proxies nearest to us have added.
LONGEST_FORWARDED = 256

_HOST = re.compile(rb"[a-z][a-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#:]{1,100})", re.IGNORECASE)
_PURPOSES = (b"sec-purpose", b"purpose", b"x-purpose", b"x-moz")
_HINTS = (*_PURPOSES, b"sec-fetch-dest", b"accept")
#: The headers that a record is made from.
READ_HEADERS = (*_HINTS, b"referer", b"user-agent", b"dnt", b"sec-gpc", b"x-forwarded-for")
_RARE = frozenset((*_PURPOSES, b"dnt", b"sec-gpc", b"x-forwarded-for"))
_UNSAFE_IN_FIELD = bytes.maketrans(b"\t\n\r|=", b"     ")
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::[0-9]+)?|([0-9.]+):[0-9]+", re.ASCII)
_IPV4 = re.compile(r"((?:[0-9]{1,3}\.){3})(?:0|[1-9][0-9]{0,2})", re.ASCII)


class Traits(NamedTuple):
    """What is kept of a request's headers: referrer's host, hints and user agent, as the end of a record."""

    tail: bytes
    #: The reader asked not to be told apart from others (DNT, Sec-GPC).
    is_private: bool = False
    #: The end of X-Forwarded-For; believed only from a proxy of ours.
    forwarded: str = ""


def read_traits(headers: Mapping[bytes, bytes]) -> Traits:
    """From headers with lower-case names. Hints are what is not as when a person opens a page in a browser."""
    get = headers.get
    host = find_host(get(b"referer", b""))
    agent = get(b"user-agent", b"")
    if len(agent) > LONGEST_AGENT or b"\n" in agent:
        agent = agent[:LONGEST_AGENT].replace(b"\n", b" ")
    is_page = b"text/html" in get(b"accept", b"") and get(b"sec-fetch-dest", b"document") == b"document"
    if is_page and _RARE.isdisjoint(headers):
        return Traits(b"\t%s\t\t%s\n" % (host, agent))
    hints = [
        b"%s=%s" % (name, headers[name][:LONGEST_HINT].translate(_UNSAFE_IN_FIELD))
        for name in (_PURPOSES if is_page else _HINTS)
        if name in headers
    ]
    is_private = get(b"dnt") == b"1" or get(b"sec-gpc") == b"1"
    forwarded = get(b"x-forwarded-for", b"")[-LONGEST_FORWARDED:].decode("ascii", "replace")
    return Traits(b"\t%s\t%s\t%s\n" % (host, b"|".join(hints), agent), is_private, forwarded)


@lru_cache(maxsize=1024)
def find_host(referrer: bytes) -> bytes:
    """The host of a Referer header, b"" for none; nothing else of it is kept."""
    found = _HOST.match(referrer)
    return found[1].lower().translate(_UNSAFE_IN_FIELD) if found else b""


def format_record(at_ms: int, slug: bytes, method: bytes, network: bytes, traits: Traits) -> bytes:
    """One click as a line: time, slug, method, network, referrer's host, hints, user agent.

    No whole address of a visitor gets in, and of one who asked for privacy not even the network.
    """
    return b"%d\t%s\t%s\t%s%s" % (at_ms, slug, method, b"" if traits.is_private else network, traits.tail)


def cut_address(address: str) -> bytes:
    """The network of an address: /24 of IPv4, /48 of IPv6; b"" for what is no address."""
    found = _IPV4.fullmatch(address)
    if found is None or int(address[found.end(1) :]) > 255:
        return _cut_any(address)
    return _cut_any(f"{found[1]}0")


@lru_cache(maxsize=4096)
def _cut_any(address: str) -> bytes:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return b""
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    whole = mapped or parsed
    network = ipaddress.ip_network((whole, 24 if whole.version == 4 else 48), strict=False)
    return str(network).encode()


class Proxies:
    """The web servers and proxies before us, whose X-Forwarded-For is believed: this machine, and who is named."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """ValueError names an entry that is no network."""
        self._networks = [ipaddress.ip_network(one) for one in ("127.0.0.0/8", "::1/128", *networks)]
        self.is_ours = lru_cache(maxsize=4096)(self._is_ours)

    def _is_ours(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in self._networks)

    def find_reader(self, peer: str, forwarded: str) -> str:
        """Who is before the outermost of our proxies. Each proxy adds whom it heard at the end, so it is read from
        there: whatever stands left of the first stranger, the stranger may have made up."""
        reader = peer
        for entry in reversed(forwarded.split(",")) if forwarded else ():
            if not self.is_ours(reader):
                break
            reader = _strip_port(entry.strip())
        return reader


def _strip_port(entry: str) -> str:
    found = _WITH_PORT.fullmatch(entry)
    return (found[1] or found[2] or "") if found else entry


def find_network(peer: str, proxies: Proxies, traits: Traits) -> bytes:
    """The reader's network: the peer's own, or the one that our proxies name."""
    return cut_address(proxies.find_reader(peer, traits.forwarded) if traits.forwarded else peer)
