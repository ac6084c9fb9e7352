"""Mail headers as bytes: names, subjects and addresses that nobody can break out of."""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache

from distributor.core.text_clean import clean_text, strip_controls

CRLF = b"\r\n"

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]++"
_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}+(?<!-)"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*+", re.ASCII)
#: One addr-spec of RFC 5321 without the forms that only attackers use (quoted, literal, with comments).
_ADDR_SPEC = rf"(?=[^@]{{1,64}}+@){_ATEXT}(?:\.{_ATEXT})*+@{_LABEL}(?:\.{_LABEL})*+"
_ADDRESS = re.compile(_ADDR_SPEC, re.ASCII)
_ADDRESSES = re.compile(rf"(?:{_ADDR_SPEC}\n)*+", re.ASCII)
_MAILBOX = re.compile(r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^<>"]*?))\s*<(?P<address>[^<>\s]+)>\s*')
_URL = re.compile(r"https?://[!#-;=?-\[\]-~]{1,900}+", re.ASCII)
#: What may stand in a web address, and the shape of many of nothing else: told apart that is read twice as fast.
_URL_OCTETS = bytes(octet for octet in range(33, 127) if octet not in b'"<>\\')
_URLS = re.compile(r"(?:(?:https?://.{1,900}+)?+\n)*+")
_ODD_SPACES = ("  ", " |", "| ")
_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+", re.ASCII)
_PHRASES = re.compile(rf"(?:{_PHRASE.pattern}\n)*+", re.ASCII)
#: Longest display name that is sent; a longer one is a mistake or an attack, and a header line ends at 998.
_NAME_LIMIT = 200
_ADDRESS_LIMIT = 254
#: UTF-8 octets in one encoded word: 4/3 of it plus the marks stays within the 75 characters of RFC 2047.
_WORD_OCTETS = 45
_LINE = 76


class AddressError(ValueError):
    """The address cannot be written to; the text says why, without repeating it."""


def clean_names(names: Sequence[str]) -> list[str]:
    """Display names on one line each: no control characters, single spaces, at most 200 characters."""
    together = "|".join(names)
    is_clean = together.isprintable() and together == together.strip()
    is_clean = is_clean and not any(odd in together for odd in _ODD_SPACES)
    if is_clean and max(map(len, names), default=0) <= _NAME_LIMIT:
        return list(names)
    return [clean_name(name) for name in names]


def clean_name(name: str) -> str:
    """One display name, as `clean_names` gives it: a retry in other company must come out the same."""
    return " ".join(strip_controls(name).split())[:_NAME_LIMIT].strip()


def are_addresses(addresses: Sequence[str]) -> bool:
    """Whether `check_address` would give back every one of them as it is."""
    together = "\n".join([*addresses, ""])
    if max(map(len, addresses), default=0) > _ADDRESS_LIMIT or together.count("\n") != len(addresses):
        return False
    return _ADDRESSES.fullmatch(together) is not None


def check_address(address: str) -> str:
    """The address as it goes into an envelope: exactly one ASCII mailbox, its domain in punycode.

    Raises AddressError for everything else: control characters, a second address, quoting, a local part
    outside ASCII (it needs SMTPUTF8 all the way, which few relays offer).
    """
    if _ADDRESS.fullmatch(address) and len(address) <= _ADDRESS_LIMIT:
        return address
    local, at, domain = address.rpartition("@")
    if not at or not local.isascii():
        raise AddressError("the part before @ has letters outside ASCII" if at else "there is no @ in it")
    if not domain.isascii():
        plain = f"{local}@{to_ascii_domain(domain)}"
        if _ADDRESS.fullmatch(plain) and len(plain) <= _ADDRESS_LIMIT:
            return plain
    raise AddressError("it is not one plain mail address")


@lru_cache(maxsize=4096)
def to_ascii_domain(domain: str) -> str:
    """A domain in punycode (IDNA 2008); raises AddressError when there is no such name."""
    if domain.isascii():
        if not _DOMAIN.fullmatch(domain):
            raise AddressError("the part after @ is not a domain name")
        return domain.lower()
    from email_validator import EmailNotValidError, validate_email

    try:
        found = validate_email(f"x@{domain}", check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise AddressError("the part after @ is not a domain name") from None
    return str(found.ascii_domain)


def split_mailbox(text: str) -> tuple[str, str]:
    """`Daily <news@example.org>` or a bare address -> (name, address in ASCII). Raises AddressError."""
    match = _MAILBOX.fullmatch(text)
    if match is None:
        return "", check_address(text.strip())
    quoted = match["quoted"]
    name = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else match["plain"] or ""
    return clean_name(name), check_address(match["address"])


def are_urls(urls: Sequence[str]) -> bool:
    """Whether `check_url` would take every one of them."""
    together = "\n".join([*urls, ""])
    if not together.isascii() or together.count("\n") != len(urls):
        return False
    return together.encode("ascii").translate(None, _URL_OCTETS + b"\n") == b"" and bool(_URLS.fullmatch(together))


def check_url(url: str) -> str:
    """A web address that fits unfolded between < and > on one header line; "" stays "". Raises ValueError."""
    if url and not _URL.fullmatch(url):
        raise ValueError("the unsubscribe address is not one plain web address of at most 900 characters")
    return url


def encode_mailboxes(names: Sequence[str], addresses: Sequence[str]) -> list[bytes]:
    """As `encode_mailbox` of each, but looked at together where all are plain and short."""
    together = "\n".join([*names, ""])
    longest = max(map(len, names), default=0) + max(map(len, addresses), default=0)
    if longest >= _LINE - 11 or "=?" in together or not _PHRASES.fullmatch(together):
        return list(map(encode_mailbox, names, addresses))
    pairs = zip(names, addresses, strict=True)
    return [f"{name} <{address}>".encode("ascii") for name, address in pairs]


def encode_mailbox(name: str, address: str) -> bytes:
    """A To, From or Reply-To value from a clean name and a checked address."""
    bare = address.encode("ascii")
    if not name:
        return bare
    phrase = encode_phrase(name)
    gap = b" " if len(phrase) - phrase.rfind(b"\n") + len(bare) < _LINE - 10 else b"\r\n "
    return phrase + gap + b"<" + bare + b">"


def encode_phrase(name: str) -> bytes:
    """A clean display name as RFC 5322 takes it: plain, quoted or as encoded words."""
    if not name.isascii() or "=?" in name:
        return encode_words(name)
    if _PHRASE.fullmatch(name):
        return name.encode("ascii")
    return b'"' + name.replace("\\", "\\\\").replace('"', '\\"').encode("ascii") + b'"'


def encode_words(text: str, octets_a_word: int = _WORD_OCTETS) -> bytes:
    """RFC 2047 encoded words (UTF-8, base64), one a line, never splitting a character."""
    whole = text.encode("utf-8", "replace")
    if len(whole) <= octets_a_word:
        return b"=?utf-8?b?" + binascii.b2a_base64(whole, newline=False) + b"?="
    words: list[bytes] = []
    chunk = b""
    for char in text:
        octets = char.encode("utf-8", "replace")
        if len(chunk) + len(octets) > octets_a_word:
            words.append(chunk)
            chunk = b""
        chunk += octets
    words.append(chunk)
    return b"\r\n ".join(b"=?utf-8?b?" + binascii.b2a_base64(word, newline=False) + b"?=" for word in words)


def encode_subject(text: str) -> bytes:
    """A Subject value from text of any origin: one line, folded at spaces or as encoded words."""
    clean = clean_text(text)
    words = clean.split(" ")
    if not clean.isascii() or "=?" in clean or max(map(len, words)) >= _LINE - len("Subject: "):
        # The first one shares its line with "Subject: ", and lines with encoded words end at 76.
        return encode_words(clean, _WORD_OCTETS - 6)
    lines, line = [], "Subject:"
    for word in words:
        if len(line) + 1 + len(word) > _LINE:
            lines.append(line)
            line = ""
        line += " " + word
    lines.append(line)
    return "\r\n".join(lines).removeprefix("Subject: ").encode("ascii")


def encode_list_id(title: str, list_name: str, domain: str) -> bytes:
    """A List-Id value (RFC 2919) that depends on the list's name and the From domain only."""
    label = re.sub(r"[^a-z0-9]+", "-", list_name.lower()).strip("-")[:40]
    if not list_name.isascii() or not label:
        label = "list-" + hashlib.blake2b(list_name.encode("utf-8", "replace"), digest_size=8).hexdigest()
    ident = f"<{label}.{domain}>".encode("ascii")
    name = clean_name(title)
    if not name:
        return ident
    return encode_phrase(name) + b" " + ident
