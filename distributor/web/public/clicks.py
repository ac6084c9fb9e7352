"""The click journal: every click is in a file before its reader is redirected, and counted from there later.

A record is one line and one `write()` to a file opened for appending. What was written survives kill -9 of the
program (not power loss: nothing is synced). Each process writes files of its own, under a lock that dies with it,
so a file whose lock is free is complete. Names are never used twice.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from distributor.core import tally
from distributor.core.errors import StorageError
from distributor.core.points import reach

log = logging.getLogger(__name__)

SUFFIX = ".clicks"
#: A file is left for the next one at this size; together with `rotate` it bounds how long records stay on disk.
FILE_BYTES = 16 * 1024 * 1024

_NAMES = f"{'[0-9]' * 10}-*{SUFFIX}"


class ClickJournal:
    """The appending side; safe to call from several threads.

    When the disk is full the click is lost and the redirect goes on: `append` says False, `lost` counts it
    (`written` the others), and the log gets one line when it begins and one when it ends.
    """

    def __init__(
        self, folder: Path, *, file_bytes: int = FILE_BYTES, write: Callable[[int, bytes], int] = os.write
    ) -> None:
        self.folder = folder
        self.written = 0
        self.lost = 0
        self._file_bytes = file_bytes
        self._write = write
        self._lock = threading.Lock()
        self._lost_before = 0
        self._size = 0
        self._is_torn = False
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = _open_file(folder)
        except OSError as error:
            raise StorageError(f"cannot write clicks to {folder}: {error.strerror}") from None

    def append(self, records: bytes, count: int = 1) -> bool:
        """Write records (lines with their newlines) at once. True: all are safe against a kill of this program."""
        with self._lock:
            data = b"\n" + records if self._is_torn else records
            try:
                reach("clicks.write")
                size = self._write(self._file, data)
                reach("clicks.written")
            except OSError as error:
                return self._lose(error, count)
            self._size += size
            if size != len(data):
                return self._tear(data, size, count)
            self._is_torn = False
            self.written += count
            if self.lost != self._lost_before:
                self._recover()
            if self._size >= self._file_bytes:
                self._start_file()
            return True

    def rotate(self) -> None:
        """Begin a new file unless this one is empty, so that the old one can be counted and deleted."""
        with self._lock:
            if self._size:
                self._start_file()

    def close(self) -> None:
        with self._lock:
            os.close(self._file)

    def _start_file(self) -> None:
        try:
            fresh = _open_file(self.folder)
        except OSError:
            # No room for another file, or none left in the process: this one still takes records.
            return
        os.close(self._file)
        self._file, self._size, self._is_torn = fresh, 0, False

    def _tear(self, data: bytes, size: int, count: int) -> bool:
        """Only the first `size` bytes had room: whole records among them are safe, the next one begins a line."""
        whole = max(data.count(b"\n", 0, size) - self._is_torn, 0)
        self._is_torn = True
        self.written += whole
        return self._lose(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), count - whole)

    def _lose(self, error: OSError, count: int) -> bool:
        if self.lost == self._lost_before:
            log.error("clicks cannot be written to %s (%s): they are lost until then", self.folder, error.strerror)
        self.lost += count
        tally.count("clicks_lost", by=count)
        return False

    def _recover(self) -> None:
        log.warning("clicks are written again; %d were lost", self.lost - self._lost_before)
        self._lost_before = self.lost


@dataclass(frozen=True, slots=True)
class Chunk:
    """Complete records of one file; `position` is where the next one begins."""

    lines: list[bytes]
    position: int


class ClickFiles:
    """The reading side: what all writers of a folder left, oldest file first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def hold(self) -> Iterator[bool]:
        """True while nobody else counts this folder. Ends with the process, however it ends."""
        lock = os.open(self.folder / "counting.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield _try_lock(lock)
        finally:
            os.close(lock)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob(_NAMES))

    def read(self, name: str, position: int, limit: int) -> Chunk:
        """Records from `position` on, in about `limit` bytes. A last line without its newline is not one yet."""
        with (self.folder / name).open("rb") as file:
            file.seek(position)
            data = file.read(limit)
        end = data.rfind(b"\n") + 1
        if not end and len(data) == limit:
            # Longer than any record: what follows its end is read again, this is not.
            return Chunk([data[:64]], position + limit)
        return Chunk(data[:end].split(b"\n")[:-1], position + end)

    def remove(self, name: str, position: int) -> bool:
        """Delete a file that nobody writes any more and that has no record after `position`."""
        path = self.folder / name
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            # The lock comes first: who gets it knows that the file will not grow.
            if not _try_lock(file) or b"\n" in _read_from(file, position):
                return False
            reach("clicks.remove")
            path.unlink()
            reach("clicks.removed")
            return True
        finally:
            os.close(file)


def _open_file(folder: Path) -> int:
    """A new, locked file. It gets its name after its lock, so that no reader takes it for a finished one."""
    name = f"{secrets.token_hex(8)}{SUFFIX}"
    fresh = folder / f"{name}.new"
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    file = os.open(fresh, flags, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    number = max((int(path.name[:10]) for path in folder.glob(_NAMES)), default=0) + 1
    reach("clicks.name")
    fresh.rename(folder / f"{number:010d}-{name}")
    reach("clicks.named")
    return file


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_from(file: int, position: int) -> bytes:
    os.lseek(file, position, os.SEEK_SET)
    return os.read(file, 1 << 20)
