"""Readers as imports bring them, and the one form of an address that two spellings share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

#: RFC 5321: longest address and longest part before the @.
LONGEST_ADDRESS = 254
LONGEST_LOCAL_PART = 64

# What email-validator would take as it stands. Everything else (IDN, special names such as .local, quoted forms)
# is judged by email-validator itself: this is its fast lane, never a second opinion.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"(?!..--)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_TOP = r"(?!..--)[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z]"
_PLAIN_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*", re.ASCII)
_PLAIN_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+{_TOP}", re.ASCII)
_SPECIAL = frozenset({"arpa", "invalid", "local", "localhost", "onion", "test"})


class NewSubscriber(NamedTuple):
    """One reader as an import brings them. `key` is the address in the form that two spellings share."""

    address: str
    key: str
    name: str = ""
    consent: str = ""


@dataclass
class ImportCount:
    """What an import did, in people. `repeated` counts further lines with an address that came before.

    `read` is how many came in; in the end it is the sum of the others.
    """

    read: int = 0
    added: int = 0
    known: int = 0
    left_before: int = 0
    suppressed: int = 0
    repeated: int = 0


def read_address(text: str) -> tuple[str, str]:
    """(address, key) of a mail address as typed; no DNS is asked.

    The address has its domain in ASCII and lower case and its local part as typed; the key has that folded too.
    Raises ValueError with a sentence.
    """
    local, _, typed = text.rpartition("@")
    domain = read_plain_domain(typed)
    if not domain or len(text) > LONGEST_ADDRESS or not _PLAIN_LOCAL.fullmatch(local):
        local, domain = _ask_validator(text)
    if len(local) > LONGEST_LOCAL_PART:
        raise ValueError(f"has more than {LONGEST_LOCAL_PART} characters before the @")
    return f"{local}@{domain}", f"{local.lower()}@{domain}"


@lru_cache(maxsize=8192)  # most readers have their mail at the same few
def read_plain_domain(text: str) -> str:
    """The domain in lower case, "" for what is for the validator to judge."""
    domain = text.lower() if len(text) <= LONGEST_ADDRESS and _PLAIN_DOMAIN.fullmatch(text) else ""
    return "" if domain.rpartition(".")[2] in _SPECIAL else domain


def address_key(text: str) -> str:
    """The key of an address, "" for what is no address."""
    try:
        return read_address(text.strip())[1]
    except ValueError:
        return ""


def _ask_validator(text: str) -> tuple[str, str]:
    from email_validator import EmailNotValidError, validate_email

    if len(text) > LONGEST_ADDRESS * 2:
        raise ValueError(f"is {len(text)} characters long; an address has at most {LONGEST_ADDRESS}")
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise ValueError("has a control character such as a line break in it")
    local = text.rpartition("@")[0]
    if local and not local.isascii():
        raise ValueError("has letters before the @ that only few mail servers accept; ask for another address")
    try:
        found = validate_email(text, allow_smtputf8=False, check_deliverability=False)
    except EmailNotValidError as error:
        raise ValueError(f"is not a mail address: {str(error)[:1].lower()}{str(error)[1:]}") from None
    return found.ascii_local_part or found.local_part, found.ascii_domain
