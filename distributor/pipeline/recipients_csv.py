"""Records of a CSV file, whatever program wrote it: encodings, delimiters, line ends, quotes that never close."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, cast

#: Characters of one line that are read; what follows is left out, and its last field can be no address.
LONGEST_LINE = 100_000
#: Lines a quoted field may span before its quote is taken for a mistake.
LONGEST_RECORD = 50
DELIMITERS = ",;\t"

#: Characters that are looked at together to see whether they are plain lines.
_BLOCK = 65_536

_CUT = "\ufffd\n"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_UTF8_MARK = b"\xef\xbb\xbf"
_NOT_TEXT = {b"PK\x03\x04": "an Excel workbook or a zip file", b"\xd0\xcf\x11\xe0": "an old Excel workbook"}


class NotText(ValueError):
    """The file is no text at all."""


class _NeverClosed(Exception):
    """A quote was opened and the end of its field did not come."""


class Record(NamedTuple):
    """One row; `line` is where it begins, from 1. `cells` is None where a quote is never closed."""

    line: int
    cells: list[str] | None
    lines: int = 1


class Lines:
    """The lines of a file as text. Reads on only when asked; holds the lines of one record."""

    def __init__(self, stream: BinaryIO) -> None:
        self._text, self._is_utf8 = _open_text(stream)
        self._pending, self._pending_size = io.StringIO(), 0
        self._again: deque[str] = deque()
        self._record: list[str] = []
        #: The last line handed out.
        self.number = 0
        #: Lines that were not UTF-8 and were read as Windows-1252.
        self.guessed = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self._record) >= LONGEST_RECORD:
            raise _NeverClosed
        line = self._again.popleft() if self._again else self._read()
        if not line:
            if self._record:
                raise _NeverClosed
            raise StopIteration
        self.number += 1
        self._record.append(line)
        return line

    @property
    def first(self) -> int:
        """The line where the record at hand begins."""
        return self.number - max(len(self._record) - 1, 0)

    def end_record(self) -> None:
        self._record.clear()

    def give_back(self, after: int) -> None:
        """Hand out the lines of the record at hand once more, except its first `after`."""
        back = self._record[after:]
        self._again.extendleft(reversed(back))
        self.number -= len(back)
        self._record.clear()

    def detach(self) -> None:
        """Let go of the stream, which stays open; nothing can be read after it."""
        self._text.detach()

    def take_plain(self) -> str | None:
        """Many whole lines at once where each of them is a record: no quotes, no odd line ends, nothing to guess.

        "" where the next lines must be read one by one, until `is_at_block_end`; None at the end of the file.
        """
        if self._again:
            return ""
        text = self._text.read(_BLOCK)
        if text and not text.endswith("\n"):
            text += self._text.readline(LONGEST_LINE)
        plain = _find_plain(text, self._is_utf8)
        if plain:
            self.number += plain.count("\n")
        else:
            self._pending, self._pending_size = io.StringIO(text, newline=""), len(text)
        return plain if text else None

    @property
    def is_at_block_end(self) -> bool:
        """Whether every line that `take_plain` passed on has been read."""
        return not self._again and self._pending.tell() == self._pending_size

    def _read(self) -> str:
        line = self._read_part(LONGEST_LINE)
        if len(line) == LONGEST_LINE and line[-1] not in "\r\n":
            while (rest := self._read_part(LONGEST_LINE)) and rest[-1] not in "\r\n":
                pass
            return self._decode(line[:-1]) + _CUT
        return self._decode(line)

    def _read_part(self, most: int) -> str:
        line = self._pending.readline(most)
        if len(line) == most or line.endswith(("\n", "\r")):
            return line
        return line + self._text.readline(most - len(line))

    def _decode(self, line: str) -> str:
        """Each character of `line` is a byte, so that plain ASCII lines need no further look."""
        if line.isascii() or not self._is_utf8:
            return line
        raw = line.encode("latin-1")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            self.guessed += 1
        try:
            return raw.decode("cp1252")
        except UnicodeDecodeError:
            return line


def find_delimiter(line: str) -> str:
    """The delimiter that stands most often in a line, outside of quotes; a comma when there is none."""
    outside = "".join(line.split('"')[::2])
    return max(DELIMITERS, key=outside.count)


def read_singly(lines: Lines, delimiter: str) -> Iterator[Record]:
    """The rows of a block that is not plain, and of what its last row goes on with.

    Where a quote is never closed its line alone is lost: the lines it swallowed are read again.
    """
    reader = csv.reader(lines, delimiter=delimiter)
    while not lines.is_at_block_end:
        lines.end_record()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (_NeverClosed, csv.Error):
            first = lines.first
            lines.give_back(after=1)
            yield Record(first, None)
            reader = csv.reader(lines, delimiter=delimiter)
            continue
        yield Record(lines.first, cells, lines.number - lines.first + 1)
    lines.end_record()


def _find_plain(text: str, is_utf8: bool) -> str:
    """A block with its last line ended, "" where it may not be taken apart without a closer look."""
    if not text or '"' in text or ("\r" in text and text.count("\r") != text.count("\r\n")):
        return ""
    if len(text) >= LONGEST_LINE and len(max(text.split("\n"), key=len)) >= LONGEST_LINE:
        return ""
    if is_utf8 and not text.isascii():
        try:
            text = text.encode("latin-1").decode("utf-8")
        except UnicodeDecodeError:
            return ""
    return text if text.endswith("\n") else text + "\n"


def _open_text(stream: BinaryIO) -> tuple[io.TextIOWrapper, bool]:
    """(text, whether its characters are still bytes to be decoded as UTF-8)."""
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast(Any, stream))
    head = buffered.peek(4)[:4]
    for mark, what in _NOT_TEXT.items():
        if head.startswith(mark):
            raise NotText(what)
    if head.startswith(_UTF16):
        return io.TextIOWrapper(buffered, "utf-16", errors="replace", newline=""), False
    if head.startswith(_UTF8_MARK):
        buffered.read(len(_UTF8_MARK))
    return io.TextIOWrapper(buffered, "latin-1", newline=""), True
