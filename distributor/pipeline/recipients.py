"""Readers from and to CSV files: streamed, so that a million lines cost no more memory than a thousand.

An import is not consent and never an order to write to somebody: lines that say themselves that a person has left,
bounced or complained are left out, and the store leaves out whom it knows to have left.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol, TextIO

from distributor.core.subscriber import ImportCount, NewSubscriber, read_address
from distributor.core.text_clean import clean_text
from distributor.pipeline.recipients_csv import Lines, NotText, Record, find_delimiter, read_singly
from distributor.pipeline.recipients_plain import FORMULA, PlainLines, clean_consent, clean_name

#: Heading -> what it is to us, written without spaces, dashes and capitals.
_HEADINGS = {
    **dict.fromkeys(("email", "emailaddress", "mail", "mailaddress"), "email"),
    **dict.fromkeys(("name", "fullname"), "name"),
    **dict.fromkeys(("firstname", "givenname"), "first"),
    **dict.fromkeys(("lastname", "surname", "familyname"), "last"),
    **dict.fromkeys(("consent", "consentrecord"), "consent"),
    **dict.fromkeys(("state", "status", "subscriptionstatus"), "state"),
    **dict.fromkeys(("suppression", "suppressed"), "suppression"),
}
#: What stands in a state column when a person must not be written to. Others (a US state, "member") do no harm.
_GONE = re.compile(
    r"left|unsub\w*|unreachable|suppress\w*|complain\w*|bounce\w*|hard.?bounce\w*|cleaned|removed|deleted|blocked"
    r"|blacklist\w*|blocklist\w*|banned|inactive|disabled|unconfirmed|pending|opt(?:ed)?.?out|spam\w*|invalid|gone",
    re.IGNORECASE,
)
_NO = ("", "0", "no", "none", "false", "-")
_GUARDED = re.compile(r"'(?=[=+\-@])")
_EXPORTED = ("email", "name", "state", "since", "suppression", "status", "consent")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to tell about a file. `line` counts from 1, 0 for the file; `field` is a heading or "".

    `loss` says what it costs: "nothing", the "line", or the "file" (reading has stopped).
    """

    line: int
    field: str
    what: str
    fix: str
    loss: Literal["nothing", "line", "file"] = "line"

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else "the file"
        return f"{where}{', ' + self.field if self.field else ''}: {self.what}; {self.fix}"


class Store(Protocol):
    """What an import asks of the recipients."""

    def add_subscribers(
        self, people: Iterable[NewSubscriber], list_name: str, now: datetime
    ) -> Iterator[ImportCount]: ...


class Person(Protocol):
    """One exported reader."""

    @property
    def address(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def since(self) -> datetime: ...
    @property
    def suppression(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def consent(self) -> str: ...


def import_people(
    file: Path | BinaryIO, store: Store, list_name: str, now: datetime, tell: Callable[[Problem], None]
) -> Iterator[ImportCount]:
    """Add the readers of a CSV file to a list; yields the running count after each chunk, `tell` gets the rest."""
    people = chain.from_iterable(_pass_people(part, tell) for part in _read_parts(file))
    return store.add_subscribers(people, list_name, now)


def read_people(file: Path | BinaryIO) -> Iterator[NewSubscriber | Problem]:
    """The readers in a CSV file, and what is wrong with it, in the order of its lines.

    The first line names the columns: `email` is enough; `name` (or first and last name) and `consent` are read, the
    others ignored. UTF-8, UTF-16 with its mark and Windows-1252; commas, semicolons or tabs.
    """
    return chain.from_iterable(_read_parts(file))


def write_people(people: Iterable[Person], out: TextIO) -> int:
    """Readers as CSV (open `out` with newline=""); returns how many. No cell is a formula to a spreadsheet."""
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_EXPORTED)
    count = 0
    for one in people:
        texts = (one.address, one.name, one.state, f"{one.since:%Y-%m-%dT%H:%M:%SZ}", one.suppression)
        writer.writerow([_guard(text) for text in (*texts, one.status, one.consent)])
        count += 1
    return count


def _pass_people(part: list[NewSubscriber | Problem], tell: Callable[[Problem], None]) -> list[NewSubscriber]:
    for item in part:
        if isinstance(item, Problem):
            tell(item)
    return [item for item in part if isinstance(item, NewSubscriber)]


def _read_parts(file: Path | BinaryIO) -> Iterator[list[NewSubscriber | Problem]]:
    """What `read_people` says, as it is found: many lines at once where that is possible."""
    if isinstance(file, Path):
        try:
            with file.open("rb") as stream:
                yield from _read_stream(stream)
        except OSError as error:
            what = f"{file} cannot be read: {error.strerror}"
            yield [Problem(0, "", what, "check its name and permissions", "file")]
    else:
        yield from _read_stream(file)


def _read_stream(stream: BinaryIO) -> Iterator[list[NewSubscriber | Problem]]:
    try:
        lines = Lines(stream)
    except NotText as error:
        fix = "open it in a spreadsheet and save it as CSV UTF-8"
        yield [Problem(0, "", f"this is {error}, not a CSV file", fix, "file")]
        return
    try:
        yield from _read_lines(lines)
    finally:
        lines.detach()


def _read_lines(lines: Lines) -> Iterator[list[NewSubscriber | Problem]]:
    delimiter = _skip_to_headings(lines)
    headings = next(read_singly(lines, delimiter), None)
    columns = _Columns.find(headings.cells or [] if headings else [])
    if isinstance(columns, Problem):
        yield [columns]
        return
    if columns.ignored:
        what = f"these columns are not used: {', '.join(columns.ignored)}"
        yield [Problem(headings.line if headings else 0, "", what, "nothing needs to be done", "nothing")]
    yield from _read_rows(lines, delimiter, columns)


def _skip_to_headings(lines: Lines) -> str:
    """Hand out blank lines and Excel's "sep=;" ; the delimiter of the line after them, which is given back."""
    delimiter = ""
    for line in lines:
        if line.startswith("sep=") and len(line.strip()) == 5:
            delimiter = line[4]
        elif line.strip():
            lines.give_back(after=0)
            return delimiter or find_delimiter(line)
        lines.end_record()
    return ","


def _read_rows(lines: Lines, delimiter: str, columns: _Columns) -> Iterator[list[NewSubscriber | Problem]]:
    def read_line(number: int, line: str) -> list[NewSubscriber | Problem]:
        cells = next(csv.reader([line], delimiter=delimiter), [])
        return [_read_person(number, cells, columns)] if any(cells) else []

    plain = columns.find_plain(delimiter)
    lines.end_record()
    has_told_guess = False
    while (block := lines.take_plain()) is not None:
        if block:
            yield plain.read(block, lines.number - block.count("\n") + 1, read_line)
            continue
        for record in read_singly(lines, delimiter):
            if lines.guessed and not has_told_guess:
                has_told_guess = True
                yield [_tell_guess(record.line)]
            yield _read_record(record, lines, columns)


def _tell_guess(line: int) -> Problem:
    fix = "look at a few names; if they are wrong, save the file as CSV UTF-8"
    return Problem(line, "", "is not UTF-8 and was read as Windows-1252", fix, "nothing")


def _read_record(record: Record, lines: Lines, columns: _Columns) -> list[NewSubscriber | Problem]:
    line, cells, count = record
    if cells is None or (count > 1 and columns.is_broken(cells)):
        lines.give_back(after=1)
        return [Problem(line, "", "a quotation mark opens a field that never ends", "close or remove it")]
    return [_read_person(line, cells, columns)] if any(cells) else []


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where things stand in a row; -1 for what the file does not have."""

    email: int
    name: tuple[int, ...]
    consent: int
    states: tuple[int, ...]
    suppression: int
    ignored: tuple[str, ...]
    has_leavers: bool
    width: int
    #: Email, consent and names of a row with "" at its end.
    pick: itemgetter[Any]

    @classmethod
    def find(cls, headings: list[str]) -> _Columns | Problem:
        kinds = [_HEADINGS.get(re.sub(r"[\W_]", "", heading.casefold()), "") for heading in headings]
        if "email" not in kinds:
            return _refuse_headings(headings)
        whole = [kinds.index(kind) for kind in ("name",) if kind in kinds]
        parts = [kinds.index(kind) for kind in ("first", "last") if kind in kinds]
        states = [index for index, kind in enumerate(kinds) if kind == "state"]
        email, consent, suppression = (_find(kinds, kind) for kind in ("email", "consent", "suppression"))
        used = {email, consent, suppression, *(whole or parts), *states}
        ignored = tuple(clean_text(h)[:40] for i, h in enumerate(headings) if i not in used and h.strip())
        name = tuple(whole or parts)
        has_leavers = bool(states) or suppression >= 0
        pick = itemgetter(email, consent, *(name or (-1,)))
        return cls(email, name, consent, tuple(states), suppression, ignored, has_leavers, len(headings), pick)

    def find_plain(self, delimiter: str) -> PlainLines:
        """What reads plain blocks at once; a line that may say that somebody has left is not plain."""
        end = rf"[{re.escape(delimiter)}\r\n]"
        checked = dict.fromkeys(self.states, rf"(?!\s*(?i:{_GONE.pattern})\s*{end})")
        if self.suppression >= 0:
            checked[self.suppression] = f"(?={end})"
        return PlainLines(self.width, delimiter, self.email, self.name, self.consent, checked)

    def is_broken(self, cells: list[str]) -> bool:
        """Whether a row of several lines looks like rows that a stray quotation mark glued together."""
        own = {self.email, *self.name}
        return any(("\n" in cell or "\r" in cell) and (i in own or "@" in cell) for i, cell in enumerate(cells))


def _find(kinds: list[str], kind: str) -> int:
    return kinds.index(kind) if kind in kinds else -1


def _refuse_headings(headings: list[str]) -> Problem:
    fix = "write a first line that names the columns, for example: email,name"
    if not any(cell.strip() for cell in headings):
        return Problem(0, "", "the file is empty", fix, "file")
    if any("@" in cell for cell in headings):
        return Problem(1, "", "the first line is a reader already", fix, "file")
    names = ", ".join(clean_text(cell)[:40] for cell in headings[:10])
    return Problem(1, "", f"no column is called email; the columns are {names}", fix, "file")


def _read_person(line: int, cells: list[str], columns: _Columns) -> NewSubscriber | Problem:
    cells.append("")
    if len(cells) <= columns.width:
        cells += [""] * columns.width
    cell, consent, *names = columns.pick(cells)
    cell = cell.strip()
    if not cell:
        return Problem(line, "email", "is empty", "fill it in or delete the line")
    if columns.has_leavers and (gone := _find_leaving(cells, columns)):
        return Problem(line, "state", f"says {_quote(gone)}", "who left or cannot be reached is not added again")
    try:
        address, key = read_address(cell[1:] if cell[0] == "'" and _GUARDED.match(cell) else cell)
    except ValueError as error:
        return Problem(line, "email", f"{_quote(cell)} {error}", "correct the address or delete the line")
    return NewSubscriber(address, key, clean_name(" ".join(names).strip()), clean_consent(consent))


def _find_leaving(cells: list[str], columns: _Columns) -> str:
    """What the row says when this person must not be written to, else ""."""
    for index in columns.states:
        if _GONE.fullmatch(state := cells[index].strip()):
            return state
    suppression = cells[columns.suppression].strip()
    return "" if suppression.casefold() in _NO else suppression


def _quote(cell: str) -> str:
    return repr(cell if len(cell) <= 80 else f"{cell[:79]}…")


def _guard(text: str) -> str:
    return f"'{text}" if FORMULA.match(text) else text
