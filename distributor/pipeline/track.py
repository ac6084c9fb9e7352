"""Clicks: from the journal that the redirects leave, judged, into the database. Each is counted exactly once.

The rows and the place in the journal that was read up to are stored in one transaction. A kill before it leaves
the place where it was; a kill after it finds the place moved. Nothing is counted in between.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Protocol

from distributor.core.clicks import ClickRow, Hit, Verdict, reclassify_bursts

CHUNK_BYTES = 1024 * 1024

_RECORD = re.compile(
    rb"([0-9]{1,15})\t([0-9A-Za-z]{1,64})\t([A-Z]{1,16})\t([0-9a-f.:/]*)\t([^\t]*)\t([^\t]*)\t(.*)", re.DOTALL
)
_FAMILIES = (
    ("Facebook", re.compile(r"\bFB(?:AN|AV|_IAB)/|MetaIAB")),
    ("Instagram", re.compile(r"\bInstagram ")),
    ("LinkedIn", re.compile(r"\bLinkedInApp\b")),
    ("X", re.compile(r"\bTwitter(?: for |Android)")),
    ("Telegram", re.compile(r"\bTelegram-?(?:Android|iOS|/)")),
    ("Edge", re.compile(r"\bEdgA?(?:iOS)?/")),
    ("Opera", re.compile(r"\bOPR/|\bOpera\b|\bOPT/")),
    ("Samsung Internet", re.compile(r"\bSamsungBrowser/")),
    ("Firefox", re.compile(r"\bFirefox/|\bFxiOS/")),
    ("Chrome", re.compile(r"\bChrome/|\bCriOS/")),
    ("Safari", re.compile(r"\bSafari/|\bMobile/\w+$")),
)
_PRODUCT = re.compile(r"[A-Za-z][\w.-]{0,39}")


class Chunk(Protocol):
    """Complete records of one file, and where the next one begins."""

    @property
    def lines(self) -> Sequence[bytes]: ...
    @property
    def position(self) -> int: ...


class Journal(Protocol):
    """What counting asks of the click journal."""

    def hold(self) -> AbstractContextManager[bool]: ...
    def names(self) -> Sequence[str]: ...
    def read(self, name: str, position: int, limit: int) -> Chunk: ...
    def remove(self, name: str, position: int) -> bool: ...


class Store(Protocol):
    """What counting asks of the database."""

    def position(self, journal_name: str) -> int: ...

    def add_clicks(self, journal_name: str, new_position: int, clicks: Sequence[ClickRow]) -> int:
        """Store clicks and position in one transaction; how many of the clicks were on known links."""
        ...

    def forget_journal(self, journal_name: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Rules:
    """How clicks are judged. `salt` gives the secret of a day; `edition_of` a link's edition, for bursts."""

    classify: Callable[[Hit], Verdict]
    salt: Callable[[date], bytes]
    edition_of: Callable[[str], Hashable | None] = lambda slug: None


@dataclass(slots=True)
class Drained:
    """What one round did: clicks counted, clicks on links that are not known, lines that are no record."""

    counted: int = 0
    unknown: int = 0
    broken: int = 0


def drain(journal: Journal, store: Store, rules: Rules, *, chunk_bytes: int = CHUNK_BYTES) -> Drained:
    """Count everything the journal holds and delete the files that are done.

    Does nothing while another process counts the same journal. Raises StorageError when the database cannot
    take it; the rest stays in the journal for the next round.
    """
    drained = Drained()
    with journal.hold() as is_ours:
        for name in journal.names() if is_ours else ():
            position = store.position(name)
            while (chunk := journal.read(name, position, chunk_bytes)).position != position:
                _count_chunk(store, rules, name, chunk, drained)
                position = chunk.position
            # The file goes first: a place without a file is harmless, a file without its place counts again.
            if journal.remove(name, position):
                store.forget_journal(name)
    return drained


def _count_chunk(store: Store, rules: Rules, name: str, chunk: Chunk, drained: Drained) -> None:
    read = [read_record(line, rules) for line in chunk.lines if line]
    rows = [row for row in read if row is not None]
    counted = store.add_clicks(name, chunk.position, reclassify_bursts(rows, rules.edition_of))
    drained.counted += counted
    drained.unknown += len(rows) - counted
    drained.broken += len(read) - len(rows)


def read_record(line: bytes, rules: Rules) -> ClickRow | None:
    """One judged click; None for a line that is no record (cut off by a full disk)."""
    found = _RECORD.fullmatch(line)
    if found is None:
        return None
    at_ms, slug, method, network, referrer, hints, agent = (part.decode("latin-1") for part in found.groups())
    try:
        at = datetime.fromtimestamp(int(at_ms) / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None
    headers = dict(hint.partition("=")[::2] for hint in hints.split("|") if hint)
    verdict = rules.classify(Hit(method, agent, headers, network, at, slug))
    return ClickRow(
        slug,
        at,
        verdict.klass,
        verdict.reason,
        verdict.ruleset,
        visitor=mark_visitor(network, agent, rules.salt(at.date())) if network else "",
        agent=name_agent(agent),
        referrer=referrer,
    )


def mark_visitor(network: str, agent: str, salt: bytes) -> str:
    """16 hex characters, the same for one network and browser on one day; no way back without the salt."""
    return hashlib.blake2b(f"{network}\n{agent}".encode(), key=salt[:64], digest_size=8).hexdigest()


@lru_cache(maxsize=4096)
def name_agent(agent: str) -> str:
    """The family of a browser or program, "" for an empty header. The header itself is not kept."""
    for family, pattern in _FAMILIES:
        if agent.startswith("Mozilla/") and pattern.search(agent):
            return family
    product = _PRODUCT.match(agent)
    return product.group() if product else ""
