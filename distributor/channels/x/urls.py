"""The links X would make of a text, with and without "https://", found as twitter-text 3 finds them.

Written anew as one pass over the text, so that no input makes it slow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

MAX_URL_LENGTH = 4096
MAX_TCO_SLUG = 40
FORBIDDEN = "\ufffe\ufeff\uffff"
"""Characters X refuses in a post."""

_SPACES = r"\t-\r \x85\xa0\u1680\u180e\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_DIRECTION = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_PUNCTUATION = r"!-,/:-@\[\]^`{-~"
_ACCENTS = (
    r"\xc0-\xd6\xd8-\xf6\xf8-\u024f\u0253\u0254\u0256\u0257\u0259\u025b\u0263\u0268\u026f\u0272\u0289\u028b\u02bb"
    r"\u0300-\u036f\u1e00-\u1eff"
)
_PATH = rf"[A-Za-z\p{{Cyrillic}}0-9!*';:=+,.$/%#\[\]\p{{Pd}}_~&|@{_ACCENTS}]"
_PATH_END = rf"[A-Za-z\p{{Cyrillic}}0-9=_#/+\-{_ACCENTS}]"
_PARENTHESES = rf"\((?:{_PATH}+|{_PATH}*\({_PATH}+\){_PATH}*)\)"
_QUERY = r"\?[A-Za-z0-9!?*'();:&=+$/%#\[\]\-_.,~|@]*[A-Za-z0-9_&=#/\-]"


@dataclass(frozen=True, slots=True)
class Span:
    """A link X would make: code points `start` to `end` of the text."""

    start: int
    end: int
    url: str

    @property
    def has_protocol(self) -> bool:
        return self.url[:7].lower() == "http://" or self.url[:8].lower() == "https://"


@dataclass(frozen=True, slots=True)
class _Grammar:
    run: Any
    tail: Any
    ascii_chain: Any
    ascii_label: Any
    tco: Any
    tlds: frozenset[str]
    wide_sizes: tuple[int, ...]


@cache
def _grammar() -> _Grammar:
    import regex

    lines = Path(__file__).with_name("tlds.txt").read_text(encoding="utf-8").splitlines()
    tlds = frozenset(name for line in lines if not line.startswith("#") for name in line.split())
    sizes = {len(name) for name in tlds if not name.isascii()}
    ascii_char = rf"[A-Za-z0-9_\-{_ACCENTS}]"
    return _Grammar(
        run=regex.compile(rf"[^{_SPACES}{_DIRECTION}{FORBIDDEN}{_PUNCTUATION}\x00-\x1f\x7f]+"),
        tail=regex.compile(
            rf"(?::[0-9]+)?(?P<path>/(?:(?:{_PATH}|{_PARENTHESES})*(?:{_PATH_END}|{_PARENTHESES}))?)?(?:{_QUERY})?"
        ),
        ascii_chain=regex.compile(rf"(?:(?<!{ascii_char})|\G)(?:{ascii_char}++\.)+"),
        ascii_label=regex.compile(r"[A-Za-z0-9]+"),
        tco=regex.compile(rf"(?i:https?://t\.co/)(?P<slug>[A-Za-z0-9]+)(?:{_QUERY})?"),
        tlds=tlds,
        wide_sizes=tuple(sorted(sizes, reverse=True)),
    )


def find_urls(text: str) -> list[Span]:
    """Every link X would make of this text, with and without "https://", in order."""
    return list(_scan(text)) if "." in text else []


def _scan(text: str) -> Iterator[Span]:
    """Host names are looked for in runs of characters that hosts may have; what was matched is not read again."""
    spent = 0
    at = 0
    while run := _grammar().run.search(text, at):
        at = run.end()
        host = _find_host(text, run.start(), run.end(), spent) if "." in run.group() else None
        if host is None:
            continue
        start, host_end = host
        tail = _grammar().tail.match(text, host_end)
        protocol = _protocol_start(text, start, spent)
        if protocol is not None:
            yield from _with_protocol(text, protocol, start, host_end, tail.end())
        elif start == 0 or text[start - 1] not in "-_./":
            yield from _without_protocol(text, start, host_end, tail)
        spent = at = tail.end()


def _protocol_start(text: str, host: int, spent: int) -> int | None:
    for protocol in ("https://", "http://"):
        start = host - len(protocol)
        if start >= 0 and text[start:host].lower() == protocol and _may_start(text, start, spent):
            return start
    return None


def _may_start(text: str, at: int, spent: int) -> bool:
    """A link begins the text or follows a character that is not part of a word, name, tag or sum."""
    if at == 0:
        return True
    before = text[at - 1]
    is_word = before.isascii() and before.isalnum()
    return at > spent and not is_word and before not in "@＠$#＃" + FORBIDDEN


def _with_protocol(text: str, start: int, host: int, host_end: int, end: int) -> Iterator[Span]:
    url = text[start:end]
    if short := _grammar().tco.match(url):
        if len(short["slug"]) > MAX_TCO_SLUG:
            return
        url = short.group()
    if _is_encodable(text[host:host_end], len(url)):
        yield Span(start, start + len(url), url)


def _without_protocol(text: str, start: int, host_end: int, tail: Any) -> Iterator[Span]:
    """Without "https://" only the ASCII (and accented Latin) parts of a host become links."""
    host = text[start:host_end]
    whole = tail.end() - start + len("https://")
    ends = [found for found in _ascii_hosts(host) if _is_encodable(host[slice(*found)], whole)]
    for index, (first, last) in enumerate(ends):
        is_last = index == len(ends) - 1
        end = tail.end() if is_last and tail["path"] else start + last
        yield Span(start + first, end, text[start + first : end])


def _ascii_hosts(host: str) -> Iterator[tuple[int, int]]:
    at = 0
    while chain := _grammar().ascii_chain.search(host, at):
        at = chain.end()
        for dot in reversed(range(chain.start(), chain.end())):
            end = _match_tld(host, dot + 1) if host[dot] == "." else 0
            if end:
                yield chain.start(), end
                at = end
                break


def _find_host(text: str, start: int, end: int, spent: int) -> tuple[int, int] | None:
    """The leftmost, then longest host name within one run: labels, a dot, a known ending."""
    labels = text[start:end].split(".")
    starts = [start]
    for label in labels:
        starts.append(starts[-1] + len(label) + 1)
    endings = [0, *(_match_tld(text, at) for at in starts[1:-1]), 0]
    reach = _reach(labels, endings)
    for index, label in enumerate(labels[:-1]):
        if not label or label[-1] in "_-":
            continue
        # The label before the ending may have no underscore; those further left may.
        skip = 0 if reach[index + 1] else label.rfind("_") + 1
        host_end = reach[index + 1] or endings[index + 1]
        if not host_end:
            continue
        for offset in range(skip, len(label)):
            if label[offset] not in "_-" and _may_start(text, starts[index] + offset, spent):
                return starts[index] + offset, host_end
    return None


def _reach(labels: list[str], endings: list[int]) -> list[int]:
    """For each label, where the longest host that begins with it ends; 0 where none does."""
    reach = [0] * (len(labels) + 1)
    for index in reversed(range(len(labels) - 1)):
        label = labels[index]
        if label and label[0] not in "_-" and label[-1] not in "_-":
            reach[index] = reach[index + 1] or (endings[index + 1] if "_" not in label else 0)
    return reach


def _match_tld(text: str, at: int) -> int:
    """Where a top-level domain that starts here ends; 0 when none does."""
    grammar = _grammar()
    label = grammar.ascii_label.match(text, at)
    end = label.end() if label else at
    if label and label.group().lower() in grammar.tlds and text[end : end + 1] not in _NOT_AFTER_TLD:
        return int(end)
    if end < len(text) and not text[end].isascii():
        for size in grammar.wide_sizes:
            name, after = text[at : at + size], text[at + size : at + size + 1]
            if len(name) == size and name.lower() in grammar.tlds and not _continues(after):
                return at + size
    if label and label.group().lower() == "xn" and text[end : end + 2] == "--":
        encoded = grammar.ascii_label.match(text, end + 2)
        return int(encoded.end()) if encoded else 0
    return 0


_NOT_AFTER_TLD = ("@", "+", "-")


def _continues(after: str) -> bool:
    return after in _NOT_AFTER_TLD or (after.isascii() and after.isalnum())


def _is_encodable(host: str, url_length: int) -> bool:
    """DNS could carry it: labels of at most 63 letters once encoded, the whole at most 4096."""
    labels = [_encoded_length(label) for label in host.split(".")]
    grown = max(0, sum(labels) + len(labels) - 1 - len(host))
    return max(labels) <= 63 and url_length + grown <= MAX_URL_LENGTH


def _encoded_length(label: str) -> int:
    """Letters of a label in DNS; 64, too many, for one that claims to be encoded and is not."""
    if label.isascii():
        return len(label)
    if len(label) > 63 or label[:4].lower() == "xn--":
        return 64
    return len("xn--") + len(label.lower().encode("punycode"))
