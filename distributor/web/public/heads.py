"""Reading the head of a request for a redirect without a parser.

No two readers send the same head, but most heads differ only in who sends them and whom a proxy speaks for: what
came twice is remembered without these two lines. Of what is left most lines have been sent before: what a line
means is remembered too.
"""

from __future__ import annotations

from distributor.web.public.traits import LONGEST_AGENT, LONGEST_FORWARDED, READ_HEADERS, Traits, read_traits

#: Lines remembered, and the longest of them; together they bound the memory. So do the next two for heads.
KNOWN_LINES = 4096
LONGEST_LINE = 300
KNOWN_HEADS = 1024
LONGEST_KNOWN_HEAD = 2048

_AGENT, _FORWARDED = b"\r\nUser-Agent: ", b"\r\nX-Forwarded-For: "
_IN_NAMES = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
_CONTROLS = bytes((*range(32), 127))
#: A request with one of these may have a body or want more than an answer.
_ODD_NAMES = frozenset((b"content-length", b"transfer-encoding", b"expect", b"upgrade"))
_WANTED = frozenset(READ_HEADERS)
# No header that is kept has these names.
_ODD, _CLOSE = (b"odd", b""), (b"close", b"")
_NOT_SEEN = (b"", b"")

Read = tuple[Traits, bool] | None

_known: dict[bytes, tuple[bytes, bytes] | None] = {}
#: A head without its two lines: the record's fields before the user agent, is_private, wants to close.
_known_rests: dict[bytes, tuple[bytes, bool, bool]] = {}
_PLACES = 4095
_seen = [0] * (_PLACES + 1)


def read_head(head: bytes) -> Read:
    """The header lines of a request, without the empty line: its traits, and whether the client wants to close.

    None when a real parser should look at them.
    """
    start = head.find(_AGENT)
    if start < 0:
        return _read_lines(head)
    value_at = start + len(_AGENT)
    end = head.find(b"\r\n", value_at)
    agent = head[value_at:end] if end > 0 else head[value_at:]
    rest = head[:start] + head[end:] if end > 0 else head[:start]
    known = _known_rests.get(rest)
    if known is None:
        return _read_forwarded(head, rest, agent)
    if len(agent.translate(None, _CONTROLS)) != len(agent):
        return None
    begin, is_private, wants_close = known
    return Traits(b"%s%s\n" % (begin, agent.strip(b" ")[:LONGEST_AGENT]), is_private), wants_close


def _read_forwarded(head: bytes, rest: bytes, agent: bytes) -> Read:
    """The same behind a proxy, and for heads that are seen for the first time."""
    before, line, after = rest.partition(_FORWARDED)
    forwarded, _, _ = after.partition(b"\r\n")
    if line:
        rest = before + after[len(forwarded) :]
    known = _known_rests.get(rest) or _learn_rest(rest)
    varied = agent + forwarded
    if known is None or len(varied.translate(None, _CONTROLS)) != len(varied):
        return _read_lines(head)
    begin, is_private, wants_close = known
    told = forwarded.strip(b" ")[-LONGEST_FORWARDED:].decode("ascii", "replace")
    return Traits(b"%s%s\n" % (begin, agent.strip(b" ")[:LONGEST_AGENT]), is_private, told), wants_close


def _learn_rest(rest: bytes) -> tuple[bytes, bool, bool] | None:
    """None where the rest alone says something about the two lines, or is odd."""
    names = rest.lower()
    read = None if b"user-agent" in names or b"x-forwarded-for" in names else _read_lines(rest)
    if read is None:
        return None
    traits, wants_close = read
    found = traits.tail[:-1], traits.is_private, wants_close
    if is_seen_again(rest) and len(rest) <= LONGEST_KNOWN_HEAD:
        if len(_known_rests) >= KNOWN_HEADS:
            _known_rests.clear()
        _known_rests[rest] = found
    return found


def _read_lines(head: bytes) -> Read:
    headers: dict[bytes, bytes] = {}
    known = _known
    for line in head.split(b"\r\n"):
        pair = known.get(line, _NOT_SEEN)
        if pair is _NOT_SEEN:
            pair = _learn(line)
        if pair is not None:
            headers[pair[0]] = pair[1]
    if b"odd" in headers:
        return None
    return read_traits(headers), b"close" in headers


def _learn(line: bytes) -> tuple[bytes, bytes] | None:
    pair = _read_line(line)
    if is_seen_again(line) and len(line) <= LONGEST_LINE:
        if len(_known) >= KNOWN_LINES:
            _known.clear()
        _known[line] = pair
    return pair


def is_seen_again(data: bytes) -> bool:
    """Whether it came before, lately: only then it is worth its place. Few places, so some are taken for new."""
    mark = hash(data)
    place = mark & _PLACES
    if _seen[place] == mark:
        return True
    _seen[place] = mark
    return False


def _read_line(line: bytes) -> tuple[bytes, bytes] | None:
    """Name and value of a header that matters, None for one that does not."""
    name, colon, value = line.partition(b":")
    name = name.lower()
    if (
        not (name and colon)
        or name.translate(None, _IN_NAMES)
        or len(value.translate(None, _CONTROLS)) != len(value)
    ):
        return _ODD if line else None
    value = value.strip(b" ")
    if name == b"connection":
        return {b"keep-alive": None, b"close": _CLOSE}.get(value.lower(), _ODD)
    if name in _ODD_NAMES:
        return _ODD
    return (name, value) if name in _WANTED else None
